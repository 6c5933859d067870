package config

import (
	"math"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/graphqlhttp"
	"accountd/internal/password"
	"accountd/internal/server"
	"accountd/schema"
	"accountd/tokens"
)

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load is Load of a file with that text; a test says what it sets.
func load(t *testing.T, text string, env ...string) (*Config, error) {
	t.Helper()
	return Load(writeFile(t, "config.toml", text), env, Overrides{})
}

func mustLoad(t *testing.T, text string, env ...string) *Config {
	t.Helper()
	c, err := load(t, text, env...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsAreComplete(t *testing.T) {
	var strict Config
	decoder := toml.NewDecoder(strings.NewReader(string(defaults)))
	tree := map[string]any{}
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	envs := map[string]string{}
	if len(order) != len(settings) {
		t.Errorf("%d settings are in config.toml, want %d", len(order), len(settings))
	}
	at := -1
	for _, s := range order {
		// The line, not the value: a default may well be the zero value.
		section := s.key[:strings.LastIndexByte(s.key, '.')]
		body := strings.Index(string(defaults), "\n["+section+"]\n")
		line := strings.Index(string(defaults)[body+1:], "\n"+s.key[len(section)+1:]+" = ")
		if header := strings.Index(string(defaults), "\n["+s.key+"]\n"); header >= 0 {
			body, line = header, 0 // a table whose keys are free
		}
		if body < 0 || line < 0 {
			t.Errorf("%s: got no line in config.toml, want one", s.key)
			continue
		}
		if body+line < at {
			t.Errorf("%s: got another place in config.toml than in Config, want the same", s.key)
		}
		at = body + line
		if other, ok := envs[s.env]; ok {
			t.Errorf("%s and %s: got %s for both, want two variables", s.key, other, s.env)
		}
		envs[s.env] = s.key
		switch s.typ.Kind() {
		case reflect.Int, reflect.Int64, reflect.Float64:
			if s.min == "" || s.max == "" {
				t.Errorf("%s: got no bounds, want a least and a greatest value", s.key)
			}
		}
		s.remedy()
		if err := s.check(s.in(&strict)); err != nil && s.min == "" && s.one == "" {
			t.Errorf("%s: got %v for the zero value, want no error", s.key, err)
		}
	}
}

func TestDefaultValues(t *testing.T) {
	c := mustLoad(t, "")
	want := &Config{
		Server: Server{Listen: "127.0.0.1:8080", DataDir: "data", AllowedHosts: []string{}, TrustedProxies: []string{},
			Introspection: Auto, GraphiQL: Auto, SecureCookies: Auto},
		Log:  Log{Level: "info", Format: "auto"},
		HTTP: server.Settings{Origins: []string{}, Connections: 4096},
		Schema: schema.Settings{
			Limits: graphqlhttp.Limits{Body: 65536, Query: 16384, Tokens: 1000, Nesting: 20, Fields: 500, Aliases: 20,
				Depth:              15,
				IntrospectionDepth: 20, Fragments: 30, Variables: 50, Directives: 20, Errors: 10, Response: 1 << 20,
				Timeout: 10 * time.Second, Documents: 1000},
			ErrorShape: "map", Page: 100,
			Users: "staff", ExcludeFields: []string{}, FilterFields: map[string][]string{
				"email": {"exact"}, "username": {"exact", "icontains", "istartswith"}, "is_active": {"exact"},
				"status__archived": {"exact"}, "status__verified": {"exact"}, "status__secondary_email": {"exact"},
			},
			HeaderName: "Authorization", HeaderPrefixes: []string{"JWT", "Bearer"}, ArgumentName: "token",
			Cookies: schema.Cookies{Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/", SameSite: "Lax"},
		},
		Accounts: accounts.Settings{AllowLoginNotVerified: true, LoginFields: []string{"email", "username"},
			LoginWithSecondaryEmail: true,
			RegisterFields:          []string{"email", "username"}, RegisterOptionalFields: []string{},
			UpdateFields: []string{"first_name", "last_name"},
			Fields:       []accounts.Field{}, SendActivationEmail: true, Reveal: "register", Notices: true,
			UniformTime: 100 * time.Millisecond,
			Throttle: accounts.ThrottleSettings{LoginsPerAccount: rates(10, 15*time.Minute)[0],
				ConsecutiveFailures: 100,
				LoginsPerIP:         rates(60, time.Hour), RegistrationsPerIP: rates(30, time.Hour),
				MailsPerRecipient: rates(3, time.Hour, 10, day), MailsPerIP: rates(60, time.Hour), Keys: 100_000},
			Passwords: password.Settings{MinLength: 8, Similarity: 0.7, Common: true, Numeric: true, MaxBytes: 1024,
				Argon2: password.Argon2Settings{MemoryKiB: 19 << 10, Iterations: 2, Parallelism: 1, Queue: 64}}},
		Tokens: tokens.Settings{Algorithm: "HS256", AccessLifetime: 5 * time.Minute, AllowRefresh: true,
			LongRunning:     true,
			RefreshLifetime: 7 * day, Rotation: "rotate", SessionLifetime: 90 * day, RotationGrace: 20 * time.Second,
			RefreshBytes:    32,
			SessionsPerUser: 50, ActivationLifetime: 7 * day, PasswordResetLifetime: time.Hour,
			PasswordSetLifetime: time.Hour, SecondaryEmailLifetime: time.Hour},
		Email: email.Settings{From: "accountd <accounts@localhost>", SiteName: "accountd", ActivationPath: "activate",
			SecondaryEmailPath: "activate", PasswordResetPath: "password-reset", PasswordSetPath: "password-set",
			MaxOutbox: 10000,
			Variables: map[string]string{}},
		SMTP: email.SMTPSettings{TLS: email.StartTLS},
	}
	if diff := cmp.Diff(want, c, cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".origins" || p.Last().String() == ".ephemeral"
	}, cmp.Ignore())); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if warnings := c.Warnings(); len(warnings) > 0 {
		t.Errorf("the defaults: got the warnings %q, want none", warnings)
	}
}

func TestLaterSourcesWin(t *testing.T) {
	path := writeFile(t, "config.toml", `
server.listen = "127.0.0.1:1"
[server]
data_dir = "file"
public_url = "http://localhost:1/"
`)
	// [server] after a dotted server.listen defines the table twice.
	if _, err := Load(path, nil, Overrides{}); err == nil {
		t.Error("a table that is defined twice: got no error, want one")
	}

	path = writeFile(t, "config.toml", `
server = { listen = "127.0.0.1:1", data_dir = "file", public_url = "http://localhost:1/" }
passwords.argon2.memory = "1MiB"
[tokens]
issuer = "file"
audience = "file"
session_lifetime = 0
`)
	env := []string{"ACCOUNTD_SERVER_LISTEN=127.0.0.1:2", "ACCOUNTD_SERVER_DATA_DIR=env", "ACCOUNTD_TOKENS_ISSUER=",
		"HOME=/",
		"ACCOUNTD_TOKENS_HEADER_PREFIXES=A, B", "ACCOUNTD_PASSWORDS_SIMILARITY=0", "ACCOUNTD_LIMITS_TIMEOUT=1m30s"}
	c, err := Load(path, env, Overrides{DataDir: "flag", Listen: "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Server.Listen, c.Server.DataDir, c.Server.PublicURL, c.PublicURL(), c.Tokens.Issuer,
		c.Tokens.Audience, c.Schema.HeaderPrefixes,
		c.Accounts.Passwords.Similarity, c.Accounts.Passwords.Argon2.MemoryKiB, c.Tokens.SessionLifetime,
		c.Schema.Limits.Timeout}
	want := []any{"127.0.0.1:3", "flag", "http://localhost:1/", "http://localhost:1", "", "file", []string{"A", "B"},
		0.0, uint32(1 << 10), time.Duration(0), 90 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestEphemeral: the fixed settings of a test server override all other sources, and nothing else changes.
func TestEphemeral(t *testing.T) {
	path := writeFile(t, "config.toml", `
server = { listen = ":443", public_url = "https://a.example", allowed_hosts = ["b.example"], trusted_proxies = ["10.0.0.1"], cors_origins = ["https://app.example"] }
tokens.keys_file = "/secret/keys.json"
email = { from = "a@app.example", spool_dir = "/var/spool/accountd", link_base = "https://app.example", smtp = { host = "smtp.example.com", username = "u", password_file = "/secret/password" } }
`)
	env := []string{"ACCOUNTD_LIMITS_UNIFORM_TIME=5s", "ACCOUNTD_PASSWORDS_ARGON2_MEMORY=64MiB",
		"ACCOUNTD_PASSWORDS_ARGON2_PARALLELISM=4", "ACCOUNTD_SERVER_DATA_DIR=env"}
	for listen, want := range map[string]string{"": "127.0.0.1:0", "127.0.0.1:4242": "127.0.0.1:4242"} {
		c, err := Load(path, env, Overrides{Listen: listen, DataDir: "temporary", Ephemeral: true})
		if err != nil {
			t.Fatal(err)
		}
		a := c.Accounts.Passwords.Argon2
		got := []any{c.Server.Listen, c.PublicURL(), filepath.ToSlash(c.KeysFile()), filepath.ToSlash(c.SpoolDir()),
			c.DevMail(), a.MemoryKiB, a.Iterations, a.Parallelism, c.linkBase(), c.HTTP.Origins, c.SMTPSettings().Host,
			c.Accounts.UniformTime}
		if diff := cmp.Diff([]any{want, "http://" + want, "temporary/keys.json", "temporary/spool", true, uint32(8),
			uint32(1), uint8(1), "https://app.example", []string{"https://app.example"}, "", time.Duration(0)},
			got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestWhichFile(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := Load("", nil, Overrides{})
	if err != nil || c.Email.SiteName != "accountd" {
		t.Errorf("without a file: got %v, %v; want the defaults", c, err)
	}
	if _, err := Load("missing.toml", nil, Overrides{}); err == nil || !strings.Contains(err.Error(), "missing.toml") {
		t.Errorf("a named file that is missing: got %v, want an error that names it", err)
	}
	if err := os.WriteFile("config.toml", []byte("[email]\nsite_name = \"here\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Load("", nil, Overrides{}); err != nil || c.Email.SiteName != "here" {
		t.Errorf("config.toml in the working directory: got %v, %v; want its site name, here", c, err)
	}
}

func TestRedactedReadsBack(t *testing.T) {
	c := mustLoad(t, "[email]\nsite_name = \"A \\\"B\\\" \\\\ é\"\n", "ACCOUNTD_TOKENS_LEEWAY=30s",
		"ACCOUNTD_TOKENS_SESSION_LIFETIME=36h")
	text := c.Redacted()
	for _, line := range []string{
		`site_name = "A \"B\" \\ é" # ` + c.origins["email.site_name"], `leeway = "30s" # ACCOUNTD_TOKENS_LEEWAY`,
		`session_lifetime = "36h" # ACCOUNTD_TOKENS_SESSION_LIFETIME`, `public_url = "http://127.0.0.1:8080" # derived`,
		`issuer = "http://127.0.0.1:8080" # derived`, `keys_file = "data/keys.json" # derived`, "[passwords.argon2]",
		`memory = "19MiB"`,
	} {
		if !slices.Contains(strings.Split(filepath.ToSlash(text), "\n"), filepath.ToSlash(line)) {
			t.Errorf("got no line %q, want it in\n%s", line, text)
		}
	}
	again := mustLoad(t, text)
	for _, s := range order {
		was, is := s.in(c).Interface(), s.in(again).Interface()
		if was != any("") && !reflect.DeepEqual(was, is) {
			t.Errorf("%s: got %v read back, want %v", s.key, is, was)
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "5m": 5 * time.Minute, "36h": 36 * time.Hour, "7d": 7 * day,
		"1d12h": 36 * time.Hour, "-1s": -time.Second,
	} {
		var got, back Duration
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("duration %q is %v, %v, want %v", text, got, err, want)
		}
		if err := back.UnmarshalText([]byte(got.String())); err != nil || back != got {
			t.Errorf("%q: got %q, which reads back as %v, %v; want %v", text, got, back, err, got)
		}
	}
	for _, text := range []string{"", "d", "5", "5 m", "1.5d", "-1d", "+1d", "7d-1h", "7d7d", "106752d", "106751d24h",
		"99999999999999999999d", "1w"} {
		var got Duration
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("duration %q is %v, want an error", text, got)
		}
	}
	for text, want := range map[string]Size{"0B": 0, "512B": 512, "64KiB": 65536, "19MiB": 19 << 20, "4GiB": 4 << 30,
		"1025B": 1025} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("size %q is %v, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "64", "KiB", "64KB", "64kib", "-1B", "1.5MiB", "64 KiB", "99999999999GiB",
		"4611686018427387904KiB"} {
		var got Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("size %q is %v, want an error", text, got)
		}
	}
	if got := Duration(math.MaxInt64).String(); got == "" {
		t.Error("the longest duration: got no text, want one")
	}
}

func TestDerived(t *testing.T) {
	for _, test := range []struct {
		name, listen, public, url string
		loopback                  bool
		hosts                     []string
	}{
		{"default", "127.0.0.1:8080", "", "http://127.0.0.1:8080", true, []string{"127.0.0.1", "::1", "localhost"}},
		{"IPv6", "[::1]:8080", "", "http://[::1]:8080", true, []string{"127.0.0.1", "::1", "localhost"}},
		{"another loopback address", "127.0.0.2:80", "", "http://127.0.0.2:80", true,
			[]string{"127.0.0.1", "127.0.0.2", "::1", "localhost"}},
		{"behind a proxy", "127.0.0.1:8080", "https://Accounts.example.com/", "https://Accounts.example.com", false,
			[]string{"127.0.0.1", "::1", "accounts.example.com", "localhost"}},
		{"public", ":443", "https://a.example:8443/x", "https://a.example:8443/x", false, []string{"a.example"}},
		{"a name below localhost", "127.0.0.1:80", "http://App.Localhost.:8080", "http://App.Localhost.:8080", true,
			[]string{"127.0.0.1", "::1", "app.localhost.", "localhost"}},
		{"everywhere, called localhost", "0.0.0.0:80", "http://localhost", "http://localhost", false,
			[]string{"localhost"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, "", "ACCOUNTD_SERVER_LISTEN="+test.listen, "ACCOUNTD_SERVER_PUBLIC_URL="+test.public)
			got := []any{c.PublicURL(), c.Loopback(), c.Introspection(), c.GraphiQL(), c.DevMail(), c.Hosts()}
			if diff := cmp.Diff([]any{test.url, test.loopback, test.loopback, test.loopback, test.loopback, test.hosts},
				got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("port 0", func(t *testing.T) {
		c := mustLoad(t, "", "ACCOUNTD_SERVER_LISTEN=localhost:0", "ACCOUNTD_SERVER_ALLOWED_HOSTS=App.internal")
		c.Bound(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4242})
		if c.PublicURL() != "http://localhost:4242" || !slices.Contains(c.Hosts(), "app.internal") {
			t.Errorf("got PublicURL %s, Hosts %q; want http://localhost:4242 and app.internal", c.PublicURL(),
				c.Hosts())
		}
	})
	t.Run("on and off", func(t *testing.T) {
		c := mustLoad(t, "[graphql]\nintrospection = \"off\"\ngraphiql = \"on\"\n[server]\nlisten = "+
			"\":80\"\npublic_url = \"http://a.example\"\n")
		if c.Introspection() || !c.GraphiQL() {
			t.Errorf("got introspection %t, graphiql %t; want false, true", c.Introspection(), c.GraphiQL())
		}
		if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "https") {
			t.Errorf("got the warnings %q, want one about https", w)
		}
	})
	t.Run("files", func(t *testing.T) {
		c := mustLoad(t, "", "ACCOUNTD_SERVER_DATA_DIR=d")
		moved := mustLoad(t, "[tokens]\nkeys_file = \"k\"\n[email]\nspool_dir = \"s\"\n")
		got := []string{filepath.ToSlash(c.DatabaseFile()), filepath.ToSlash(c.KeysFile()),
			filepath.ToSlash(c.SpoolDir()), moved.KeysFile(), moved.SpoolDir()}
		if diff := cmp.Diff([]string{"d/accountd.db", "d/keys.json", "d/spool", "k", "s"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
