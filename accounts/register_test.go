package accounts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/email"
	passwords "accountd/internal/password"
	"accountd/tokens"
)

func noActivationMail(s *Settings, _ *tokens.Settings)   { s.SendActivationEmail = false }
func verifiedLoginsOnly(s *Settings, _ *tokens.Settings) { s.AllowLoginNotVerified = false }
func noLoginBySecondary(s *Settings, _ *tokens.Settings) { s.LoginWithSecondaryEmail = false }
func noRefreshTokens(_ *Settings, ts *tokens.Settings)   { ts.AllowRefresh = false }
func (h *harness) register(t *testing.T, in RegisterInput) func() error {
	return func() error {
		out, err := h.Register(t.Context(), in)
		if err != nil && out != nil {
			t.Errorf("got %+v beside an error, want nothing", out)
		}
		return err
	}
}

func maxLength(limit, got int) Problem {
	return Problem{fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", limit, got), "max_length"}
}

func similar(attribute string) Problem {
	return Problem{"The password is too similar to the " + attribute + ".", "password_too_similar"}
}

// TestRegisterRefusals: the problems of a form are reported all at once, those of the database for a clean form only.
func TestRegisterRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	h.add(t, AddUserInput{Username: "Straße", Email: "x@bücher.example"})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	a := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name string
		in   RegisterInput
		want Errors
	}{
		{"nothing", registration("", "", "", ""), Errors{"email": {required}, "username": {required},
			"password1": {required}, "password2": {required}}},
		{"blank", registration(" \t", "\u00a0\x1c", password, password),
			Errors{"email": {required}, "username": {required}}},
		{"all three phases", registration("bob", "b b", "123", "123"),
			Errors{"email": {badEmail}, "username": {badUsername}, "password2": {tooShort, tooCommon, allNumeric}}},
		{"mismatch beside others", registration("bob", "ADA", "1", "2"),
			Errors{"email": {badEmail}, "username": {usernameInUse["username"][0]}, "password2": {mismatch}}},
		{"mismatch hides the rules", registration("bob@example.com", "bob", password, "1"),
			Errors{"password2": {mismatch}}},
		{"empty first does not", registration("bob@example.com", "bob", "", "1234567"),
			Errors{"password1": {required}, "password2": {tooShort, tooCommon, allNumeric}}},
		{"empty second", registration("bob@example.com", "bob", password, ""), Errors{"password2": {required}}},
		{"passwords are not trimmed", registration("bob@example.com", "bob", password, password+" "),
			Errors{"password2": {mismatch}}},
		{"long", registration(a(243)+"@example.com", a(151), password, password),
			Errors{"email": {maxLength(254, 255)}, "username": {maxLength(150, 151)}}},
		{"long in code points", registration("bob@example.com", strings.Repeat("ж", 151), password, password),
			Errors{"username": {maxLength(150, 151)}}},
		{"NUL", registration("b\x00b@example.com", "b\x00b", "a\x00b", "a\x00b"),
			Errors{"email": {badEmail, nullChars}, "username": {nullChars}, "password1": {nullChars},
				"password2": {nullChars}}},
		{"long and NUL", registration(a(254)+"\x00", a(150)+"\x00", password, password),
			Errors{"email": {badEmail, maxLength(254, 255), nullChars}, "username": {maxLength(150, 151), nullChars}}},
		{"bad username", registration("bob@example.com", "bob!", password, password),
			Errors{"username": {badUsername}}},
		{"judged after NFKC", registration("bob@example.com", "b½b", password, password),
			Errors{"username": {badUsername}}},
		{"somebody else's address as name", registration("bob@example.com", "ada@example.com", password, password),
			Errors{"username": {badUsername}}},
		{"taken", registration("bob@example.com", "ada", password, password), usernameInUse},
		{"taken, other case", registration("bob@example.com", " aDa ", password, password), usernameInUse},
		{"taken, full width", registration("bob@example.com", "ａｄａ", password, password), usernameInUse},
		{"taken, folded", registration("bob@example.com", "STRASSE", password, password), usernameInUse},
		{"taken by an inactive user", registration("bob@example.com", "gone", password, password), usernameInUse},
		{"similar to the username", registration("x@example.com", "hildegunde", "hildegunde1", "hildegunde1"),
			Errors{"password2": {similar("username")}}},
		{"similar to a name that is refused", registration("x@example.com", "hildegunde!", "hildegunde1",
			"hildegunde1"), Errors{"username": {badUsername}, "password2": {similar("username")}}},
		{"similar to the address", registration("hildegunde@example.com", "bob", "hildegunde1", "hildegunde1"),
			Errors{"password2": {similar("email address")}}},
		{"first hit only", registration("hildegunde@example.com", "hildegunde", "hildegunde1", "hildegunde1"),
			Errors{"password2": {similar("username")}}},
		{"a refused address is not compared", registration("hildegunde", "bob", "hildegunde1", "hildegunde1"),
			Errors{"email": {badEmail}}},
		{"all rules in order", registration("bob@example.com", "1234567", "1234567", "1234567"),
			Errors{"password2": {similar("username"), tooShort, tooCommon, allNumeric}}},
		{"too many bytes, and nothing else", registration("bob@example.com", "bob", strings.Repeat("1", 1025),
			strings.Repeat("1", 1025)), Errors{"password2": {tooLongBytes}}},
		{"claimed as primary", registration("ada@example.com", "bob", password, password), emailInUse},
		{"claimed, other case", registration(" ADA@EXAMPLE.com ", "bob", password, password), emailInUse},
		{"claimed as secondary", registration("ada2@EXAMPLE.com", "bob", password, password), emailInUse},
		{"claimed, in Punycode", registration("X@xn--bcher-kva.example", "bob", password, password), emailInUse},
		{"claimed by an inactive user", registration("gone@example.com", "bob", password, password), emailInUse},
		{"a claimed address is told to clean forms only", registration("ada@example.com", "ada", "1", "1"),
			Errors{"username": usernameInUse["username"], "password2": {tooShort, tooCommon, allNumeric}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { h.refused(t, test.want, h.register(t, test.in)) })
	}
	t.Run("outbox full", func(t *testing.T) {
		h.fillOutbox(t)
		h.refused(t, emailFail, h.register(t, registration("bob@example.com", "bob", password, password)))
		h.refused(t, emailInUse, h.register(t, registration("ada@example.com", "bob", password, password)))
		h.refused(t, usernameInUse, h.register(t, registration("ada@example.com", "ada", password, password)))
		h.emptyOutbox(t)
	})
	t.Run("outbox full meanwhile", func(t *testing.T) {
		h := newHarness(t, oneHashAtATime)
		errs := h.whileHashing(t, func() { h.fillOutbox(t) },
			h.register(t, registration("bob@example.com", "bob", password, password)))
		if n := h.count(t, `SELECT count(*) FROM users`); n != 0 || !cmp.Equal(errs, []error{emailFail}) {
			t.Errorf("%d users, errors %#v, want 0 and %#v", n, errs, emailFail)
		}
	})
}

