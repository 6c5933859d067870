package api_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
)

// row describes one mutation: what it requires of its caller, and its responses to one who meets that.
type row struct {
	args     string // $password is the caller's, or a wrong one; $name is nobody's yet
	needs    string // of login, verified, secondary and password, as many as it asks for
	key      string // the answer to a wrong password, for one that needs it
	done     string // the answer when nothing is missing
	mistaken string // the same with the wrong password, where that is no need but just an argument; "": done
}

const newPasswords = `newPassword1: "brisk-heron-17", newPassword2: "brisk-heron-17"`

// prologues has a row for every mutation of the API; TestPrologues fails for a missing one.
var prologues = map[string]row{
	"passwordChange": {
		args:  `oldPassword: "$password", ` + newPasswords,
		needs: "login verified password", key: "WRONGOLD", done: `ok {"token":"*","refreshToken":"*"}`,
	},
	"updateAccount": {args: `firstName: "$name"`, needs: "login verified", done: "ok"},
	"archiveAccount": {args: `password: "$password"`, needs: "login verified password", key: "WRONGPASSWORD",
		done: "ok"},
	"deleteAccount": {args: `password: "$password"`, needs: "login verified password", key: "WRONGPASSWORD",
		done: "ok"},
	"sendSecondaryEmailActivation": {args: `email: "$name@example.com", password: "$password"`,
		needs: "login verified password", key: "WRONGPASSWORD", done: "ok"},
	"swapEmails": {args: `password: "$password"`, needs: "login verified secondary password",
		key: "WRONGPASSWORD", done: "ok"},
	"removeSecondaryEmail": {args: `password: "$password"`, needs: "login verified secondary password",
		key: "WRONGPASSWORD", done: "ok"},

	"register": {
		args: `email: "$name@example.com", username: "$name", password1: "$password", password2: "$password"`,
		done: `ok {"token":"*","refreshToken":"*"}`,
	},
	"tokenAuth": {
		args:     `username: "grace", password: "$password"`,
		done:     `ok {"token":"*","refreshToken":"*","unarchiving":false,"user":{"username":"grace"}}`,
		mistaken: "CREDENTIALS",
	},
	"resendActivationEmail":    {args: `email: "$name@example.com"`, done: "ok"},
	"sendPasswordResetEmail":   {args: `email: "$name@example.com"`, done: "ok"},
	"verifyAccount":            {args: `token: "$password"`, done: "INV"},
	"passwordReset":            {args: `token: "$password", ` + newPasswords, done: "INV"},
	"passwordSet":              {args: `token: "$password", ` + newPasswords, done: "INV"},
	"verifySecondaryEmail":     {args: `token: "$password"`, done: "INV"},
	"verifyToken":              {args: `token: "$password"`, done: "INV"},
	"refreshToken":             {args: `refreshToken: "$password"`, done: "INV"},
	"revokeToken":              {args: `refreshToken: "$password"`, done: "INV"},
	"deleteTokenCookie":        {done: `payload {"deleted":false}`},
	"deleteRefreshTokenCookie": {done: `payload {"deleted":false}`},
}

// caller is the sender of a mutation, with the access token of an earlier login if there is an account.
type caller struct {
	name  string
	flags string // of user add
	then  string // a command after the login
	row   string // an UPDATE of the row of user_id after the login
	has   string // of login, verified and secondary
}

// callers are all states of an account. A state that ends the sessions leaves a token that authenticates no account,
// so the API treats its holder as anonymous. The session decides: an account that was archived in the file, with its
// session left open, is authenticated. An inactive account is not, with or without a session.
var callers = []caller{
	{name: "anonymous"},
	{name: "unverified", has: "login"},
	{name: "unverified with secondary", flags: "--secondary-email $user.2@example.com", has: "login secondary"},
	{name: "verified", flags: "--verified", has: "login verified"},
	{name: "verified with secondary", flags: "--verified --secondary-email $user.2@example.com",
		has: "login verified secondary"},
	{name: "staff", flags: "--verified --staff --superuser", has: "login verified"},
	{name: "unverified staff", flags: "--staff --superuser", has: "login"},
	{name: "archived", flags: "--verified", then: "user set $user --archived"},
	{name: "archived in a session", flags: "--verified", row: `UPDATE user_status SET archived = 1 WHERE user_id = ?`,
		has: "login verified"},
	{name: "unverified, archived in a session", row: `UPDATE user_status SET archived = 1 WHERE user_id = ?`,
		has: "login"},
	{name: "inactive", flags: "--verified --secondary-email $user.2@example.com", then: "user set $user --no-active"},
	{name: "inactive in a session", flags: "--verified --secondary-email $user.2@example.com",
		row: `UPDATE users SET is_active = 0 WHERE id = ?`},
	{name: "deleted for good", flags: "--verified --secondary-email $user.2@example.com",
		then: "user delete $user --permanently"},
}

