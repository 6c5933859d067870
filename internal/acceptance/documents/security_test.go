package documents_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

var (
	requirement = regexp.MustCompile(`(?m)^### (\d+)\. `)
	codeQuote   = regexp.MustCompile("`([^`]+)`")
)

// quoted returns the names of one item of a section, such as "- Tests: `TestA`, `TestB`".
func quoted(section, item string) (names []string) {
	_, rest, _ := strings.Cut(section, "\n- "+item+": ")
	rest, _, _ = strings.Cut(rest, "\n- ")
	rest, _, _ = strings.Cut(rest, "\n#")
	for _, quote := range codeQuote.FindAllStringSubmatch(rest, -1) {
		names = append(names, quote[1])
	}
	return names
}

// TestSecurityDocument: docs/security.md has a section for each of the requirements. The tests, scripts, files and
// settings in it exist.
func TestSecurityDocument(t *testing.T) {
	const requirements = 72
	text := servertest.Read(t, "docs/security.md")
	tests, settings := testNames(t), settingNames(t)
	seen := map[string]bool{}
	starts := requirement.FindAllStringSubmatchIndex(text, -1)
	for i, at := range starts {
		number, section := text[at[2]:at[3]], text[at[1]:]
		if i+1 < len(starts) {
			section = text[at[1]:starts[i+1][0]]
		}
		if seen[number] {
			t.Errorf("%s: got two sections, want one", number)
		}
		seen[number] = true
		named := quoted(section, "Tests")
		if len(named) == 0 {
			t.Errorf("%s: got no test, want at least one", number)
		}
		for _, name := range named {
			function, script, _ := strings.Cut(name, "/")
			if !tests[function] {
				t.Errorf("%s: got the test %s, want one that exists", number, function)
			}
			if function == "TestScripts" {
				servertest.Read(t, "testdata/e2e/"+script+".script")
			}
		}
		for _, name := range quoted(section, "Settings") {
			if !settings[name] {
				t.Errorf("%s: got the setting %s, want one that exists", number, name)
			}
		}
		places := quoted(section, "Code")
		if len(places) == 0 {
			t.Errorf("%s: got no file, want at least one", number)
		}
		for _, name := range places {
			if _, err := os.Stat(servertest.File(t, name)); err != nil {
				t.Errorf("%s: got %v, want a file", number, err)
			}
		}
	}
	for number := 1; number <= requirements; number++ {
		if !seen[strconv.Itoa(number)] {
			t.Errorf("%d: got no section", number)
		}
	}
}

// testNames returns the names of all tests, fuzz targets and benchmarks.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	err := filepath.WalkDir(servertest.File(t, "."), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range function.FindAllSubmatch(text, -1) {
			names[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// settingNames returns the keys of config.toml with their tables, such as tokens.cookies.path.
func settingNames(t *testing.T) map[string]bool {
	t.Helper()
	text := servertest.Read(t, "config.toml")
	names, table := map[string]bool{}, ""
	for _, match := range regexp.MustCompile(`(?m)^(?:\[([\w.]+)\]|(\w+) = )`).FindAllStringSubmatch(text, -1) {
		if match[1] != "" {
			table = match[1]
			continue
		}
		names[table+"."+match[2]] = true
	}
	return names
}