// TestRegister: the account, its mail, and a session, because unverified users may log in.
func TestRegister(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	out, err := h.Register(t.Context(), registration(" Ada.L@BÜCHER.example\n", " ａda ", password, password))
	if err != nil {
		t.Fatal(err)
	}
	h.happened(t, "user_registered 1")
	u := h.user(t, "1")
	want := &User{User: email.User{ID: 1, Username: "ada", Email: "Ada.L@bücher.example", IsActive: true,
		DateJoined: h.now().UTC()}}
	if diff := cmp.Diff(want, &u.User); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(u.password, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Errorf("stored password %q, want a hash at the current parameters", u.password)
	}
	if viewer, err := h.Caller(out.Token).User(t.Context()); err != nil || !cmp.Equal(viewer, &u.User) {
		t.Errorf("token of %+v, %v, want %+v", viewer, err, u.User)
	}
	now := h.now().Unix()
	claims := tokens.Claims{Username: "ada", Subject: 1, Session: out.Payload.Session, ExpiresAt: now + 300,
		IssuedAt: now, OrigIssuedAt: now}
	if out.RefreshToken == "" || out.Payload == nil || *out.Payload != claims ||
		out.RefreshExpiresIn != now+int64(week/time.Second) || out.Unarchived {
		t.Errorf("session %+v with payload %+v, want %+v", out, out.Payload, claims)
	}
	token := h.activation(t, "Ada.L@xn--bcher-kva.example")
	if err := h.VerifyAccount(t.Context(), TokenInput{token}); err != nil || !h.user(t, "1").Verified {
		t.Errorf("activation link: error %v, want none and a verified account", err)
	}
	if _, err := h.Login(t.Context(), byEmail("ada.l@xn--bcher-kva.example", password)); err != nil {
		t.Errorf("login with the password of the form: error %v, want none", err)
	}
	if _, err := h.Register(t.Context(), registration("bob@example.com", "Bob@Example.com", password,
		password)); err != nil {
		t.Errorf("one's own address as username: error %v, want none", err)
	}
}

