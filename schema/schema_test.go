package schema_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/graphqlhttp"
	"accountd/internal/password"
	"accountd/internal/store"
	"accountd/schema"
	"accountd/tokens"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// site serves both flavours of the API over a real service.
type site struct {
	*httptest.Server
	api   *schema.API
	svc   *accounts.Service
	db    *store.DB
	spool string
	log   bytes.Buffer

	mu  sync.Mutex
	now time.Time // guarded by mu
}

type options struct {
	accounts accounts.Settings
	tokens   tokens.Settings
	outbox   int
	headers  []string
	schema   func(*schema.Settings) // changes how the API is served
}

func newSite(tb testing.TB, change ...func(*options)) *site {
	tb.Helper()
	dir := tb.TempDir()
	s := &site{now: time.Unix(1_800_000_000, 0).UTC(), spool: filepath.Join(dir, "spool")}
	o := options{outbox: 10, headers: []string{"JWT", "Bearer"}, accounts: accounts.Settings{
		AllowLoginNotVerified: true, LoginWithSecondaryEmail: true, SendActivationEmail: true,
		LoginFields:    []string{"email", "username"},
		RegisterFields: []string{"email", "username"}, UpdateFields: []string{"first_name", "last_name"},
		Passwords: password.Settings{
			MinLength: 8, Similarity: 0.7, Common: true, Numeric: true, MaxBytes: 1024,
			Argon2: password.Argon2Settings{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: 2, Queue: 64},
		},
	}, tokens: tokens.Settings{
		Algorithm: "HS256", Issuer: "https://acme.example", AccessLifetime: 5 * time.Minute,
		RefreshLifetime: 7 * 24 * time.Hour,
		SessionLifetime: 90 * 24 * time.Hour, RotationGrace: 20 * time.Second, AllowRefresh: true, LongRunning: true,
		Rotation: "rotate", RefreshBytes: 32, SessionsPerUser: 50,
		ActivationLifetime: 7 * 24 * time.Hour, PasswordResetLifetime: time.Hour, PasswordSetLifetime: time.Hour,
		SecondaryEmailLifetime: time.Hour,
	}}
	for _, fn := range change {
		fn(&o)
	}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	s.db, err = store.Open(tb.Context(), filepath.Join(dir, "test.db"), s.clock)
	must(err)
	tb.Cleanup(func() { _ = s.db.Close() })
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", s.clock)
	must(err)
	issuer, err := tokens.New(keys, o.tokens, s.clock)
	must(err)
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	outbox, err := email.New(s.db, keys, email.Settings{
		From: "Acme <accounts@example.org>", SiteName: "Acme", LinkBase: "https://acme.example",
		ActivationPath:     "activate",
		SecondaryEmailPath: "activate", PasswordResetPath: "password-reset", PasswordSetPath: "password-set",
		SpoolDir: s.spool, MaxOutbox: o.outbox,
	}, log)
	must(err)
	must(outbox.Start(tb.Context()))
	s.svc, err = accounts.New(s.db, issuer, outbox, o.accounts, log)
	must(err)
	served := schema.Settings{
		Limits: graphqlhttp.Limits{
			Body: 64 << 10, Query: 16 << 10, Tokens: 1000, Nesting: 20, Fields: 500, Aliases: 20, Depth: 15,
			IntrospectionDepth: 20,
			Fragments:          30, Variables: 50, Directives: 20, Errors: 10, Response: 1 << 20,
			Timeout:   10 * time.Second,
			Documents: 100,
		},
		Introspection: true, Accounts: o.accounts, LongRunning: o.tokens.LongRunning,
		HeaderName: "Authorization", HeaderPrefixes: o.headers,
		Users: "staff", Page: 100, FilterFields: map[string][]string{
			"email": {"exact"}, "username": {"exact", "icontains", "istartswith"}, "is_active": {"exact"},
			"status__archived": {"exact"}, "status__verified": {"exact"}, "status__secondary_email": {"exact"},
		},
		ClientAddr: func(context.Context) string { return "192.0.2.1" },
		RequestID:  func(context.Context) string { return "req-1" }, Log: log,
	}
	if o.schema != nil {
		o.schema(&served)
	}
	s.api, err = schema.New(s.svc, served)
	must(err)
	mux := http.NewServeMux()
	mux.Handle("/graphql", s.api.Handler(schema.Plain))
	mux.Handle("/relay", s.api.Handler(schema.Relay))
	s.Server = httptest.NewServer(mux)
	tb.Cleanup(s.Close)
	return s
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// flavour sends mutations in one of the two flavours.
type flavour struct {
	name, path string
	relay      bool
}

var flavours = []flavour{{"plain", "/graphql", false}, {"relay", "/relay", true}}

// mutation returns a mutation with literal arguments, as in `email: "a@b.example"`.
func (f flavour) mutation(name, args, fields string) string {
	switch {
	case f.relay:
		args = "(input: {" + args + "})"
	case args != "":
		args = "(" + args + ")"
	}
	return "mutation { " + name + args + " { " + fields + " } }"
}

// post sends a query and returns status and body.
func (s *site) post(tb testing.TB, f flavour, query string, headers ...string) (int, string) {
	tb.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		tb.Fatal(err)
	}
	req, err := http.NewRequest("POST", s.URL+f.path, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/graphql-response+json")
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSuffix(string(raw), "\n")
}

// run sends a mutation and returns its payload.
func (s *site) run(tb testing.TB, f flavour, name, args, fields string, headers ...string) string {
	tb.Helper()
	status, body := s.post(tb, f, f.mutation(name, args, fields), headers...)
	var a struct{ Data map[string]json.RawMessage }
	if err := json.Unmarshal([]byte(body), &a); err != nil || status != 200 || strings.Contains(body,
		`"errors":[{"message"`) && a.Data[name] == nil {
		tb.Fatalf("%s(%s): got status %d and %s, want 200 and a payload", name, args, status, body)
	}
	return string(a.Data[name])
}

// session is the tokens of a session.
type session struct {
	Success             bool
	Token, RefreshToken string
}

func (s *site) session(tb testing.TB, f flavour, name, args string, headers ...string) session {
	tb.Helper()
	var out session
	if err := json.Unmarshal([]byte(s.run(tb, f, name, args, "success token refreshToken", headers...)),
		&out); err != nil || !out.Success || out.Token == "" {
		tb.Fatalf("%s(%s): got %+v, %v; want success and a token", name, args, out, err)
	}
	return out
}

const goodPassword = "correct horse battery"

func registration(name string) string {
	return fmt.Sprintf(`email: "%s@acme.example", username: %q, password1: %q, password2: %q`, name, name, goodPassword,
		goodPassword)
}

var linkPattern = regexp.MustCompile(`https://acme\.example/activate/([A-Za-z0-9_.-]+)`)

// mails returns the mails in the spool, oldest first.
func (s *site) mails(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(s.spool, "new", "*.eml"))
	if err != nil {
		tb.Fatal(err)
	}
	slices.Sort(files)
	var mails []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		mails = append(mails, string(raw))
	}
	return mails
}

// activationToken returns the token of the only mail to name.
func (s *site) activationToken(tb testing.TB, name string) string {
	tb.Helper()
	for _, mail := range s.mails(tb) {
		if strings.Contains(mail, "To: <"+name+"@acme.example>") {
			return linkPattern.FindStringSubmatch(mail)[1]
		}
	}
	tb.Fatalf("got no mail to %s, want one", name)
	return ""
}

// TestGoldenSDL compares both schemas with testdata. `go test ./schema -update` writes them.
func TestGoldenSDL(t *testing.T) {
	t.Parallel()
	api := newSite(t).api
	for flavour, name := range map[schema.Flavour]string{schema.Plain: "plain.graphql", schema.Relay: "relay.graphql"} {
		path := filepath.Join("..", "testdata", name)
		if *update {
			if err := os.WriteFile(path, []byte(api.SDL(flavour)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), api.SDL(flavour)); diff != "" {
			t.Errorf("-want (%s) +got:\n%s", path, diff)
		}
	}
}
