package accountdtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"accountd/accountdtest"
)

// ask posts a query, and gives the answer as it came.
func ask(t testing.TB, client *http.Client, server *accountdtest.Server, query string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(server.URL+"/graphql", "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

const me = "{ me { username email verified archived isStaff } }"

func TestUsers(t *testing.T) {
	server := accountdtest.New(t)
	for i, test := range []struct {
		name   string
		states []accountdtest.State
		want   string // of me, after the login
	}{
		{"ordinary", nil, `"verified":false,"archived":false,"isStaff":false`},
		{"verified", []accountdtest.State{accountdtest.Verified}, `"verified":true,"archived":false,"isStaff":false`},
		{"archived", []accountdtest.State{accountdtest.Verified, accountdtest.Archived},
			`"verified":true,"archived":false,"isStaff":false`}, // until the login
		{"staff", []accountdtest.State{accountdtest.Staff}, `"verified":false,"archived":false,"isStaff":true`},
		{"superuser", []accountdtest.State{accountdtest.Superuser},
			`"verified":false,"archived":false,"isStaff":false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := server.User(t, test.states...)
			if u.ID != int64(i+1) || u.Username != fmt.Sprintf("user%d", i+1) || u.Email != u.Username+"@example.com" ||
				u.Password == "" {
				t.Errorf("got %+v, want user %d with a password", u, i+1)
			}
			want := fmt.Sprintf(`{"data":{"me":{"username":%q,"email":%q,%s}}}`, u.Username, u.Email, test.want)
			if got := ask(t, server.Client(t, u), server, me); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	for _, state := range []accountdtest.State{accountdtest.Inactive, accountdtest.Passwordless} {
		u := server.User(t, state)
		if (u.Password == "") != (state == accountdtest.Passwordless) {
			t.Errorf("%s: got %+v, want a password unless passwordless", state, u)
		}
		if failed := fails(t, func(t testing.TB) { server.Client(t, u) }); !strings.Contains(failed, "cannot log in") {
			t.Errorf("%s: %q, want text with %q", state, failed, "cannot log in")
		}
	}
}

// broken is a test that may fail.
type broken struct {
	testing.TB
	said string
}

func (b *broken) Fatalf(format string, args ...any) { b.said = fmt.Sprintf(format, args...); panic(b) }

// fails runs fn and returns what it fails with.
func fails(t *testing.T, fn func(testing.TB)) (said string) {
	t.Helper()
	b := &broken{TB: t}
	defer func() {
		if p := recover(); p != nil && p != any(b) {
			panic(p)
		}
		said = b.said
	}()
	fn(b)
	return ""
}

// TestMail: the newest mail to an address, whatever its case.
func TestMail(t *testing.T) {
	server := accountdtest.New(t)
	u := server.User(t, accountdtest.Verified)
	if said := fails(t, func(t testing.TB) { server.Mail(t, u.Email) }); said != "no mail went to "+u.Email {
		t.Errorf("%q, want %q", said, "no mail went to "+u.Email)
	}
	for i := range 2 {
		server.Clock.Advance(time.Hour)
		ask(t, http.DefaultClient, server, `mutation { sendPasswordResetEmail(email: "`+u.Email+`") { success } }`)
		m := server.Mail(t, strings.ToUpper(u.Email))
		if m.To != u.Email || m.Subject != "Reset your password on accountd" || m.Link != server.URL+"/password-reset/"+
			m.Token || len(m.Token) < 40 ||
			!strings.Contains(m.Text, m.Link) || !strings.Contains(m.HTML, m.Link) ||
			!m.Date.Equal(server.Clock.Now().Truncate(time.Second)) {
			t.Errorf("mail %d: got %+v, want a reset mail of %s with link and token", i, m, server.Clock.Now())
		}
	}
}

// TestClock: tokens expire by it.
func TestClock(t *testing.T) {
	server := accountdtest.New(t)
	client := server.Client(t, server.User(t))
	for _, step := range []struct {
		move func()
		want string
	}{
		{func() { server.Clock.Advance(4 * time.Minute) }, "user1"},
		{func() { server.Clock.Advance(2 * time.Minute) }, `"me":null`},
		{func() { server.Clock.Set(server.Clock.Now().Add(-3 * time.Minute)) }, "user1"},
	} {
		step.move()
		if got := ask(t, client, server, me); !strings.Contains(got, step.want) {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
}

// TestConfig: settings of Config are in force, also for the client, and fixed settings keep their values.
func TestConfig(t *testing.T) {
	server := accountdtest.New(t, accountdtest.Config(`
[server]
listen = "0.0.0.0:80"
public_url = "https://accounts.example.com"
[tokens]
header_name = "X-Token"
header_prefixes = ["Acme"]
keys_file = "/nowhere/keys.json"
[accounts]
register_fields = ["email"]
login_fields = ["email"]
[email]
spool_dir = "/nowhere/spool"
site_name = "Acme"
`))
	u := server.User(t)
	client := server.Client(t, u)
	if got := ask(t, client, server, me); u.Username != u.Email ||
		!strings.Contains(got, `"email":"user1@example.com"`) {
		t.Errorf("%+v, %s, want %v, text with %q", u, got, u.Email, `"email":"user1@example.com"`)
	}
	ask(t, http.DefaultClient, server, `mutation { resendActivationEmail(email: "user1@example.com") { success } }`)
	if m := server.Mail(t, u.Email); m.Subject != "Activate your account on Acme" ||
		!strings.HasPrefix(m.Link, server.URL) {
		t.Errorf("%+v, want %q, text with %q", m, "Activate your account on Acme", server.URL)
	}
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") != "" {
			t.Error("another host gets the token")
		}
	}))
	defer other.Close()
	resp, err := client.Get(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestExamples runs what the documentation shows, with a test of its own for each.
func TestExamples(parent *testing.T) {
	for name, example := range map[string]func(){
		"package": Example, "Config": ExampleConfig, "Server.Mail": ExampleServer_Mail, "Clock": ExampleClock,
	} {
		parent.Run(name, func(own *testing.T) {
			t = own
			example()
		})
	}
}

// TestSignUp: a user registers, follows the link in the mail, and is verified.
func TestSignUp(t *testing.T) {
	server := accountdtest.New(t)
	ask(t, http.DefaultClient, server, `mutation { register(
		email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: "quiet-otter-42"
	) { success } }`)
	mail := server.Mail(t, "ada@example.com")
	const verified = `{"data":{"verifyAccount":{"success":true}}}`
	query := `mutation { verifyAccount(token: "` + mail.Token + `") { success } }`
	if got := ask(t, http.DefaultClient, server, query); got != verified {
		t.Errorf("got %s, want %s", got, verified)
	}
	ada := &accountdtest.User{Username: "ada", Email: "ada@example.com", Password: "quiet-otter-42"}
	const want = `{"data":{"me":{"username":"ada","verified":true}}}`
	if got := ask(t, server.Client(t, ada), server, "{ me { username verified } }"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
