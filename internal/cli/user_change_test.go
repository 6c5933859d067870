package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"accountd/accounts"
)

const goodPassword = "quiet-otter-42"

func (w *world) addAda() {
	w.t.Helper()
	w.stdin = goodPassword
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--secondary-email=ada@home.example",
		"--password-stdin", "--verified")
	w.stdin = ""
}

// login begins a session of ada's.
func (w *world) login() *accounts.Session {
	w.t.Helper()
	a := w.app()
	svc, err := a.accounts()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := svc.Login(w.t.Context(), accounts.LoginInput{Username: new("ada"), Password: goodPassword})
	if err := a.end(err); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestUserSet(t *testing.T) {
	w := newWorld(t)
	w.addAda()
	equal(t, w.ok("user", "set", "ada", "--username=Countess", "--email=New@Example.com", "--secondary-email=",
		"--first-name=Ada", "--last-name=King",
		"--no-verified", "--archived", "--no-active", "--staff", "--superuser"),
		`id:        1
username:  Countess
email:     New@example.com
secondary: -
name:      Ada King
state:     unverified, archived, inactive, staff, superuser
joined:    2027-01-15 08:00:00 UTC
`)
	equal(t, w.ok("user", "set", "countess", "--first-name=", "--last-name=", "--verified", "--no-archived", "--active",
		"--no-staff", "--no-superuser",
		"--secondary-email=Second@example.com", "--json"),
		`{"id":1,"username":"Countess","email":"New@example.com","verified":true,"archived":false,`+
			`"is_active":true,"is_staff":false,"secondary_email":"Second@example.com"}`+"\n")
	before := w.ok("user", "show", "1")
	w.fails(exitFailure, "accountd: email: Enter a valid email address.\naccountd: username: This field is required.\n",
		"user", "set", "1", "--staff", "--email=x", "--username=")
	w.fails(exitFailure, "accountd: there is no such user: \"nobody\" is no id, username or address\n", "user", "set",
		"nobody", "--staff")
	w.fails(exitUsage, "accountd: user set: say what is to change, as in --email=ada@example.com or --no-staff\nTry "+
		"accountd --help.\n", "user", "set", "1")
	w.fails(exitUsage, "accountd: user set: say what is to change, as in --email=ada@example.com or --no-staff\nTry "+
		"accountd --help.\n", "user", "set", "1", "--json")
	equal(t, w.ok("user", "show", "1"), before)
	if sent, err := filepath.Glob(w.path("data/spool/*/*")); err != nil || len(sent) > 0 {
		t.Errorf("got the mails %v, %v, want none", sent, err)
	}
}

// TestUserUnlock: user show reports refused logins, for how long, and the remedy, which user set --unlock is.
func TestUserUnlock(t *testing.T) {
	w := newWorld(t)
	w.environ = append(w.environ, "ACCOUNTD_LIMITS_CONSECUTIVE_FAILURES=20")
	w.addAda()
	lacks(t, w.ok("user", "show", "ada"), "logins")
	lacks(t, w.ok("user", "show", "ada", "--json"), "throttled")
	w.failLogins(11)
	ends(t, w.ok("user", "show", "ada"),
		"\nlogins:    refused until 2027-01-15 08:15:00 UTC, after 10 wrong passwords in a row, except from "+
			"networks of their own; user set --unlock lets them in\n")
	ends(t, w.ok("user", "show", "ada", "--json"),
		`,"throttled":{"failures":10,"refused":1,"until":"2027-01-15T08:15:00+00:00"}}`+"\n")
	w.environ = append(w.environ, "ACCOUNTD_LIMITS_LOGINS_PER_ACCOUNT=off")
	w.failLogins(10)
	ends(t, w.ok("user", "show", "ada"),
		"\nlogins:    refused until there is a new password, after 20 wrong passwords in a row, except from "+
			"networks of their own; user set --unlock lets them in\n")
	ends(t, w.ok("user", "show", "ada", "--json"), `,"throttled":{"failures":20,"refused":1,"until":null}}`+"\n")
	lacks(t, w.ok("user", "set", "ada", "--unlock"), "logins")
	w.login()
}

// failLogins gives ada's account wrong passwords.
func (w *world) failLogins(n int) {
	w.t.Helper()
	a := w.app()
	svc, err := a.accounts()
	if err != nil {
		w.t.Fatal(err)
	}
	for range n {
		in := accounts.LoginInput{Username: new("ada"), Password: "wrong"}
		if _, err := svc.Login(w.t.Context(), in); err == nil {
			w.t.Error("a wrong password: got a login, want an error")
		}
	}
	if err := a.end(nil); err != nil {
		w.t.Fatal(err)
	}
}

func TestUserSetPassword(t *testing.T) {
	w := newWorld(t)
	w.addAda()
	w.login()
	w.stdin = "12345\n"
	w.fails(exitFailure, `accountd: password: This password is too short. It must contain at least 8 characters.
accountd: password: This password is too common.
accountd: password: This password is entirely numeric.
`, "user", "set-password", "ada", "--password-stdin")
	w.fails(exitUsage, "accountd: missing flags: --password-stdin\nTry accountd --help.\n", "user", "set-password",
		"ada")
	w.stdin = "  brisk heron 71 \r\nignored\n"
	if out := w.ok("user", "set-password", "ada", "--password-stdin", "--json"); !strings.HasPrefix(out,
		`{"id":1,"username":"ada",`) {
		t.Errorf("got %q, want text with %q", out, `{"id":1,"username":"ada",`)
	}
	if out := w.ok("user", "sessions", "ada"); !strings.Contains(out, "ended: password set by an operator") ||
		strings.Contains(out, "live") {
		t.Errorf("got %q, want all sessions ended by the operator", out)
	}
}

func TestUserDelete(t *testing.T) {
	w := newWorld(t)
	w.addAda()
	w.login()
	equal(t, w.ok("user", "delete", "ada", "--json"),
		`{"id":1,"username":"ada","email":"ada@example.com","verified":true,"archived":false,"is_active":false,`+
			`"is_staff":false,"secondary_email":"ada@home.example"}`+"\n")
	if out := w.ok("user", "sessions", "1"); !strings.Contains(out, "ended: account deleted") {
		t.Errorf("got %q, want text with %q", out, "ended: account deleted")
	}
	if out := w.ok("user", "delete", "ada", "--permanently"); !strings.Contains(out, "ada@home.example") {
		t.Errorf("got %q, want text with %q", out, "ada@home.example")
	}
	w.fails(exitFailure, "accountd: there is no such user: \"ada\" is no id, username or address\n", "user", "delete",
		"ada")
	w.environ = append(w.environ, "ACCOUNTD_ACCOUNTS_DELETE_PERMANENTLY=true")
	w.addAda()
	w.ok("user", "delete", "ada")
	equal(t, w.ok("user", "list"), "ID  USERNAME  EMAIL  STATE\n")
}

func TestUserSessions(t *testing.T) {
	w := newWorld(t)
	w.addAda()
	equal(t, w.ok("user", "sessions", "ada"), "ID  CREATED  REFRESHED  EXPIRES  STATE\n")
	ids := []int64{w.login().Payload.Session, w.login().Payload.Session, w.login().Payload.Session}
	slices.Sort(ids)
	revoke := fmt.Sprintf("--revoke=%d", ids[1])
	equal(t, w.ok("user", "sessions", "ada", revoke),
		fmt.Sprintf(`ID                   CREATED              REFRESHED            EXPIRES              STATE
%d  2027-01-15 08:00:00  2027-01-15 08:00:00  2027-01-22 08:00:00  live
%d  2027-01-15 08:00:00  2027-01-15 08:00:00  2027-01-22 08:00:00  ended: revoked by an operator
%d  2027-01-15 08:00:00  2027-01-15 08:00:00  2027-01-22 08:00:00  live
`, ids[2], ids[1], ids[0]))
	w.fails(exitFailure, fmt.Sprintf("accountd: there is no such session: %d is no live session of \"ada\"\n", ids[1]),
		"user", "sessions", "ada", revoke)
	w.fails(exitFailure, "accountd: there is no such user: \"eve\" is no id, username or address\n", "user", "sessions",
		"eve", "--revoke-all")
	w.fails(exitUsage, "accountd: --revoke takes the id of a session, as `user sessions` lists them\nTry accountd "+
		"--help.\n", "user", "sessions", "ada", "--revoke=0")
	w.fails(exitUsage, "accountd: --revoke and --revoke-all can't be used together\nTry accountd --help.\n", "user",
		"sessions", "ada", "--revoke=1", "--revoke-all")
	first := fmt.Sprintf(`{"id":"%d","created_at":1800000000,"refreshed_at":1800000000,"expires_at":1800604800,`,
		ids[0])
	lines := strings.Split(w.ok("user", "sessions", "ada", "--json"), "\n")
	if len(lines) != 4 || lines[2] != first+`"ended_at":null,"state":"live","end_reason":null}` {
		t.Errorf("%q, want 4, %v", lines, first+`"ended_at":null,"state":"live","end_reason":null}`)
	}
	lines = strings.Split(w.ok("user", "sessions", "ada", "--revoke-all", "--json"), "\n")
	if lines[2] != first+`"ended_at":1800000000,"state":"ended","end_reason":"revoked by an operator"}` ||
		!strings.Contains(lines[0], `"state":"ended"`) {
		t.Errorf("got %q, want all sessions revoked, one before", lines)
	}
}
