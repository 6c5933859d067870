//go:build mutants

package mutants_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestMutants puts the bugs of testdata/mutants into the program, each by itself, and fails where the test that it
// names stays green. As many run side by side as -parallel says, by default as many as there are cores. The bug is an
// overlay of the build (go help build), so the files themselves are never changed; GOFLAGS takes it into binaries that
// the test builds.
//
//	go test -tags mutants -run TestMutants -v -timeout 2h ./internal/acceptance/mutants
//	go test -tags mutants -run 'TestMutants/^login_' -v ./internal/acceptance/mutants
func TestMutants(t *testing.T) {
	for _, file := range mutantFiles(t) {
		t.Run(mutantName(file), func(t *testing.T) {
			if !strings.HasSuffix(mutantName(file), "_timing") { // those need the cores for themselves
				t.Parallel()
			}
			defer func() { // -v shows the results of parallel tests at the end only
				fmt.Printf("%s %s\n", map[bool]string{false: "red  ", true: "GREEN"}[t.Failed()], mutantName(file))
			}()
			m, dir := readMutant(t, file), t.TempDir()
			cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-count=1", "-run", m.test, m.pkg},
				m.flags...)...) // flags of the test binary have to come last
			cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+m.overlay(t, dir), "TMPDIR="+dir)
			cmd.Dir = servertest.File(t, ".")
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("%s in %s: got success with the bug, want a failure\n%s", m.test, m.pkg, out)
			case !errors.As(err, &exit):
				t.Fatal(err)
			case !strings.Contains(string(out), "--- FAIL: "):
				t.Errorf("got no failed test with the bug (it does not compile, or ends the test binary), want one\n%s",
					out)
			}
		})
	}
}

// overlay writes the files with the bug, and the list of them that the go command takes, into dir.
func (m mutant) overlay(t *testing.T, dir string) string {
	t.Helper()
	replace := map[string]string{}
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for path, text := range m.files {
		replace[servertest.File(t, path)] = write(strings.ReplaceAll(path, "/", "_"), []byte(text))
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	return write("overlay.json", list)
}
