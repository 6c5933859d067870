// Package documents_test runs the examples of docs, and compares tables and lists in docs and testdata with the code.
//
// Some examples need other programs, such as Node.js, nginx and Caddy. Their tests are skipped without them.
package documents_test

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/cli"
	"accountd/internal/servertest"
)

// TestErrorCodes: docs/api.md lists exactly the values of extensions.code that the code can return.
func TestErrorCodes(t *testing.T) {
	find := func(files, pattern string) (found []string) {
		t.Helper()
		paths, err := filepath.Glob(servertest.File(t, files))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: got %d files, %v; want at least one", files, len(paths), err)
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
				found = append(found, match[1])
			}
		}
		return found
	}
	given := append(find("internal/graphqlhttp/response.go", `(?m)^\tCode\w+ += "(\w+)"`),
		find("internal/server/*.go", `(?s)refuse\(w, .+?", "(\w+)", `)...)
	documented := find("docs/api.md", "(?m)^\\| `(\\w+)` \\| \\d{3}")
	if diff := cmp.Diff(slices.Compact(slices.Sorted(slices.Values(given))),
		slices.Sorted(slices.Values(documented))); diff != "" || len(documented) < 10 {
		t.Errorf("docs/api.md and the code differ (-code +document):\n%s", diff)
	}
}

// TestNotice: NOTICE names every linked module, by its path or by its owner's.
func TestNotice(t *testing.T) {
	notice := servertest.Read(t, "NOTICE")
	linked, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}",
		"accountd").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := slices.Compact(slices.Sorted(strings.FieldsSeq(string(linked))))
	if len(modules) < 10 {
		t.Errorf("got the linked modules %q, want at least 10", modules)
	}
	version := regexp.MustCompile(`/v\d+$`)
	for _, module := range modules {
		name := strings.TrimPrefix(version.ReplaceAllString(module, ""), "github.com/")
		if !strings.Contains(notice, name) && !strings.Contains(notice, path.Dir(name)+"/*") {
			t.Errorf("NOTICE: got no %s, want every linked module", module)
		}
	}
}

// TestSettingsInDocuments: `config check` accepts every TOML example of docs/api.md.
func TestSettingsInDocuments(t *testing.T) {
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(servertest.Read(t, "docs/api.md"), -1)
	if len(examples) == 0 {
		t.Fatal("docs/api.md: got no TOML example, want at least one")
	}
	for _, example := range examples {
		file := filepath.Join(t.TempDir(), "config.toml")
		if err := os.WriteFile(file, []byte(example[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if code := cli.Run(t.Context(), cli.Env{Args: []string{"config", "check", "--config", file}, Stdout: &out,
			Stderr: &out}); code != 0 {
			t.Errorf("%s\ngot %s, want valid settings", example[1], out.String())
		}
	}
}

// TestPathsInDocuments: every path of this repository that a document names exists.
func TestPathsInDocuments(t *testing.T) {
	documents, err := filepath.Glob(servertest.File(t, "docs/*.md"))
	if err != nil || len(documents) == 0 {
		t.Fatalf("got %d documents, %v; want at least one", len(documents), err)
	}
	for _, name := range []string{"CONTRIBUTING.md", "README.md", "SECURITY.md"} {
		documents = append(documents, servertest.File(t, name))
	}
	quoted := regexp.MustCompile("`((?:accountdtest|accounts|docs|email|internal|schema|testdata|tokens)/[\\w./*-]+)`")
	found := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range quoted.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(match[1], "NNNN") {
				continue // the number of the next migration
			}
			found++
			if paths, err := filepath.Glob(servertest.File(t, match[1])); err != nil || len(paths) == 0 {
				t.Errorf("%s: got %s, want a path that exists", filepath.Base(document), match[1])
			}
		}
	}
	if found < 100 {
		t.Errorf("got %d paths, want at least 100", found)
	}
}
