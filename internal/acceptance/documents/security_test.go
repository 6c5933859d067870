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

// TestSecurityTable: docs/security.md has a row for each of the seventy requirements. The tests, scripts, files and
// settings in it exist.
func TestSecurityTable(t *testing.T) {
	text := servertest.Read(t, "docs/security.md")
	tests, settings := testNames(t), settingNames(t)
	code := regexp.MustCompile("`([^`]+)`")
	seen := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| *(\d+) *\|(.*)\|$`).FindAllStringSubmatch(text, -1) {
		number, cells := row[1], strings.Split(row[2], "|")
		if len(cells) != 4 {
			t.Errorf("%s: %d columns after the number, not 4", number, len(cells))
			continue
		}
		if seen[number] {
			t.Errorf("%s: twice", number)
		}
		seen[number] = true
		named := code.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("%s: no test", number)
		}
		for _, name := range named {
			function, script, _ := strings.Cut(name[1], "/")
			if !tests[function] {
				t.Errorf("%s: there is no test %s", number, function)
			}
			if function == "TestScripts" {
				servertest.Read(t, "testdata/e2e/"+script+".script")
			}
		}
		for _, name := range code.FindAllStringSubmatch(cells[1], -1) {
			if !settings[name[1]] {
				t.Errorf("%s: there is no setting %s", number, name[1])
			}
		}
		places := code.FindAllStringSubmatch(cells[3], -1)
		if len(places) == 0 {
			t.Errorf("%s: no file", number)
		}
		for _, name := range places {
			if _, err := os.Stat(servertest.File(t, name[1])); err != nil {
				t.Errorf("%s: %v", number, err)
			}
		}
	}
	for number := 1; number <= 70; number++ {
		if !seen[strconv.Itoa(number)] {
			t.Errorf("%d: no row", number)
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
