package main_test

import (
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestErrorCodes: docs/api.md lists the values of extensions.code that the code can give, all and no others.
func TestErrorCodes(t *testing.T) {
	find := func(file, pattern string) (found []string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			found = append(found, match[1])
		}
		return found
	}
	given := append(find("internal/frontdoor/response.go", `(?m)^\tCode\w+ += "(\w+)"`), find("internal/server/server.go", `(?s)refuse\(w, .+?", "(\w+)", `)...)
	documented := find("docs/api.md", "(?m)^\\| `(\\w+)` \\| \\d{3}")
	if diff := cmp.Diff(sortedSet(given), slices.Sorted(slices.Values(documented))); diff != "" || len(documented) < 10 {
		t.Errorf("docs/api.md and the code differ (-code +document):\n%s", diff)
	}
}

// TestNotice: NOTICE names every module that is linked into the binary, itself or as one of its owner's.
func TestNotice(t *testing.T) {
	notice, err := os.ReadFile("NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	linked, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules := sortedSet(strings.Fields(string(linked)))
	if len(modules) < 10 {
		t.Errorf("only %q are linked", modules)
	}
	version := regexp.MustCompile(`/v\d+$`)
	for _, module := range modules {
		name := strings.TrimPrefix(version.ReplaceAllString(module, ""), "github.com/")
		if !strings.Contains(string(notice), name) && !strings.Contains(string(notice), path.Dir(name)+"/*") {
			t.Errorf("NOTICE does not name %s", module)
		}
	}
}
