package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestControlsApply: every control still is a change of the program, and names a test that there is.
func TestControlsApply(t *testing.T) {
	files := controlFiles(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			c := readControl(t, file)
			for name := range strings.SplitSeq(strings.NewReplacer("^", "", "$", "", "(", "", ")", "").Replace(strings.SplitN(c.test, "/", 2)[0]), "|") {
				if !servertest.TestNames(t, c.pkg)[name] {
					t.Errorf("%s has no test %s", c.pkg, name)
				}
			}
		})
	}
}

func controlFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(servertest.File(t, "testdata/mutants/*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no controls: %v", err)
	}
	return files
}

// control is one bug: replacements of text in files, and the test that has to fail with them.
type control struct {
	pkg, test string
	flags     []string          // of go test
	files     map[string]string // path to its text with the bug
}

// readControl reads a control:
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
// A file can have several replacements, and a control several files.
func readControl(t *testing.T, path string) control {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := control{files: map[string]string{}}
	var file string
	lines := strings.SplitAfter(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		words := strings.Fields(lines[i])
		switch {
		case len(words) == 0 || words[0] == "#":
		case words[0] == "test" && len(words) >= 3:
			c.pkg, c.test, c.flags = words[1], words[2], words[3:]
		case words[0] == "file" && len(words) == 2:
			file = words[1]
			if _, ok := c.files[file]; ok {
				break
			}
			c.files[file] = servertest.Read(t, file)
		case words[0] == "<<<<":
			old, next := block(lines[i+1:], "====")
			bug, end := block(lines[i+1+next:], ">>>>")
			i += next + end
			if n := strings.Count(c.files[file], old); n != 1 || old == "" {
				t.Fatalf("%s: %q is %d times in %q, not once: bring the control up to date", path, old, n, file)
			}
			c.files[file] = strings.Replace(c.files[file], old, bug, 1)
		default:
			t.Fatalf("%s:%d: %q is neither test, file nor a replacement", path, i+1, lines[i])
		}
	}
	if c.test == "" || len(c.files) == 0 {
		t.Fatalf("%s: no test or no file", path)
	}
	return c
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
