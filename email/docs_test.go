package email

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocumentation: docs/emails.md lists every kind and every variable of templates.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile(filepath.Join("..", "docs", "emails.md"))
	if err != nil {
		t.Fatal(err)
	}
	find := func(pattern string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(document), -1) {
			found = append(found, match[1])
		}
		return found
	}
	var names []string
	for _, kind := range kinds {
		names = append(names, string(kind))
	}
	if diff := cmp.Diff(names, find("(?m)^\\| `([a-z_]+)` \\|")); diff != "" {
		t.Errorf("kinds (-code +document):\n%s", diff)
	}
	documented := append(find("(?m)^\\| `\\.(\\w+)`"), find("· `\\.(\\w+)`")...)
	if diff := cmp.Diff(slices.Sorted(slices.Values(variables)), slices.Sorted(slices.Values(documented))); diff != "" {
		t.Errorf("variables (-code +document):\n%s", diff)
	}
	for _, name := range userVariables {
		if !bytes.Contains(document, []byte("`."+name+"`")) {
			t.Errorf("got no .User.%s in the document, want it", name)
		}
	}
}
