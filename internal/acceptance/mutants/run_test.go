//go:build mutants

package mutants_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestMutants puts the bugs of testdata/mutants into the program, one at a time, and fails where the test that each
// names stays green. The bug is an overlay of the build (go help build), so the files themselves are never changed;
// GOFLAGS takes it into binaries that the test itself builds.
//
//	go test -tags mutants -run TestMutants -v -timeout 60m ./internal/acceptance/mutants
func TestMutants(t *testing.T) {
	for _, file := range mutantFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			m := readMutant(t, file)
			var out bytes.Buffer
			cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-count=1", "-run", m.test}, append(m.flags, m.pkg)...)...)
			cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+m.overlay(t))
			cmd.Dir = servertest.File(t, ".")
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			switch {
			case err == nil:
				t.Errorf("%s in %s stays green with the bug\n%s", m.test, m.pkg, out.String())
			case !errors.As(err, &exit):
				t.Fatal(err)
			case !strings.Contains(out.String(), "--- FAIL: "):
				t.Errorf("the bug is no program whose tests run:\n%s", out.String())
			}
		})
	}
}

// overlay writes the files with the bug, and the list of them that the go command takes.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for path, text := range m.files {
		path = servertest.File(t, path)
		replace[path] = filepath.Join(dir, strings.ReplaceAll(path, string(filepath.Separator), "_"))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
