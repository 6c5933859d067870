// Package accountdtest runs accountd inside a Go test: the whole program, in the process of the test, on a free port of
// 127.0.0.1, with a temporary directory, cheap hashing and a clock that the test sets. The server ends with the test.
//
//	server := accountdtest.New(t)
//	ada := server.User(t, accountdtest.Verified)
//	response, err := server.Client(t, ada).Post(server.URL+"/graphql", "application/json", query)
//
// Environment and working directory have no effect: settings are the defaults and those of [Config].
package accountdtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"accountd/internal/cli"
	"accountd/internal/config"
)

// Server is a running accountd.
type Server struct {
	URL   string // http://127.0.0.1:PORT; the API is at /graphql and /relay
	Clock *Clock // the time of the server

	settings string // path of the file
	config   *config.Config
	dataDir  string
	users    atomic.Int64
}

// Option is an option of New.
type Option struct{ settings string }

// Config sets the text of config.toml. Its settings of address, data directory, keys, spool and cost of hashing have no
// effect.
func Config(toml string) Option { return Option{toml} }

// New starts a server. It stops the server at the end of the test, which fails if the server exits with an error. The
// log of the server is written to the log of the test.
func New(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var settings string
	for _, opt := range opts {
		settings = opt.settings
	}
	s := &Server{Clock: &Clock{now: time.Now()}, settings: filepath.Join(t.TempDir(), "config.toml")}
	if err := os.WriteFile(s.settings, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		code := cli.Run(ctx, cli.Env{
			Args:   []string{"serve", "--ephemeral", "--config", s.settings},
			Stdout: in, Stderr: t.Output(), Now: s.Clock.Now,
		})
		in.Close()
		exit <- code
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-exit; code != 0 && !t.Failed() {
			t.Errorf("accountd exits with %d", code)
		}
	})
	var ready struct {
		URL     string `json:"url"`
		DataDir string `json:"data_dir"`
	}
	err := json.NewDecoder(bufio.NewReader(out)).Decode(&ready)
	if err != nil {
		t.Fatal("accountd does not start; its log says why")
	}
	s.URL, s.dataDir = ready.URL, ready.DataDir
	if s.config, err = config.Load(s.settings, nil, config.Overrides{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// State is a state of a user.
type State string

// The states of users. A user without any is active, not verified, and has a password.
const (
	Verified     State = "--verified"
	Archived     State = "--archived"
	Inactive     State = "--inactive"
	Staff        State = "--staff"
	Superuser    State = "--superuser"
	Passwordless State = "--no-password"
)

// User is an account. Password is "" for a passwordless one.
type User struct {
	ID                        int64
	Username, Email, Password string
}

// User adds an account with a new name in the given states. No mail is sent.
func (s *Server) User(t testing.TB, states ...State) *User {
	t.Helper()
	name := fmt.Sprintf("user%d", s.users.Add(1))
	u := &User{Email: name + "@example.com", Password: "quiet-otter-42"}
	args := []string{"user", "add", "--json", "--email", u.Email, "--config", s.settings, "--data-dir", s.dataDir}
	if slices.Contains(s.config.Accounts.RegisterFields, "username") {
		args = append(args, "--username", name)
	}
	for _, state := range states {
		args = append(args, string(state))
	}
	if slices.Contains(states, Passwordless) {
		u.Password = ""
	} else {
		args = append(args, "--password-stdin")
	}
	var out, problems bytes.Buffer
	code := cli.Run(t.Context(), cli.Env{
		Args: args, Environ: cheapHashing, Stdin: strings.NewReader(u.Password + "\n"),
		Stdout: &out, Stderr: &problems, Now: s.Clock.Now,
	})
	if code != 0 {
		t.Fatalf("add a user: %s", problems.String())
	}
	if err := json.Unmarshal(out.Bytes(), u); err != nil {
		t.Fatalf("add a user: %v", err)
	}
	return u
}

// cheapHashing is the environment of commands beside the server, with settings that serve --ephemeral fixes itself.
var cheapHashing = []string{
	"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=8KiB", "ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=1",
	"ACCOUNTD_PASSWORDS_ARGON2_PARALLELISM=1", "ACCOUNTD_TOKENS_KEYS_FILE=", "ACCOUNTD_EMAIL_SPOOL_DIR=",
}

// Client logs u in and returns a client that sends the access token of u to the server, and to no other host. The token
// expires by Clock. The login unarchives an archived user.
func (s *Server) Client(t testing.TB, u *User) *http.Client {
	t.Helper()
	field, value := "email", u.Email
	if !slices.Contains(s.config.Accounts.LoginFields, field) {
		field, value = "username", u.Username
	}
	query := fmt.Sprintf(`mutation ($login: String!, $password: String!) {
		tokenAuth(%s: $login, password: $password) { errors token }
	}`, field)
	body, err := json.Marshal(map[string]any{
		"query": query, "variables": map[string]string{"login": value, "password": u.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct{ TokenAuth map[string]any }
	}
	resp, err := http.Post(s.URL+"/graphql", "application/json", bytes.NewReader(body))
	decode(t, resp, err, &answer)
	token, _ := answer.Data.TokenAuth["token"].(string)
	if token == "" {
		t.Fatalf("%s cannot log in: %v", u.Email, answer.Data.TokenAuth["errors"])
	}
	return &http.Client{Transport: &bearer{
		host: strings.TrimPrefix(s.URL, "http://"), header: s.config.Schema.HeaderName,
		value: s.config.Schema.HeaderPrefixes[0] + " " + token,
	}}
}

// bearer sends an access token to one host.
type bearer struct{ host, header, value string }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		r = r.Clone(r.Context())
		r.Header.Set(b.header, b.value)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// Mail is a message from the server. Link ends in Token. Both are "" in notices.
type Mail struct {
	To, Subject, Link, Token, Text, HTML string
	Date                                 time.Time
}

// Mail returns the newest message to an address. The test fails if there is none. No waiting is needed: a message
// exists when the request that caused it is answered.
func (s *Server) Mail(t testing.TB, address string) *Mail {
	t.Helper()
	var mails []*Mail
	resp, err := http.Get(s.URL + "/dev/mail.json?limit=1&to=" + url.QueryEscape(address))
	decode(t, resp, err, &mails)
	if len(mails) == 0 {
		t.Fatalf("no mail went to %s", address)
	}
	return mails[0]
}

// decode reads JSON of a successful response.
func decode(t testing.TB, resp *http.Response, err error, into any) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s: %v: %s", resp.Request.URL, resp.Status, err, raw)
	}
}

// Clock is the clock of a server. It starts at the time of New and stands still until the test moves it.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

// Now returns the time of the server.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set sets the time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the time by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
