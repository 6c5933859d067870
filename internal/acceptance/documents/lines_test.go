package documents_test

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"accountd/internal/servertest"
)

// The longest lines, in characters. A tab counts as four.
const (
	maxCode  = 120 // Go, SQL, TOML, and tables of Markdown
	maxProse = 100 // the rest of Markdown
)

// TestLineLength: lines are short enough to read. What a program prints or stores is exempt: code blocks and measured
// tables of documents, raw strings of several lines in tests, and the statements of migrations, which databases keep.
func TestLineLength(t *testing.T) {
	root, files := servertest.File(t, "."), 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "node_modules" || name == "generated" || len(name) > 1 && name[0] == '.' && path != root {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".go", ".sql", ".toml", ".md":
			if name == "generated.go" {
				return nil
			}
			files++
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, problem := range longLines(name, string(text)) {
				t.Errorf("%s:%s", path, problem)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("got %d files and %v", files, err)
	}
}

// longLines says which lines of a file are too long.
func longLines(name, text string) (problems []string) {
	markdown, block, written := filepath.Ext(name) == ".md", false, false
	raw := map[int]bool{}
	if strings.HasSuffix(name, "_test.go") {
		raw = rawLines(text)
	}
	for i, line := range strings.Split(text, "\n") {
		limit := maxCode
		if raw[i] || filepath.Ext(name) == ".sql" && !strings.HasPrefix(strings.TrimSpace(line), "--") {
			continue
		}
		if markdown {
			switch {
			case strings.HasPrefix(line, "<!-- measured: "):
				written = true
			case strings.HasPrefix(line, "<!-- end"):
				written = false
			case strings.HasPrefix(strings.TrimSpace(line), "```"):
				block = !block
			}
			if block || written {
				continue
			}
			if !strings.HasPrefix(line, "|") {
				limit = maxProse
			}
		}
		if length := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")); length > limit {
			problems = append(problems, fmt.Sprintf("%d: got %d characters, want at most %d", i+1, length, limit))
		}
	}
	return problems
}

// rawLines returns the lines, from 0, of raw strings that have several.
func rawLines(text string) map[int]bool {
	file := token.NewFileSet().AddFile("", -1, len(text))
	var tokens scanner.Scanner
	tokens.Init(file, []byte(text), nil, 0)
	lines := map[int]bool{}
	for {
		at, kind, literal := tokens.Scan()
		if kind == token.EOF {
			return lines
		}
		if n := strings.Count(literal, "\n"); kind == token.STRING && n > 0 {
			for i := range n + 1 {
				lines[file.Line(at)-1+i] = true
			}
		}
	}
}

// TestLongLines: the check notices long lines, and lets pass what is exempt.
func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", maxProse+1)
	for name, test := range map[string]struct {
		file, text string
		problems   int
	}{
		"prose":            {"a.md", "short\n" + long, 1},
		"code in a block":  {"a.md", "```\n" + long + "\n```\n", 0},
		"after a block":    {"a.md", "```\n```\n" + long, 1},
		"a table":          {"a.md", "| " + strings.Repeat("x", maxCode), 1},
		"a written table":  {"a.md", "<!-- measured: a -->\n| " + strings.Repeat("x", maxCode) + "\n<!-- end -->", 0},
		"code":             {"a.go", strings.Repeat("x", maxCode), 0},
		"code with tabs":   {"a.go", "\t" + strings.Repeat("x", maxCode-3), 1},
		"beyond ASCII":     {"a.md", strings.Repeat("ü", maxProse), 0},
		"a comment":        {"a.sql", "-- " + strings.Repeat("x", maxCode), 1},
		"a statement":      {"a.sql", strings.Repeat("x", maxCode+1), 0},
		"a raw string":     {"a_test.go", "package a\n\nvar a = `b\n" + strings.Repeat("x", maxCode+1) + "`\n", 0},
		"after the string": {"a_test.go", "package a\n\nvar a = `b\n`\n//" + strings.Repeat("x", maxCode), 1},
	} {
		if got := longLines(test.file, test.text); len(got) != test.problems {
			t.Errorf("%s: got %q, want %d problems", name, got, test.problems)
		}
	}
}
