package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is where commands run: a directory of their own, no settings but cheap hashing.
type world struct {
	t       *testing.T
	dir     string
	here    bool // dir is the working directory
	stdin   string
	environ []string
}

// newWorld makes a world for a test that runs beside others.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	return newWorldIn(t, t.TempDir())
}

// newWorldHere makes a world that is the working directory, for a test of relative names.
func newWorldHere(t *testing.T) *world {
	t.Helper()
	w := newWorldIn(t, t.TempDir())
	w.here = true
	t.Chdir(w.dir)
	return w
}

func newWorldIn(t *testing.T, dir string) *world {
	return &world{t: t, dir: dir, environ: []string{
		"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=8KiB", "ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=1", "ACCOUNTD_SERVER_DATA_DIR=" +
			filepath.Join(dir, "data"),
	}}
}

// path returns the path of a file of the world.
func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// app is what a command gets. The caller ends it.
func (w *world) app() *app {
	return &app{Env: Env{Environ: w.environ, Now: now, Stderr: w.t.Output()}, ctx: w.t.Context()}
}

func now() time.Time { return time.Unix(1_800_000_000, 0) }

// run gives exit code and output of one command line.
func (w *world) run(args ...string) (code int, stdout, stderr string) {
	w.t.Helper()
	if _, err := os.Stat(w.path("config.toml")); err == nil && !w.here {
		args = append(args[:len(args):len(args)], "--config", w.path("config.toml"))
	}
	var out, errs bytes.Buffer
	code = Run(context.Background(), Env{
		Args: args, Environ: w.environ, Stdin: strings.NewReader(w.stdin), Stdout: &out, Stderr: &errs,
		Now: now,
	})
	return code, out.String(), errs.String()
}

// ok runs a command that has to succeed and say nothing on standard error.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	if code != exitOK || stderr != "" {
		w.t.Fatalf("accountd %q exits %d with %q, want %v, \"\"", args, code, stderr, exitOK)
	}
	return stdout
}

// fails runs a command that has to exit so and say so, and nothing else. PATH stands for the world's directory.
func (w *world) fails(wantCode int, want string, args ...string) {
	w.t.Helper()
	code, stdout, stderr := w.run(args...)
	want = strings.ReplaceAll(want, "PATH", w.dir)
	if code != wantCode || stdout != "" || stderr != want {
		w.t.Errorf("accountd %q exits %d, want %d\nstdout: %s\nstderr: %s\nwant:   %s", args, code, wantCode, stdout,
			stderr, want)
	}
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// ends compares the end of a text.
func ends(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
}

func lacks(t *testing.T, got, word string) {
	t.Helper()
	if strings.Contains(got, word) {
		t.Errorf("got %q, want it without %q", got, word)
	}
}

func equal(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"--help"}, {"user", "--help"}, {"user", "add", "--help"}, {"serve", "-h"}} {
		if help := w.ok(args...); !strings.Contains(help, "Usage: accountd") {
			t.Errorf("%q prints %q, want text with %q", args, help, "Usage: accountd")
		}
	}
	for want, args := range map[string][]string{
		"unexpected argument frobnicate": {"frobnicate"},
		"unknown flag --frobnicate":      {"--frobnicate"},
		"--password-stdin and --no-password can't be used together": {"user",
			"add", "--username=a", "--email=a@example.com", "--password-stdin", "--no-password"},
		"missing flags: --password-stdin or --no-password": {"user",
			"add", "--username=a", "--email=a@example.com"},
		"--email goes with secondary_email, and with nothing else": {"user",
			"link", "activation", "ada", "--email=a@example.com"},
		"--email goes with secondary_email, and with nothing else ": {"user",
			"link", "secondary_email", "ada"},
		`<kind> must be one of "activation","password_reset","password_set","secondary_email" but got "reset"`: {"user",
			"link", "reset", "ada"},
	} {
		w.fails(exitUsage, "accountd: "+strings.TrimSpace(want)+"\nTry accountd --help.\n", args...)
	}
	if entries, err := os.ReadDir(w.dir); err != nil || len(entries) > 0 {
		t.Errorf("got the files %v, %v, want none", entries, err)
	}
}

func TestVersion(t *testing.T) {
	version := regexp.MustCompile(`^accountd \S+ \(go1\.\S+, \w+/\w+\)\n$`)
	if out := newWorld(t).ok("version"); !version.MatchString(out) {
		t.Errorf("got %q, want version, Go version and platform", out)
	}
}

// TestSchema: it needs no data directory. What it prints is compared with the golden files by package schema.
func TestSchema(t *testing.T) {
	w := newWorld(t)
	for style, args := range map[string][]string{"plain": {"schema"}, "relay": {"schema", "--relay"}} {
		if sdl := w.ok(args...); !strings.Contains(sdl, "type Mutation {") ||
			strings.Contains(sdl, "clientMutationId") != (style == "relay") {
			t.Errorf("%s: got the schema\n%s\nwant clientMutationId only in relay", style, sdl)
		}
	}
	if _, err := os.Stat(w.path("data")); err == nil {
		t.Error("got a data directory, want none")
	}
}

func TestConfig(t *testing.T) {
	w := newWorldHere(t)
	cheap := w.environ
	w.environ = nil
	equal(t, w.ok("config", "check"), "The settings are fine.\n")
	w.environ = cheap
	_, _, warning := w.run("config", "check")
	equal(t, warning, "accountd: warning: passwords.argon2 is cheaper than 19MiB with two iterations: stolen hashes "+
		"are easier to guess\n")
	w.write("config.toml", "[tokens]\nissuer = \"acme\"\n")
	shown := w.ok("config", "show", "--data-dir=elsewhere")
	for _, want := range []string{`issuer = "acme"`, "config.toml:2", `data_dir = "elsewhere"`, "--data-dir",
		`memory = "8KiB"`, "ACCOUNTD_PASSWORDS_ARGON2_MEMORY"} {
		if !strings.Contains(shown, want) {
			t.Errorf("got no %q, want it in\n%s", want, shown)
		}
	}
	w.write("config.toml", "[tokens]\nisuer = \"acme\"\n\n[server]\nlisten = \"0.0.0.0:8080\"\n")
	for _, args := range [][]string{{"config", "check"}, {"config", "show"}, {"serve"}, {"schema"}, {"user", "list"}} {
		w.fails(exitFailure, `accountd: the settings cannot be used:
  config.toml:2: tokens.isuer = "acme" is no setting: did you mean tokens.issuer?
  default: server.public_url = "" is empty while server.listen, "0.0.0.0:8080", is not on loopback: set the address that users see, such as "https://accounts.example.com", or listen on "127.0.0.1:8080"
`, args...)
	}
	w.fails(exitFailure, "accountd: read settings: open nowhere.toml: no such file or directory\n", "config", "check",
		"-c", "nowhere.toml")
}
