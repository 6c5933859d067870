package accounts

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

func (h *harness) confirm(t *testing.T, token string) func() error {
	return func() error { return h.VerifySecondaryEmail(t.Context(), TokenInput{token}) }
}

// request is SendSecondaryEmailActivation by whom an access token belongs to.
func (h *harness) request(t *testing.T, token, address, password string) func() error {
	op := operation(t, "SendSecondaryEmailActivation")
	op.call = func(s *Service, ctx context.Context, owner Owner) error {
		return s.SendSecondaryEmailActivation(ctx, owner, SendSecondaryEmailActivationInput{Email: address})
	}
	return h.own(t, op, token, password)
}

func secondaryMail(to string) sentMail {
	return sentMail{To: "<" + to + ">", Subject: "Activate your account on Acme", Link: "https://acme.example/activate"}
}

const (
	addedNotice   = "An address was added to your account on Acme"
	swappedNotice = "The addresses of your account on Acme were swapped"
	removedNotice = "An address was removed from your account on Acme"
)

func TestSendSecondaryEmailActivation(t *testing.T) {
	t.Parallel()
	for _, reveal := range []Reveal{RevealNothing, RevealRegister, RevealAll} {
		t.Run(string(reveal), func(t *testing.T) {
			h := newHarness(t, notices, func(s *Settings, _ *tokens.Settings) { s.Reveal = reveal })
			ada := h.ada(t)
			h.add(t, AddUserInput{Username: "bob", Email: "Bob@example.com", SecondaryEmail: "bob2@example.com"})
			h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
			token := h.login(t).Token
			form := map[string]Errors{
				"": {"email": {required}}, "\u2003": {"email": {required}}, "a b@example.com": {"email": {badEmail}},
				strings.Repeat("a", 243) + "@example.com": {"email": {maxLength(254, 255)}},
			}
			h.events(t)
			h.fillOutbox(t)
			for typed, want := range form {
				h.refused(t, Errors{"password": wrongPassword}, h.request(t, token, typed, "wrong"))
				h.refused(t, want, h.request(t, token, typed, password))
			}
			for _, own := range []string{"ADA@example.com", "ada2@example.com"} {
				h.refused(t, emailInUse, h.request(t, token, own, password))
			}
			taken := map[string]string{"bob@example.com": "Bob@example.com", " Bob2@EXAMPLE.com": "bob2@example.com",
				"gone@example.com": ""}
			for address := range taken {
				want := emailInUse
				if reveal == RevealNothing {
					want = emailFail
				}
				h.refused(t, want, h.request(t, token, address, password))
			}
			h.refused(t, emailFail, h.request(t, token, "new@example.com", password))
			h.emptyOutbox(t)
			for address, holder := range taken {
				if reveal != RevealNothing {
					h.refused(t, emailInUse, h.request(t, token, address, password))
					continue
				}
				if err := h.request(t, token, address, password)(); err != nil {
					t.Errorf("%s: error %v, want none", address, err)
				}
				if holder == "" {
					h.sent(t)
				} else {
					h.sent(t, notice(holder, "You already have an account on Acme"))
				}
				h.happened(t, "secondary_email_requested 1")
			}
			before := h.dump(t)
			if err := h.request(t, token, " New@BÜCHER.example ", password)(); err != nil {
				t.Fatal(err)
			}
			h.happened(t, "secondary_email_requested 1")
			mailed := h.sent(t, secondaryMail("New@xn--bcher-kva.example"))
			want := h.ofNow(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: ada.ID,
				Address: "New@bücher.example", IssuedAt: h.now().Unix()})
			if got, err := h.tokens.VerifyAction(mailed, tokens.SecondaryEmail); err != nil || got != want {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
			after := h.dump(t)
			delete(before, "outbox")
			delete(after, "outbox")
			same(t, before, after)
		})
	}
}

// TestAddressText: the address in a token is read back as the same mailbox, and shown alike where that is possible.
func TestAddressText(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"Ada@Example.com": "Ada@example.com", "Ada@BÜCHER.example": "Ada@bücher.example",
		"a@XN--BCHER-KVA.example": "a@xn--bcher-kva.example",
		// shown with a final sigma, which is another domain
		"a@example.ΒΑΣ": "a@example.xn--mxab6c",
		"a@" + strings.Repeat("中", 50) + ".example": "a@" + strings.Repeat("中", 50) + ".example",
	} {
		address, err := ParseAddress(typed)
		if err != nil {
			t.Errorf("%s: error %v, want none", typed, err)
			continue
		}
		again, err := ParseAddress(address.text())
		if err != nil || again.Canonical != address.Canonical || address.text() != want {
			t.Errorf("%s is %+v, carried as %q and read as %+v, %v; want %q", typed, address, address.text(), again,
				err, want)
		}
	}
}

