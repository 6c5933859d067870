//go:build unix

package documents_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// example returns the only code block of a language in docs/testing-your-app.md.
func example(t *testing.T, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)\n```"+language+"\n(.*?)```").FindAllStringSubmatch(servertest.Read(t,
		"docs/testing-your-app.md"), -1)
	if len(blocks) != 1 {
		t.Fatalf("got %d examples in %s, want 1", len(blocks), language)
	}
	return blocks[0][1]
}

// TestTestingYourApp runs the examples of docs/testing-your-app.md as they stand. They may leave no files behind.
func TestTestingYourApp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, language, file string
		command              []string
		said                 string // of what has run
	}{
		{"Node.js", "js", "accounts.test.mjs", []string{"node", "--test", "--test-reporter=tap", "accounts.test.mjs"},
			"\n# pass 1\n"},
		{"Python", "python", "test_accounts.py", []string{"python3", "-m", "unittest", "test_accounts"},
			"Ran 1 test in "},
		{"Go", "go", "accounts_test.go", []string{"go", "test", "-v", "."}, "--- PASS: TestStaff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(test.command[0]); err != nil {
				t.Skipf("NOT RUN: the example for %s needs %s: %v", test.name, test.command[0], err)
			}
			dir, temporary := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, test.file), []byte(example(t, test.language)),
				0o600); err != nil {
				t.Fatal(err)
			}
			env := append(os.Environ(), "ACCOUNTD="+servertest.Binary(t), "TMPDIR="+temporary,
				"PYTHONDONTWRITEBYTECODE=1")
			if test.language == "go" {
				env = append(env, "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
				goModule(t, dir)
			}
			cmd := exec.CommandContext(t.Context(), test.command[0], test.command[1:]...)
			cmd.Dir, cmd.Env = dir, env
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), test.said) {
				t.Fatalf("got %v\n%s\nwant %q", err, out, test.said)
			}
			left, err := filepath.Glob(filepath.Join(temporary, "accountd-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("got %q left, %v; want nothing", left, err)
			}
		})
	}
}

// goModule makes dir an app's module that requires this one, as the two commands of the document do. It needs no
// network: the versions are this module's.
func goModule(t *testing.T, dir string) {
	t.Helper()
	root := servertest.File(t, ".")
	text := strings.Replace(servertest.Read(t, "go.mod"), "module accountd\n",
		"module app\n\nrequire accountd v0.0.0\n\nreplace accountd => "+root+"\n", 1)
	for name, content := range map[string]string{"go.mod": text, "go.sum": servertest.Read(t, "go.sum")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
