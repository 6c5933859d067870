package accounts

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/tokens"
)

// mayLogInFrom reports whether ada's password is looked at there, and changes nothing when it is not.
func (h *harness) mayLogInFrom(t *testing.T, network string) bool {
	t.Helper()
	_, err := h.Login(from(t, network), byUsername("ada", password))
	if err != nil && !cmp.Equal(err, error(invalidCredentials)) {
		t.Fatal(err)
	}
	return err == nil
}

// failLoginsFrom gives ada's account n wrong passwords there.
func (h *harness) failLoginsFrom(t *testing.T, network string, n int) {
	t.Helper()
	for range n {
		if _, err := h.Login(from(t, network), byUsername("ada", "wrong")); !cmp.Equal(err, error(invalidCredentials)) {
			t.Fatal(err)
		}
	}
}

const (
	home   = "192.0.2.1"
	abroad = "198.51.100.1"
	theirs = "2001:db8:1:2::/64" // others'
)

// TestOwnNetworks: where others fill an account, its owner is let in from where they have logged in before or have set the
// password, and from nowhere else. A right password there gives others no more tries.
func TestOwnNetworks(t *testing.T) {
	t.Parallel()
	for name, prove := range map[string]func(h *harness, ctx context.Context) error{
		"login": func(h *harness, ctx context.Context) error {
			_, err := h.Login(ctx, byUsername("ada", password))
			return err
		},
		"verification": func(h *harness, ctx context.Context) error {
			h.exec(t, `UPDATE user_status SET verified = 0`)
			link, err := h.Link(ctx, tokens.Activation, "ada", "")
			if err != nil {
				return err
			}
			return h.VerifyAccount(ctx, VerifyAccountInput{link.Token})
		},
		"reset": func(h *harness, ctx context.Context) error {
			h.failLogins(t, 10)
			if err := h.SendPasswordResetEmail(ctx, SendPasswordResetEmailInput{"ada@example.com"}); err != nil {
				return err
			}
			return h.ResetPassword(ctx, ResetPasswordInput{h.mails(t)[0].Token, password, password})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, standard)
			ada := h.ada(t)
			if err := prove(h, from(t, home)); err != nil {
				t.Fatal(err)
			}
			h.failLoginsFrom(t, theirs, 10)
			for range 3 {
				if h.mayLogInFrom(t, theirs) || h.mayLogInFrom(t, abroad) || h.mayLogIn(t) {
					t.Fatal("the account is not full elsewhere")
				}
				if !h.mayLogInFrom(t, home) {
					t.Fatal("the owner is locked out")
				}
			}
			if got := h.failures(t, ada.ID); got != 10 {
				t.Errorf("a login at home leaves others %d failures, want 10", got)
			}
			h.failLoginsFrom(t, home, 10)
			if h.mayLogInFrom(t, home) {
				t.Error("an eleventh password is looked at there")
			}
			want := Throttled{Failures: 10, Refused: h.user(t, "ada").Throttled.Refused, Until: h.now().Add(15 * time.Minute).UTC(), OwnNetworks: 1}
			if got := h.user(t, "ada").Throttled; *got != want {
				t.Errorf("an operator is told %+v, want %+v", *got, want)
			}
			if _, err := h.SetUser(t.Context(), "ada", SetUserInput{Unlock: true}); err != nil {
				t.Fatal(err)
			}
			if !h.mayLogInFrom(t, home) || !h.mayLogInFrom(t, abroad) {
				t.Error("an operator does not unlock everything")
			}
		})
	}
}

// TestOwnNetworksAreBounded: the ten latest networks of a user are their own, for 180 days after the last login there.
func TestOwnNetworksAreBounded(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	network := func(i int) string { return fmt.Sprintf("198.51.%d.7", i) }
	for i := range 12 {
		h.advance(48 * time.Hour)
		if !h.mayLogInFrom(t, network(i)) {
			t.Fatal(i)
		}
	}
	if got := h.count(t, `SELECT count(*) FROM own_networks`); got != 10 {
		t.Errorf("%d networks are remembered", got)
	}
	h.failLoginsFrom(t, theirs, 10)
	if h.mayLogInFrom(t, network(0)) || h.mayLogInFrom(t, network(1)) || !h.mayLogInFrom(t, network(2)) {
		t.Error("not the latest ten are remembered")
	}
	if got := h.count(t, `SELECT count(*) FROM own_networks WHERE network LIKE '%198.51%'`); got != 0 {
		t.Error("networks can be read in the database")
	}
	h.failLoginsFrom(t, network(3), 1)
	h.advance(170 * 24 * time.Hour)
	if !h.mayLogInFrom(t, network(11)) {
		t.Error("forgotten too early")
	}
	h.advance(30 * 24 * time.Hour)
	h.failLoginsFrom(t, theirs, 10)
	if h.mayLogInFrom(t, network(10)) || !h.mayLogInFrom(t, network(11)) {
		t.Error("180 days are not counted from the last login")
	}
	if err := h.clearThrottles(t.Context(), h.now().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if networks, tallies := h.count(t, `SELECT count(*) FROM own_networks`), h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'known'`); networks != 1 || tallies != 0 {
		t.Errorf("%d networks are left and %d counts", networks, tallies)
	}
	h.failLoginsFrom(t, network(11), 1)
	if _, err := h.DeleteUser(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	if got := h.count(t, `SELECT count(*) + (SELECT count(*) FROM throttles WHERE kind = 'known') FROM own_networks`); got != 0 {
		t.Errorf("%d rows are left of who was deleted", got)
	}
}

// TestSiteBucket: what the networks of a site have tried together counts as well: four times as much as one of them for
// IPv6, sixteen times for IPv4. It keeps nobody out of a network with a good login.
func TestSiteBucket(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		network string
		sites   int // networks that fill their site
		outside string
	}{
		{"2001:db8:1:%x::/64", 4, "2001:db8:2:1::/64"},
		{"192.0.2.%d", 16, "192.0.3.1"},
	} {
		h := newHarness(t, standard)
		h.ada(t)
		known := fmt.Sprintf(test.network, 99)
		if !h.mayLogInFrom(t, known) {
			t.Fatal("ada cannot log in")
		}
		try := func(network string) error {
			_, err := h.Login(from(t, network), byUsername("nobody", "wrong"))
			return err
		}
		for i := range test.sites {
			for range 60 {
				if err := try(fmt.Sprintf(test.network, i)); !cmp.Equal(err, error(invalidCredentials)) {
					t.Fatalf("%d of %s: %v", i, test.network, err)
				}
			}
		}
		if err := try(fmt.Sprintf(test.network, test.sites)); !isThrottled(err) {
			t.Errorf("one more network of %s: %v", test.network, err)
		}
		if !h.mayLogInFrom(t, known) {
			t.Errorf("neighbours in %s shut an owner out", test.network)
		}
		if err := try(test.outside); !cmp.Equal(err, error(invalidCredentials)) {
			t.Errorf("%s: %v", test.outside, err)
		}
	}
}

func TestSiteOf(t *testing.T) {
	t.Parallel()
	for network, want := range map[string]string{
		"192.0.2.7": "192.0.2.0/24", "2001:db8:1:2::/64": "2001:db8:1::/48", "": "", "@": "@",
	} {
		if got, _ := siteOf(network); got != want {
			t.Errorf("siteOf(%q) = %q, want %q", network, got, want)
		}
	}
}
