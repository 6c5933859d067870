package mutants_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestMutantsApply: every mutant still is a change of the program, and names a test that there is.
func TestMutantsApply(t *testing.T) {
	files := mutantFiles(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			m := readMutant(t, file)
			for name := range strings.SplitSeq(strings.NewReplacer("^", "", "$", "", "(", "", ")", "").Replace(strings.SplitN(m.test, "/", 2)[0]), "|") {
				if !servertest.TestNames(t, m.pkg)[name] {
					t.Errorf("%s has no test %s", m.pkg, name)
				}
			}
		})
	}
}

func mutantFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(servertest.File(t, "testdata/mutants/*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no mutants: %v", err)
	}
	return files
}

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
			if _, ok := m.files[file]; ok {
				break
			}
			m.files[file] = servertest.Read(t, file)
		case words[0] == "<<<<":
			old, next := block(lines[i+1:], "====")
			bug, end := block(lines[i+1+next:], ">>>>")
			i += next + end
			if n := strings.Count(m.files[file], old); n != 1 || old == "" {
				t.Fatalf("%s: %q is %d times in %q, not once: bring the mutant up to date", path, old, n, file)
			}
			m.files[file] = strings.Replace(m.files[file], old, bug, 1)
		default:
			t.Fatalf("%s:%d: %q is neither test, file nor a replacement", path, i+1, lines[i])
		}
	}
	if m.test == "" || len(m.files) == 0 {
		t.Fatalf("%s: no test or no file", path)
	}
	return m
}

// block is the text before the line that is end, and how many lines it and that line are.
func block(lines []string, end string) (text string, n int) {
	for i, line := range lines {
		if strings.TrimSpace(line) == end {
			return strings.Join(lines[:i], ""), i + 1
		}
	}
	return strings.Join(lines, ""), len(lines)
}
