// Package mutants_test tests the tests: each file in testdata/mutants is a bug and names the test that has to notice
// it.
//
// TestMutantsApply checks that each bug still fits the code. TestMutants, behind the build tag mutants, puts one bug at
// a time into the program and fails where the named test stays green.
package mutants_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestMutantsApply checks that each mutant changes the program as it is, and names tests of its package.
func TestMutantsApply(t *testing.T) {
	tests := map[string][]string{} // by package
	for _, file := range mutantFiles(t) {
		t.Run(mutantName(file), func(t *testing.T) {
			m := readMutant(t, file)
			if tests[m.pkg] == nil {
				tests[m.pkg] = declaredTests(t, m.pkg)
			}
			function, _, _ := strings.Cut(m.test, "/")
			for name := range strings.SplitSeq(strings.Trim(function, "^$()"), "|") {
				if !slices.Contains(tests[m.pkg], name) {
					t.Errorf("%s: got no test %s, want one", m.pkg, name)
				}
			}
		})
	}
}

// declaredTests returns the names of a package's tests and fuzz targets.
func declaredTests(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(servertest.File(t, pkg+"/*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
			names = append(names, string(match[1]))
		}
	}
	return names
}

func mutantFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(servertest.File(t, "testdata/mutants/*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d mutants, %v; want at least one", len(files), err)
	}
	return files
}

func mutantName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// mutant is one bug: replacements of text in files, and the test that has to fail with them.
type mutant struct {
	pkg, test string
	flags     []string          // of go test
	files     map[string]string // path to its text with the bug
}

// readMutant reads a mutant:
//
//	# What the bug is.
//	test PACKAGE REGEXP [FLAGS OF GO TEST]
//	file PATH
//	<<<<
//	text that is there exactly once
//	====
//	text in its place
//	>>>>
//
// A file can have several replacements, and a mutant several files.
func readMutant(t *testing.T, path string) mutant {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := mutant{files: map[string]string{}}
	var file string
	lines := strings.SplitAfter(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "test" && len(words) >= 3:
			m.pkg, m.test, m.flags = words[1], words[2], words[3:]
		case words[0] == "file" && len(words) == 2:
			file = words[1]
			if _, ok := m.files[file]; !ok {
				m.files[file] = servertest.Read(t, file)
			}
		case words[0] == "<<<<":
			old, next := block(lines[i+1:], "====")
			bug, end := block(lines[i+1+next:], ">>>>")
			i += next + end
			if n := strings.Count(m.files[file], old); n != 1 || old == "" {
				t.Fatalf("%s: %s has %d times, want once:\n%s", path, file, n, old)
			}
			m.files[file] = strings.Replace(m.files[file], old, bug, 1)
		default:
			t.Fatalf("%s:%d: got %q, want test, file or a replacement", path, i+1, lines[i])
		}
	}
	if m.test == "" || len(m.files) == 0 {
		t.Fatalf("%s: got test %q and %d files, want a test and at least one file", path, m.test, len(m.files))
	}
	return m
}

// block returns the text before the first line that is end, and the number of lines up to and including that line.
func block(lines []string, end string) (text string, n int) {
	for i, line := range lines {
		if strings.TrimSpace(line) == end {
			return strings.Join(lines[:i], ""), i + 1
		}
	}
	return strings.Join(lines, ""), len(lines)
}
