package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

// imports is what one package imports, sorted, without the standard library.
type imports struct{ Ours, Modules []string }

// TestImportGraph holds the import lines of the code, tests excepted, against the table of docs/architecture.md.
func TestImportGraph(t *testing.T) {
	if diff := cmp.Diff(documentedImports(t), codeImports(t)); diff != "" {
		t.Errorf("docs/architecture.md and the code differ (-document +code):\n%s", diff)
	}
}

func documentedImports(t *testing.T) map[string]imports {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := func(cell string) []string {
		var list []string
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			list = append(list, quoted[1])
		}
		slices.Sort(list)
		return list
	}
	graph := map[string]imports{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.Contains(cells[1], "`") {
			continue
		}
		graph[names(cells[1])[0]] = imports{names(cells[3]), names(cells[4])}
	}
	return graph
}

func codeImports(t *testing.T) map[string]imports {
	t.Helper()
	modules := requiredModules(t)
	graph := map[string]imports{}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "testdata" || len(name) > 1 && name[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		name := path.Dir(filepath.ToSlash(file))
		if name == "." {
			name = "main"
		}
		seen := graph[name] // a package of tests alone imports nothing
		if !strings.HasSuffix(file, "_test.go") {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			for _, spec := range parsed.Imports {
				imported, err := strconv.Unquote(spec.Path.Value)
				if err != nil {
					return err
				}
				if ours, ok := strings.CutPrefix(imported, "accountd/"); ok {
					seen.Ours = append(seen.Ours, ours)
				} else if strings.Contains(imported, ".") {
					seen.Modules = append(seen.Modules, moduleOf(t, modules, imported))
				}
			}
		}
		graph[name] = imports{sortedSet(seen.Ours), sortedSet(seen.Modules)}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return graph
}

func requiredModules(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, require := range file.Require {
		list = append(list, require.Mod.Path)
	}
	return list
}

// moduleOf is the required module that a package belongs to.
func moduleOf(t *testing.T, modules []string, imported string) string {
	t.Helper()
	for _, module := range modules {
		if imported == module || strings.HasPrefix(imported, module+"/") {
			return module
		}
	}
	t.Errorf("%s is of no module in go.mod", imported)
	return imported
}

func sortedSet(list []string) []string {
	set := map[string]bool{}
	for _, s := range list {
		set[s] = true
	}
	return slices.Sorted(maps.Keys(set))
}
