//go:build unix

package servertest

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Command runs accountd with cheap hashing on a data directory, and returns what it prints and its exit code. A command
// that still runs after a minute is killed: one that should have been refused may be serving.
func Command(tb testing.TB, dataDir, stdin string, args ...string) (output string, code int) {
	tb.Helper()
	return command(tb, CheapHashing, dataDir, stdin, args)
}

func command(tb testing.TB, env []string, dataDir, stdin string, args []string) (output string, code int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(tb), append(args, "--data-dir", dataDir)...)
	cmd.Dir = tb.TempDir() // no config.toml there
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		tb.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Run is Command for one that has to exit with 0.
func Run(tb testing.TB, dataDir, stdin string, args ...string) (output string) {
	tb.Helper()
	out, code := Command(tb, dataDir, stdin, args...)
	if code != 0 {
		tb.Fatalf("accountd %q exits with %d, want 0\n%s", args, code, out)
	}
	return out
}

// Run is Run with the settings of the server, beside it.
func (s *Server) Run(tb testing.TB, stdin string, args ...string) (output string) {
	tb.Helper()
	out, code := command(tb, s.env, s.DataDir, stdin, args)
	if code != 0 {
		tb.Fatalf("accountd %q exits with %d, want 0\n%s", args, code, out)
	}
	return out
}

// LinkToken returns the token of a link that `accountd user link` makes; no mail is sent.
func LinkToken(tb testing.TB, dataDir string, args ...string) string {
	tb.Helper()
	out := Run(tb, dataDir, "", append([]string{"user", "link", "--json"}, args...)...)
	var link struct{ Token string }
	if err := json.Unmarshal([]byte(out), &link); err != nil || link.Token == "" {
		tb.Fatalf("user link %q prints %q, want JSON with a token: %v", args, out, err)
	}
	return link.Token
}
