package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

// allowed lists what each package may import beside the standard library: packages of this module, then other modules.
// Tests are exempt. docs/architecture.md says what the packages are for.
var allowed = map[string]string{
	"main":   "internal/cli",
	"schema": "accounts internal/graphqlhttp internal/jsontext github.com/graphql-go/graphql",
	"accounts": "email internal/jsontext internal/password internal/pattern internal/ratelimit internal/store " +
		"internal/usersearch tokens golang.org/x/net golang.org/x/text",
	"tokens": "internal/durable internal/store github.com/lestrrat-go/jwx/v2",
	"email": "internal/durable internal/pattern internal/spelling internal/store github.com/wneessen/go-mail " +
		"golang.org/x/net",
	"accountdtest":                   "internal/cli internal/config",
	"internal/acceptance/api":        "",
	"internal/acceptance/documents":  "",
	"internal/acceptance/durability": "",
	"internal/acceptance/mail":       "",
	"internal/acceptance/mutants":    "",
	"internal/acceptance/security":   "",
	"internal/acceptance/web":        "",
	"internal/argon2":                "github.com/alexedwards/argon2id golang.org/x/crypto golang.org/x/sys",
	"internal/bench":                 "",
	"internal/bench/dataset":         "internal/cli internal/store",
	"internal/bench/seed":            "internal/bench/dataset",
	"internal/cli": "accounts email internal/config internal/devmail internal/graphiql internal/server " +
		"internal/store schema tokens github.com/alecthomas/kong github.com/lmittmann/tint " +
		"github.com/mattn/go-isatty golang.org/x/sys",
	"internal/config": "accounts email internal/pattern internal/ratelimit internal/server internal/spelling " +
		"schema tokens github.com/pelletier/go-toml/v2",
	"internal/devmail":  "internal/pattern",
	"internal/durable":  "",
	"internal/graphiql": "",
	"internal/graphqlhttp": "internal/jsontext github.com/graphql-go/graphql github.com/hashicorp/golang-lru/v2 " +
		"github.com/vektah/gqlparser/v2",
	"internal/jsontext": "internal/pattern",
	"internal/password": "internal/argon2 internal/pattern github.com/alexedwards/argon2id golang.org/x/crypto " +
		"golang.org/x/text",
	"internal/pattern":    "",
	"internal/ratelimit":  "internal/store",
	"internal/server":     "github.com/rs/cors",
	"internal/servertest": "internal/store",
	"internal/spelling":   "github.com/agnivade/levenshtein",
	"internal/store":      "internal/durable golang.org/x/sys golang.org/x/text modernc.org/libc modernc.org/sqlite",
	"internal/usersearch": "internal/store",
}

// TestImportGraph compares the import lines of the code with allowed. Each module is imported by one package, or by two
// where a type has to cross.
func TestImportGraph(t *testing.T) {
	if diff := cmp.Diff(allowed, codeImports(t)); diff != "" {
		t.Errorf("imports (-allowed +code):\n%s", diff)
	}
}

// TestArchitectureNamesPackages: docs/architecture.md says of every package what it is for.
func TestArchitectureNamesPackages(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range allowed {
		if family, _, _ := strings.Cut(strings.TrimPrefix(name, "internal/"), "/"); family == "acceptance" ||
			family == "bench" {
			name = "internal/" + family + "/…"
		}
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/architecture.md has no row for %s", name)
		}
	}
}

func codeImports(t *testing.T) map[string]string {
	t.Helper()
	modules := requiredModules(t)
	ours, foreign := map[string][]string{}, map[string][]string{}
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
		if _, ok := ours[name]; !ok {
			ours[name] = nil // a package of tests alone imports nothing
		}
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
				if own, ok := strings.CutPrefix(imported, "accountd/"); ok {
					ours[name] = append(ours[name], own)
				} else if strings.Contains(imported, ".") {
					foreign[name] = append(foreign[name], moduleOf(t, modules, imported))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	graph := map[string]string{}
	for name := range ours {
		graph[name] = strings.Join(append(sortedSet(ours[name]), sortedSet(foreign[name])...), " ")
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
