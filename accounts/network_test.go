package accounts

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/tokens"
)

// mayLogInFrom reports whether ada can log in from a network. If not, nothing has changed.
func (h *harness) mayLogInFrom(t *testing.T, network string) bool {
	t.Helper()
	_, err := h.Login(from(t, network), byUsername("ada", password))
	if err != nil && !cmp.Equal(err, error(invalidCredentials)) {
		t.Fatalf("got %v, want nil or %v", err, invalidCredentials)
	}
	return err == nil
}

// failLoginsFrom gives ada's account n wrong passwords there.
func (h *harness) failLoginsFrom(t *testing.T, network string, n int) {
	t.Helper()
	for range n {
		h.failLogin(t, from(t, network), byUsername("ada", "wrong"))
	}
}

const (
	home   = "192.0.2.1"
	abroad = "198.51.100.1"
	theirs = "2001:db8:1:2::/64"
)

// TestOwnNetworks: while an account is locked by wrong passwords from elsewhere, its owner can log in from networks of
// their own: those of earlier logins, verifications and new passwords. That gives no more attempts to other networks.
func TestOwnNetworks(t *testing.T) {
	t.Parallel()
	for name, authenticate := range map[string]func(h *harness, ctx context.Context) error{
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
			return h.VerifyAccount(ctx, TokenInput{link.Token})
		},
		"reset": func(h *harness, ctx context.Context) error {
			h.failLogins(t, 10)
			if err := h.SendPasswordResetEmail(ctx, EmailInput{"ada@example.com"}); err != nil {
				return err
			}
			return h.ResetPassword(ctx, NewPasswordInput{h.mails(t)[0].Token, password, password})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, standard)
			ada := h.ada(t)
			if err := authenticate(h, from(t, home)); err != nil {
				t.Fatal(err)
			}
			h.failLoginsFrom(t, theirs, 10)
			for range 3 {
				if h.mayLogInFrom(t, theirs) || h.mayLogInFrom(t, abroad) || h.mayLogIn(t) {
					t.Fatal("from elsewhere: got a login, want a refusal")
				}
				if !h.mayLogInFrom(t, home) {
					t.Fatal("from the owner's network: got a refusal, want a login")
				}
			}
			if got := h.failures(t, ada.ID); got != 10 {
				t.Errorf("after a login at home %d failures from elsewhere are counted, want 10", got)
			}
			h.failLoginsFrom(t, home, 10)
			if h.mayLogInFrom(t, home) {
				t.Error("after ten failures in the owner's network: got a login there, want a refusal")
			}
			got := h.user(t, "ada").Throttled
			until := h.now().Add(15 * time.Minute).UTC()
			want := Throttled{Failures: 10, Refused: got.Refused, Until: until, OwnNetworks: 1}
			if *got != want {
				t.Errorf("throttled %+v, want %+v", *got, want)
			}
			if _, err := h.SetUser(t.Context(), "ada", SetUserInput{Unlock: true}); err != nil {
				t.Fatal(err)
			}
			if !h.mayLogInFrom(t, home) || !h.mayLogInFrom(t, abroad) {
				t.Error("after an operator has unlocked the account: got a refusal, want a login")
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
			t.Fatalf("from %s: got a refusal, want a login", network(i))
		}
	}
	if got := h.count(t, `SELECT count(*) FROM own_networks`); got != 10 {
		t.Errorf("%d networks are stored, want 10", got)
	}
	h.failLoginsFrom(t, theirs, 10)
	if h.mayLogInFrom(t, network(0)) || h.mayLogInFrom(t, network(1)) || !h.mayLogInFrom(t, network(2)) {
		t.Error("got other own networks, want the latest ten")
	}
	if got := h.count(t, `SELECT count(*) FROM own_networks WHERE network LIKE '%198.51%'`); got != 0 {
		t.Errorf("the own networks: got %d that are readable, want none", got)
	}
	h.failLoginsFrom(t, network(3), 1)
	h.advance(170 * 24 * time.Hour)
	if !h.mayLogInFrom(t, network(11)) {
		t.Error("before 180 days: got a refusal, want a login")
	}
	h.advance(30 * 24 * time.Hour)
	h.failLoginsFrom(t, theirs, 10)
	if h.mayLogInFrom(t, network(10)) || !h.mayLogInFrom(t, network(11)) {
		t.Error("180 days since the last login: got another count, want 10 forgotten and 11 known")
	}
	if err := h.clearThrottles(t.Context(), h.now().AddDate(-1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	networks := h.count(t, `SELECT count(*) FROM own_networks`)
	counters := h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'known'`)
	if networks != 1 || counters != 0 {
		t.Errorf("%d networks and %d counters are left, want 1 and 0", networks, counters)
	}
	h.failLoginsFrom(t, network(11), 1)
	if _, err := h.DeleteUser(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	left := h.count(t, `SELECT count(*) + (SELECT count(*) FROM throttles WHERE kind = 'known') FROM own_networks`)
	if left != 0 {
		t.Errorf("%d rows are left of a deleted user, want 0", left)
	}
}

// TestSiteLimit: a site has a limit as well: four times as much as one of its networks for IPv6, sixteen times for
// IPv4. It does not apply to networks with a good login.
func TestSiteLimit(t *testing.T) {
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
			t.Fatal("ada: got a refusal, want a login")
		}
		try := func(network string) error {
			_, err := h.Login(from(t, network), byUsername("nobody", "wrong"))
			return err
		}
		for i := range test.sites {
			for range 60 {
				if err := try(fmt.Sprintf(test.network, i)); !cmp.Equal(err, error(invalidCredentials)) {
					t.Fatalf("attempt %d from %s: got %v, want %v", i, test.network, err, invalidCredentials)
				}
			}
		}
		if err := try(fmt.Sprintf(test.network, test.sites)); !isThrottled(err) {
			t.Errorf("one more network of %s: got %v, want a throttled login", test.network, err)
		}
		if !h.mayLogInFrom(t, known) {
			t.Errorf("the owner beside the attempts in %s: got a refusal, want a login", test.network)
		}
		if err := try(test.outside); !cmp.Equal(err, error(invalidCredentials)) {
			t.Errorf("%s: got %v, want %v", test.outside, err, invalidCredentials)
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