// TestRegisterEdges: the longest values that are allowed.
func TestRegisterEdges(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	long := strings.Repeat("q", 1024)
	in := registration(strings.Repeat("a", 242)+"@example.com", strings.Repeat("ж", 150), long, long)
	if _, err := h.Register(t.Context(), in); err != nil {
		t.Error(err)
	}
	if _, err := h.Register(t.Context(), registration("bob@example.com", "bob", "8lettrs!", "8lettrs!")); err != nil {
		t.Error(err)
	}
}

func TestRegisterSettings(t *testing.T) {
	t.Parallel()
	in := registration("ada@example.com", "ada", password, password)
	t.Run("unverified users may not log in", func(t *testing.T) {
		h := newHarness(t, verifiedLoginsOnly)
		out, err := h.Register(t.Context(), in)
		if err != nil || *out != (Session{}) {
			t.Errorf("%+v, %v; want no tokens", out, err)
		}
		h.activation(t, "ada@example.com")
		if n := h.count(t, `SELECT count(*) FROM sessions`); n != 0 {
			t.Errorf("%d sessions, want 0", n)
		}
	})
	t.Run("no mail", func(t *testing.T) {
		h := newHarness(t, noActivationMail)
		h.fillOutbox(t) // no matter
		if out, err := h.Register(t.Context(), in); err != nil || out.Token == "" {
			t.Errorf("session %+v, error %v, want a login", out, err)
		}
		if sent := h.mails(t); len(sent) != 0 || h.count(t, `SELECT count(*) FROM outbox`) != maxOutbox {
			t.Errorf("mails %+v, want none", sent)
		}
	})
	t.Run("no refresh tokens", func(t *testing.T) {
		h := newHarness(t, noRefreshTokens)
		if out, err := h.Register(t.Context(), in); err != nil || out.Token == "" || out.RefreshToken != "" ||
			out.RefreshExpiresIn != 0 {
			t.Errorf("session %+v, error %v, want a login", out, err)
		}
	})
	t.Run("every rule off", func(t *testing.T) {
		h := newHarness(t, func(s *Settings, _ *tokens.Settings) {
			s.Passwords = passwords.Settings{MaxBytes: 1024, Argon2: s.Passwords.Argon2}
		})
		if _, err := h.Register(t.Context(), registration("1@example.com", "1", "1", "1")); err != nil {
			t.Error(err)
		}
	})
}

// TestRegisterAtOnce: of parallel registrations one succeeds, whatever the checks before the hash have found. The
// others get the same errors as a later one.
func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	const n = 64
	tests := []struct {
		name string
		in   func(i int) RegisterInput
		want Errors
	}{
		{"one address", func(i int) RegisterInput {
			return registration([]string{"ada@example.com", "ADA@example.com"}[i%2], fmt.Sprintf("user%d", i), password,
				password)
		}, emailInUse},
		{"one username", func(i int) RegisterInput {
			return registration(fmt.Sprintf("user%d@example.com", i), []string{"ada", "ADA"}[i%2], password, password)
		}, usernameInUse},
		{"both", func(int) RegisterInput { return registration("ada@example.com", "ada", password, password) },
			usernameInUse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			errs := atOnce(n, func(i int) error { return h.register(t, test.in(i))() })
			if good, refused := verdicts(t, errs, test.want); good != 1 || refused != n-1 {
				t.Errorf("%d registered, %d refused, want 1 and %d", good, refused, n-1)
			}
			for _, table := range []string{"users", "user_status", "addresses", "sessions", "refresh_tokens"} {
				if rows := h.count(t, "SELECT count(*) FROM "+table); rows != 1 {
					t.Errorf("%s has %d rows, want 1", table, rows)
				}
			}
			if sent := h.mails(t); len(sent) != 1 {
				t.Errorf("%d mails, want 1", len(sent))
			}
			h.happened(t, "user_registered 1")
		})
	}
	t.Run("taken while hashing", func(t *testing.T) {
		h := newHarness(t, oneHashAtATime)
		errs := h.whileHashing(t, func() {
			h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com", NoPassword: true})
		}, h.register(t, registration("ada@example.com", "bob", password, password)),
			h.register(t, registration("bob@example.com", "ada", password, password)))
		if want := []error{emailInUse, usernameInUse}; !cmp.Equal(errs, want) {
			t.Errorf("errors %#v, want %#v", errs, want)
		}
	})
}