func TestVerifySecondaryEmail(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	// verified or not: a secondary address says nothing of it
	h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com"})
	session := h.login(t)
	h.events(t)
	first := h.action(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: 1, Address: "Old@bücher.example"})
	h.advance(4 * time.Minute)
	h.fillOutbox(t)
	before := h.user(t, "ada")
	if err := h.confirm(t, first)(); err != nil {
		t.Fatal(err)
	}
	h.happened(t, "secondary_email_verified 1")
	h.sent(t, notice("Ada@example.com", addedNotice), notice("Old@xn--bcher-kva.example", addedNotice))
	before.SecondaryEmail, before.secondary = "Old@bücher.example", "old@xn--bcher-kva.example"
	after := h.user(t, "old@bücher.example")
	leapt(t, before, after, false, true)
	sameUser(t, before, after)
	inUse := Errors{"nonFieldErrors": emailInUse["email"]}
	h.refused(t, inUse, h.confirm(t, first)) // oneself included

	second := h.action(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: 1, Address: "New@example.com"})
	if err := h.confirm(t, second)(); err != nil { // in place of the other
		t.Fatal(err)
	}
	h.happened(t, "secondary_email_verified 1")
	h.sent(t, notice("Ada@example.com", addedNotice), notice("Old@xn--bcher-kva.example", addedNotice),
		notice("New@example.com", addedNotice))
	before.SecondaryEmail, before.secondary = "New@example.com", "new@example.com"
	after = h.user(t, "ada")
	leapt(t, before, after, true, true)
	sameUser(t, before, after)
	h.refused(t, invalidToken, h.confirm(t, first)) // free again, and stale
	h.add(t, AddUserInput{Username: "bob", Email: "old@bücher.example"})
	h.refused(t, inUse, h.confirm(t, first)) // stale, too
	if u, err := h.Caller(session.Token).User(t.Context()); u == nil || err != nil {
		t.Errorf("caller %+v, error %v, want the session live", u, err)
	}
}

func TestVerifySecondaryEmailRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(t *testing.T, h *harness, a tokens.Action) string
		want Errors
	}{
		{"garbage", func(*testing.T, *harness, tokens.Action) string { return "garbage" }, invalidToken},
		{"old, of nobody", func(t *testing.T, h *harness, a tokens.Action) string {
			a.User = 99
			token := h.action(t, a)
			h.advance(time.Hour + time.Second)
			return token
		}, expiredToken},
		{"for something else", func(t *testing.T, h *harness, a tokens.Action) string {
			a.Purpose = tokens.PasswordReset
			return h.action(t, a)
		}, invalidToken},
		{"of nobody, claimed", func(t *testing.T, h *harness, a tokens.Action) string {
			a.User, a.Address = 99, "bob@example.com"
			return h.action(t, a)
		}, invalidToken},
		{"inactive, claimed", func(t *testing.T, h *harness, a tokens.Action) string {
			h.set(t, 1, "is_active", 0)
			a.Address = "bob@example.com"
			return h.action(t, a)
		}, invalidToken},
		{"claimed", func(t *testing.T, h *harness, a tokens.Action) string {
			a.Address = "BOB@example.com"
			return h.action(t, a)
		}, Errors{"nonFieldErrors": emailInUse["email"]}},
		{"one's own primary, stale", func(t *testing.T, h *harness, a tokens.Action) string {
			a.Address, a.Epoch = "ada@example.com", 7
			return h.action(t, a)
		}, Errors{"nonFieldErrors": emailInUse["email"]}},
		{"stale", func(t *testing.T, h *harness, a tokens.Action) string { a.Epoch = 7; return h.action(t, a) },
			invalidToken},
		{"no address", func(t *testing.T, h *harness, a tokens.Action) string { a.Address = ""; return h.action(t, a) },
			invalidToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, notices)
			h.ada(t)
			h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
			token := test.make(t, h, tokens.Action{Purpose: tokens.SecondaryEmail, User: 1, Address: "new@example.com"})
			h.refused(t, test.want, h.confirm(t, token))
		})
	}
}

// TestVerifySecondaryEmailAtOnce: one address that many confirm has one owner.
func TestVerifySecondaryEmailAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHarness(t)
	mailed := make([]string, n)
	for i := range n {
		name := fmt.Sprintf("user%d", i%10)
		if i < 10 {
			h.add(t, AddUserInput{Username: name, Email: name + "@example.com", NoPassword: true})
		}
		mailed[i] = h.action(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: int64(1 + i%10),
			Address: "new@example.com"})
	}
	errs := atOnce(n, func(i int) error { return h.confirm(t, mailed[i])() })
	if good, refused := verdicts(t, errs, Errors{"nonFieldErrors": emailInUse["email"]}); good != 1 || refused != n-1 {
		t.Errorf("%d good, %d refused, want 1 and %d", good, refused, n-1)
	}
}

func TestRemoveSecondaryEmail(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	other, caller := h.login(t), h.login(t)
	h.events(t)
	h.fillOutbox(t)
	want := h.user(t, "ada")
	h.succeed(t, "RemoveSecondaryEmail", caller.Token)
	h.happened(t, "secondary_email_removed 1")
	h.sent(t, notice("Ada@example.com", removedNotice), notice("Ada2@example.com", removedNotice))
	want.SecondaryEmail, want.secondary = "", ""
	got := h.user(t, "ada")
	leapt(t, want, got, true, true)
	sameUser(t, want, got)
	h.dead(t, other)
	if u, err := h.Caller(caller.Token).User(t.Context()); u == nil || err != nil {
		t.Errorf("caller %+v, error %v, want the session live", u, err)
	}
	h.refused(t, secondaryRequired, h.own(t, operation(t, "RemoveSecondaryEmail"), caller.Token, password))
	h.refused(t, invalidCredentials, h.tryLogin(t, byEmail("ada2@example.com", password)))
	h.add(t, AddUserInput{Username: "bob", Email: "ada2@example.com"}) // free again
}

// TestNoticesOff: every operation works and sends no notice.
func TestNoticesOff(t *testing.T) {
	t.Parallel()
	for _, op := range ownOperations {
		if op.name == "SendSecondaryEmailActivation" {
			continue
		}
		h := newHarness(t)
		h.ada(t)
		h.succeed(t, op.name, h.login(t).Token)
		h.sent(t)
	}
}
