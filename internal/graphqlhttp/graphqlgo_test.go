package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/graphql-go/graphql"
)

// fragmentCycle is a request of 79 bytes.
const fragmentCycle = `{ me { ...Aa } } fragment Aa on User { ...Bb } fragment Bb on User { ...Aa    }`

// childEnv is the environment variable by which TestGraphQLGo/fragment_cycle starts itself as a child process.
const childEnv = "GRAPHQL_GO_CHILD"

// TestGraphQLGo shows why requests do not reach graphql-go's parser, validator and executor (docs/architecture.md).
// If a subtest fails, graphql-go has changed, and the reason must be checked again.
func TestGraphQLGo(t *testing.T) {
	s := newSite(t)
	schema := s.schema(t)
	execute := func(query string, variables map[string]any) string {
		answer, err := json.Marshal(graphql.Do(graphql.Params{
			Schema: schema, RequestString: query, VariableValues: variables, Context: t.Context(),
		}))
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	t.Run("fragment cycle", func(t *testing.T) {
		if os.Getenv(childEnv) != "" {
			debug.SetMaxStack(16 << 20) // the limit of 1 GB is reached as surely, and later
			execute(fragmentCycle, nil)
			return
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestGraphQLGo$/^fragment_cycle$")
		cmd.Env = append(os.Environ(), childEnv+"=1")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("fatal error: stack overflow")) {
			t.Errorf("got %v and %.300q, want the process to end with a stack overflow", err, out)
		}
		t.Logf("graphql-go, %d bytes: %s", len(fragmentCycle), bytes.SplitN(out, []byte("\n"), 2)[0])
		if status, got := s.post(t, fragmentCycle, ""); status != 400 || codeOf(t, got) != CodeValidation {
			t.Errorf("graphqlhttp: got status %d and %s, want 400 and code %s", status, got, CodeValidation)
		}
	})
	for _, test := range []struct{ name, query, theirs, ours string }{
		{"order of keys", `{ z: color a: color }`, `{"data":{"a":"GREEN","z":"GREEN"}}`,
			`{"data":{"z":"GREEN","a":"GREEN"}}`},
		{"text of a panic", `{ panics }`, `"message":"assignment to entry in nil map"`,
			`"message":"internal server error"`},
		{"text of an error", `{ fails { name } }`, `"message":"no such table: users"`,
			`"message":"internal server error"`},
		{"value beside an error", `{ fails { name } }`, `"fails":{"Name":"bob","Secret":"SECRET"}`, `"fails":null`},
		{"value that is not an Int", `{ badInt }`, `{"data":{"badInt":null}}`, `"message":"internal server error"`},
		{"number for a string", `query($n: String) { str(v: $n) }`, `{"data":{"str":{"v":"12"}}}`,
			`expected String, found a number`},
		{"null literal", `{ str(v: null) }`, `Syntax Error`, `{"data":{"str":{"v":null}}}`},
		{"surrogate pair", `{ str(v: "\uD83D\uDE00") }`, `{"data":{"str":{"v":"` + "\ufffd\ufffd" + `"}}}`,
			`{"data":{"str":{"v":"😀"}}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := execute(test.query, map[string]any{"n": 12})
			t.Logf("graphql-go: %s", got)
			if !strings.Contains(got, test.theirs) {
				t.Errorf("graphql-go: got %s, want %s", got, test.theirs)
			}
			if _, got := s.post(t, test.query, `{"n":12}`); !strings.Contains(got, test.ours) {
				t.Errorf("graphqlhttp: got %s, want %s", got, test.ours)
			}
		})
	}
}

// BenchmarkNestedList is a document of 400 bytes with lists in lists, 200 deep.
func BenchmarkNestedList(b *testing.B) {
	s := newSite(b)
	schema := s.schema(b)
	query := "{ strs(v: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + ") }"
	b.Run("graphql-go", func(b *testing.B) {
		for b.Loop() {
			graphql.Do(graphql.Params{Schema: schema, RequestString: query, Context: b.Context()})
		}
	})
	b.Run("graphqlhttp", func(b *testing.B) {
		for b.Loop() {
			s.handler.document(query)
		}
	})
}
