package schema_test

import (
	"testing"
	"time"

	"accountd/accounts"
	"accountd/internal/store"
	"accountd/tokens"
)

// TestRefusedStates has every refusal by the state of an account, a session or a token, in both flavours.
func TestRefusedStates(t *testing.T) {
	t.Parallel()
	const (
		wrong = `{"success":false,"errors":{"nonFieldErrors":[{"message":"Please, enter valid credentials.",` +
			`"code":"invalid_credentials"}]}}`
		notVerified = `{"success":false,"errors":{"nonFieldErrors":[{"message":"Please verify your account.",` +
			`"code":"not_verified"}]}}`
		invalid = `{"success":false,"errors":` + invalidToken + `}`
		expired = `{"success":false,"errors":` + expiredToken + `}`
		login   = `username: "ada", password: "` + goodPassword + `"`
	)
	verifiedOnly := func(o *options) { o.accounts.AllowLoginNotVerified = false }
	type state struct {
		*site
		f    flavour
		link string  // token that verifies ada
		old  session // of ada
	}
	refresh := func(s *state) string { return `refreshToken: "` + s.old.RefreshToken + `"` }
	access := func(s *state) string { return `token: "` + s.old.Token + `"` }
	verify := func(s *state) string { return `token: "` + s.link + `"` }
	inactive := `UPDATE users SET is_active = 0`
	tests := []struct {
		name     string
		change   func(*options)
		sql      []string
		pass     time.Duration
		prepare  func(*testing.T, *state)
		mutation string
		args     func(*state) string
		want     string
	}{
		{name: "inactive", sql: []string{inactive}, mutation: "tokenAuth", args: func(*state) string { return login },
			want: wrong},
		{name: "inactive", sql: []string{inactive}, mutation: "verifyToken", args: access, want: invalid},
		{name: "inactive", sql: []string{inactive}, mutation: "refreshToken", args: refresh, want: invalid},
		{name: "inactive", sql: []string{inactive}, mutation: "verifyAccount", args: verify, want: invalid},
		{name: "archived", sql: []string{`UPDATE user_status SET archived = 1`}, mutation: "refreshToken",
			args: refresh, want: invalid},
		{name: "unverified", change: verifiedOnly, mutation: "tokenAuth", args: func(*state) string { return login },
			want: notVerified},
		{name: "unverified and wrong", change: verifiedOnly, mutation: "tokenAuth",
			args: func(*state) string { return `username: "ada", password: "x"` }, want: wrong},
		{
			name: "unverified since", change: verifiedOnly, mutation: "refreshToken",
			prepare: func(t *testing.T, s *state) {
				s.exec(t, `UPDATE user_status SET verified = 1`)
				s.old = s.session(t, s.f, "tokenAuth", login)
				s.exec(t, `UPDATE user_status SET verified = 0`)
			},
			args: refresh, want: invalid,
		},
		{name: "session ended", prepare: func(t *testing.T, s *state) {
			s.run(t, s.f, "revokeToken", refresh(s),
				"success")
		},
			mutation: "verifyToken", args: access, want: invalid},
		{name: "too old", pass: 5 * time.Minute, mutation: "verifyToken", args: access, want: expired},
		{name: "too old", pass: 7 * 24 * time.Hour, mutation: "refreshToken", args: refresh, want: invalid},
		{name: "too old is still revoked", pass: 8 * 24 * time.Hour, mutation: "revokeToken", args: refresh,
			want: `{"success":true,"errors":null}`},
		{
			name: "stolen", mutation: "verifyToken", args: access, want: invalid,
			prepare: func(t *testing.T, s *state) {
				next := s.session(t, s.f, "refreshToken", refresh(s))
				s.session(t, s.f, "refreshToken", `refreshToken: "`+next.RefreshToken+`"`)
				s.pass(21 * time.Second)
				if got := s.run(t, s.f, "refreshToken", refresh(s), "success errors"); got != invalid {
					t.Errorf("got %s, want %s", got, invalid)
				}
			},
		},
		{name: "gone", sql: []string{`DELETE FROM refresh_tokens`, `DELETE FROM sessions`, `DELETE FROM user_status`,
			`DELETE FROM addresses`, `DELETE FROM users`},
			mutation: "verifyAccount", args: verify, want: invalid},
		{name: "another address", sql: []string{`INSERT INTO addresses (canonical, user_id, address) SELECT ` +
			`'new@acme.example', id, 'new@acme.example' FROM users`,
			`UPDATE users SET email = 'new@acme.example'`}, mutation: "verifyAccount", args: verify, want: invalid},
	}
	for _, f := range flavours {
		for _, test := range tests {
			t.Run(f.name+" "+test.mutation+" "+test.name, func(t *testing.T) {
				var changes []func(*options)
				if test.change != nil {
					changes = append(changes, test.change)
				}
				s := &state{site: newSite(t, changes...), f: f}
				if _, err := s.svc.AddUser(t.Context(), accounts.AddUserInput{Username: "ada",
					Email: "ada@acme.example", Password: goodPassword}); err != nil {
					t.Fatal(err)
				}
				link, err := s.svc.Link(t.Context(), tokens.Activation, "ada", "")
				if err != nil {
					t.Fatal(err)
				}
				s.link = link.Token
				if test.change == nil {
					s.old = s.session(t, f, "tokenAuth", login)
				}
				s.exec(t, test.sql...)
				s.pass(test.pass)
				if test.prepare != nil {
					test.prepare(t, s)
				}
				if got := s.run(t, f, test.mutation, test.args(s), "success errors"); got != test.want {
					t.Errorf("\n got %s\nwant %s", got, test.want)
				}
			})
		}
	}
}

// TestResendRevealsNothing: the answer is the same for every address. Only an unverified account gets mail, at its
// stored address.
func TestResendRevealsNothing(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t)
		for _, in := range []accounts.AddUserInput{
			{Username: "verified", Email: "verified@acme.example", Verified: true}, {Username: "inactive",
				Email: "inactive@acme.example", Inactive: true},
			{Username: "unverified", Email: "Unverified@acme.example"},
		} {
			in.NoPassword = true
			if _, err := s.svc.AddUser(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}
		for name, mails := range map[string]int{"nobody": 0, "verified": 0, "inactive": 0, "UNVERIFIED": 1} {
			before := len(s.mails(t))
			if got := s.run(t, f, "resendActivationEmail", `email: "`+name+`@ACME.example"`,
				"success errors"); got != `{"success":true,"errors":null}` {
				t.Errorf("%s %s: got %s, want %s", f.name, name, got, `{"success":true,"errors":null}`)
			}
			if got := len(s.mails(t)) - before; got != mails {
				t.Errorf("%s %s: %d mails, want %d", f.name, name, got, mails)
			}
		}
		s.activationToken(t, "Unverified") // the address as its owner wrote it
	}
}

func (s *site) exec(tb testing.TB, statements ...string) {
	tb.Helper()
	err := s.db.Write(tb.Context(), func(tx *store.Tx) error {
		for _, statement := range statements {
			if _, err := tx.ExecContext(tb.Context(), statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}
