package main_test

import (
	"os"
	"regexp"
	"slices"
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