// answer returns the expected result for a caller: the first check of the API that fails, in the API's order.
func (r row) answer(c caller, right bool) string {
	lacks := func(need string) bool {
		return strings.Contains(r.needs, need) && !strings.Contains(" "+c.has, " "+need)
	}
	switch {
	case lacks("login"):
		return "UNAUTH"
	case lacks("verified"):
		return "UNVERIFIED"
	case lacks("secondary"):
		return "NOSECONDARY"
	case r.key != "" && !right:
		return r.key
	case r.mistaken != "" && !right:
		return r.mistaken
	default:
		return r.done
	}
}

// TestPrologues sends every mutation as every caller, with the right password and with wrong ones, in both flavours.
// A refusal leaves account and session unchanged.
func TestPrologues(t *testing.T) {
	t.Parallel()
	for _, flavour := range []string{"plain", "relay"} {
		t.Run(flavour, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, flavour == "relay")
			defer func() { s.stop() }()
			s.where = "preparation"
			s.vars["password"] = "quiet-otter-42"
			s.statement("config", []string{"[email]", "notices = false"})
			s.command([]string{"user", "add", "--username", "grace", "--email", "grace@example.com",
				"--password-stdin"},
				[]string{"< quiet-otter-42"})
			if diff := cmp.Diff(slices.Sorted(maps.Keys(prologues)), slices.Sorted(maps.Keys(s.outputs))); diff != "" {
				t.Fatalf("every mutation has a row (-rows +mutations):\n%s", diff)
			}
			n := 0
			for _, name := range slices.Sorted(maps.Keys(prologues)) {
				for _, c := range callers {
					n++
					t.Run(name+"/"+c.name, func(t *testing.T) {
						defer func(outer *testing.T) { s.T = outer }(s.T)
						s.T = t
						s.cell(name, c, fmt.Sprintf("u%d", n))
					})
				}
			}
		})
	}
}

// cell sends one mutation as one caller; user names the caller's account.
func (s *script) cell(name string, c caller, user string) {
	const password = "quiet-otter-42"
	s.vars["user"], s.as = user, ""
	s.where = "preparation"
	delete(s.vars, "caller")
	if c.name != "anonymous" {
		add := "user add --username $user --email $user@example.com --password-stdin --json " + c.flags
		s.command(strings.Fields(s.expand(add)), []string{"< " + password, `$ id "id":(\d+)`})
		s.mutation(`tokenAuth(username: "$user", password: "`+password+`")`, []string{`-> ok {"token":"$caller"}`})
		s.as = "caller"
	}
	if c.then != "" {
		s.command(strings.Fields(s.expand(c.then)), nil)
	}
	if c.row != "" {
		s.update(c.row, s.vars["id"])
	}
	r := prologues[name]
	tries := []string{"wrong", password}
	if r.key != "" {
		tries = []string{"wrong", "", " " + password, strings.ToUpper(password), password}
	}
	for i, try := range tries {
		right := try == password
		s.where = fmt.Sprintf("password number %d", i)
		s.vars["password"], s.vars["name"] = try, fmt.Sprintf("new-%s-%d", user, i)
		if name == "register" {
			s.vars["password"] = password
		}
		const me = `{ me { email secondaryEmail firstName verified archived isActive lastLogin } }`
		before := string(s.post(me).Data)
		want := r.answer(c, right)
		s.mutation(name+"("+r.args+")", []string{"-> " + want})
		if after := string(s.post(me).Data); want != r.done && after != before {
			s.Errorf("%s: refused, and yet me was\n%s and is\n%s", s.where, before, after)
		}
	}
}

// update changes one row in the server's database directly.
func (s *script) update(statement, id string) {
	db, err := store.Open(s.Context(), filepath.Join(s.dir, "data", "accountd.db"), s.now)
	if err != nil {
		s.fail("%v", err)
	}
	defer db.Close()
	err = db.Write(s.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(s.Context(), statement, id)
		return err
	})
	if err != nil {
		s.fail("%v", err)
	}
}
