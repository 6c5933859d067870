package graphqlhttp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// hostile are documents that stall or end a server that parses, validates or executes them. All are refused quickly
// (see BenchmarkHostile).
func hostile() map[string]string {
	doubling := "{ me { ...F0 } }"
	for i := range 28 {
		doubling += fmt.Sprintf(" fragment F%d on User { a: name ...F%d b: name ...F%d }", i, i+1, i+1)
	}
	doubling += " fragment F28 on User { name }"
	wide := "{ me { ...F0 } }"
	for i := range 29 { // no aliases: only the fields grow
		wide += fmt.Sprintf(" fragment F%d on User { friend { ...F%d } ...F%d }", i, i+1, i+1)
	}
	wide += " fragment F29 on User { name }"
	return map[string]string{
		"cycle":                "{me{...A}} fragment A on User{...B} fragment B on User{...A}",
		"cycle through fields": "{me{...A}} fragment A on User{friend{...B}} fragment B on User{friend{...A ...B}}",
		"list of 2 KB":         "{ str(v: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + ") }",
		"object values":        "{ any(v: " + strings.Repeat("{a:", 300) + "1" + strings.Repeat("}", 300) + ") }",
		"list type": "query($v: " + strings.Repeat("[", 400) + "Int" + strings.Repeat("]", 400) +
			") { int(v: $v) }",
		"1,000 deep":         strings.Repeat("{a", 1000) + strings.Repeat("}", 1000),
		"16 deep":            "{ me " + strings.Repeat("{ friend ", 16) + "{ name }" + strings.Repeat("}", 17),
		"unclosed":           strings.Repeat("{a", 8000),
		"doubling fragments": doubling,
		"doubling fields":    wide,
		"7,000 equal fields": "{ me { " + strings.Repeat("x ", 7000) + "} }",
		"480 equal objects":  "{ me { " + strings.Repeat("friend { nam } ", 240) + "} }",
		"typenames":          "{ " + strings.Repeat("__typename ", 1300) + "}",
		"aliases":            "{ " + strings.Repeat("a: color b: color ", 11) + "}",
		"directives":         "{ me " + strings.Repeat("@a", 7000) + " { name } }",
		"30 directives":      "{ me " + strings.Repeat("@a", 30) + " { name } }",
		"variables":          "query(" + strings.Repeat("$a:Int ", 2000) + ") { color }",
		"60 variables":       "query(" + strings.Repeat("$a:Int ", 60) + ") { color }",
		"fragments":          "{ color } " + strings.Repeat("fragment A on User { name } ", 40),
		"unknown fields":     "{ " + strings.Repeat("meh ", 480) + "}",
		"unknown arguments":  "{ str(" + strings.Repeat("x: 1 ", 320) + ") }",
		"operations":         strings.Repeat("query A { color } ", 190),
		"introspection": "{ __schema { types " + strings.Repeat("{ fields { type ", 9) + "{ name }" +
			strings.Repeat("} }", 9) + " } }",
		"comments":        "{ color " + strings.Repeat("#\n", 8000) + " }",
		"one long string": `{ str(v: "` + strings.Repeat(`\u0041`, 2500),
		"one long number": "{ int(v: " + strings.Repeat("9", 16000) + ") }",
		"block string":    `{ str(v: """` + strings.Repeat("\n ", 8000),
		"spreads of one":  "{ me { " + strings.Repeat("...A ", 300) + "} } fragment A on User { name age }",
		"not UTF-8":       "{ \xff }",
	}
}

func TestHostileDocuments(t *testing.T) {
	s := newSite(t)
	for name, query := range hostile() {
		t.Run(name, func(t *testing.T) {
			doc, refused := s.handler.document(query)
			if refused == nil {
				t.Fatalf("got the document %v, want a refusal", doc)
			}
			size := 0
			for _, err := range refused.errs {
				size += len(err.Message)
			}
			if len(refused.errs) > testLimits.Errors || size > 8_000 {
				t.Errorf("got %d errors of %d bytes, want at most %d of 8000", len(refused.errs), size,
					testLimits.Errors)
			}
		})
	}
	if status, got := s.post(t, "{ color }", ""); status != 200 {
		t.Errorf("afterwards: got status %d and %s, want status 200", status, got)
	}
}

// TestLimits sends documents at each limit and one above it.
func TestLimits(t *testing.T) {
	s := newSite(t)
	fragments := func(n int) string {
		text := "{ me { ...F0 } }"
		for i := range n - 1 {
			text += fmt.Sprintf(" fragment F%d on User { ...F%d }", i, i+1)
		}
		return text + fmt.Sprintf(" fragment F%d on User { name }", n-1)
	}
	variables := func(n int) string {
		head, body := "", ""
		for i := range n {
			head += fmt.Sprintf("$v%d: String ", i)
			body += fmt.Sprintf("$v%d ", i)
		}
		return "query(" + head + ") { any(v: [" + body + "]) }"
	}
	aliases := func(n int) string {
		text := ""
		for i := range n {
			text += fmt.Sprintf("a%d: color ", i)
		}
		return "{ " + text + "}"
	}
	tests := []struct {
		name  string
		query func(n int) string
		limit int
		code  string
	}{
		{"query", func(n int) string { return "{ color }" + strings.Repeat(" ", n-9) }, testLimits.Query, CodeTooLarge},
		{"tokens", func(n int) string { return "{ any(v: [" + strings.Repeat("1 ", n-9) + "]) }" }, testLimits.Tokens,
			CodeTooComplex},
		{"nesting", func(n int) string {
			return "{ any(v: " + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) +
				") }"
		}, testLimits.Nesting, CodeTooComplex},
		{"fields", func(n int) string { return "{ " + strings.Repeat("color ", n) + "}" }, testLimits.Fields,
			CodeTooComplex},
		{"depth", func(n int) string {
			return "{ me " + strings.Repeat("{ friend ", n-2) + "{ name }" + strings.Repeat("}", n-1)
		}, testLimits.Depth, CodeTooComplex},
		{"aliases", aliases, testLimits.Aliases, CodeTooComplex},
		{"fragments", fragments, testLimits.Fragments, CodeTooComplex},
		{"variables", variables, testLimits.Variables, CodeTooComplex},
		{"directives", func(n int) string { return "{ " + strings.Repeat("color @skip(if: true) ", n) + "}" },
			testLimits.Directives, CodeTooComplex},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, refused := s.handler.document(test.query(test.limit)); refused != nil {
				t.Errorf("at %d: got %s, want no error", test.limit, refused.errs[0].Message)
			}
			if _, refused := s.handler.document(test.query(test.limit + 1)); refused == nil ||
				refused.errs[0].Extensions.Code != test.code {
				t.Errorf("at %d: got %+v, want code %s", test.limit+1, refused, test.code)
			}
		})
	}
}

// TestRepeatedFields: no selection set that validation compares field by field has a plain field twice.
func TestRepeatedFields(t *testing.T) {
	s := newSite(t)
	const twice = "fragment A on User { name } fragment A on User { name name } "
	for _, query := range []string{
		"{ color color }", "query A { color color } query B { color color }",
		"{ color } fragment A on User { name name }",
		twice + "{ me { ...A } }", "{ me { ...A } } " + twice, twice + twice + "{ color }",
	} {
		doc, err := parser.ParseQuery(&ast.Source{Input: query})
		if err != nil {
			t.Fatal(err)
		}
		if refused := s.handler.checkCost(doc); refused != nil {
			t.Fatalf("%s: got %s, want no refusal", query, refused.errs[0].Message)
		}
		var sets []ast.SelectionSet
		for _, op := range doc.Operations {
			sets = append(sets, op.SelectionSet)
		}
		for _, f := range doc.Fragments {
			sets = append(sets, f.SelectionSet)
		}
		for i, set := range sets {
			if len(set) != 1 {
				t.Errorf("%s: got %d fields in selection set %d, want 1", query, len(set), i)
			}
		}
	}
}

// TestRules has documents that graphql-go's validator accepts or cannot parse, and other rules of the current
// specification.
func TestRules(t *testing.T) {
	s := newSite(t)
	tests := []struct {
		name, query, code string // "": fine
	}{
		{"only type definitions", `type X { a: Int }`, CodeSyntax},
		{"a type definition beside an operation", `type X { a: Int } { color }`, CodeSyntax},
		{"no operation", `fragment F on User { name }`, CodeValidation},
		{"nothing", ` # nothing`, CodeOperation},
		{"a directive twice", `{ color @skip(if: true) @skip(if: true) }`, CodeValidation},
		{"a subscription", `subscription { a }`, CodeValidation},
		{"an unknown kind of operation", `select { color }`, CodeSyntax},
		{"defer", `{ ... @defer { color } }`, CodeValidation},
		{"a directive on a variable", `query($v: String @nope) { str(v: $v) }`, CodeValidation},
		{"introspection of introspection",
			`{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }`, CodeValidation},
		{"an unused variable", `query($v: String) { color }`, CodeValidation},
		{"an undefined variable", `{ str(v: $v) }`, CodeValidation},
		{"a variable of another type", `query($v: Int) { str(v: $v) }`, CodeValidation},
		{"a required argument is missing", `{ need }`, CodeValidation},
		{"a required argument is null", `{ need(v: null) }`, CodeValidation},
		{"a field twice in an object", `{ find(filter: {name: "a", name: "b"}) }`, CodeValidation},
		{"conflicting fields", `{ a: color a: agent }`, CodeValidation},
		{"conflicting arguments", `{ str(v: "a") str(v: "b") }`, CodeValidation},
		{"no selection", `{ me }`, CodeValidation},
		{"a selection on a scalar", `{ color { a } }`, CodeValidation},
		{"two anonymous operations", `{ color } { agent }`, CodeValidation},
		{"two operations of a name", `query A { color } query A { agent }`, CodeValidation},
		{"half a surrogate pair", `{ str(v: "\uD83D") }`, CodeBadString},
		{"half a pair after other letters", `{ a: str(v: "é😀") str(v: "é\n\ud83d\ud83D\uDE00") }`, CodeBadString},
		{"a pair after other letters", `{ a: str(v: "é😀") str(v: "é\n\ud83d\uDE00") }`, ""},
		{"the other half", `{ str(v: "a\uDE00\uD83D") }`, CodeBadString},
		{"a surrogate in braces", `{ str(v: "\u{D83D}") }`, CodeSyntax},
		{"half a pair in a comment", "{ color } # \\uD83D \" \\uD83D", ""},
		{"a backslash before it", `{ str(v: "\\uD83D") }`, ""},
		{"in a block string it is text", `{ str(v: """\uD83D""") }`, ""},
		{"brackets in strings do not nest", `{ str(v: "` + strings.Repeat("[", 100) + `") }`, ""},
		{"brackets in block strings do not nest", `{ str(v: """` + strings.Repeat("{", 100) + ` \""" """) }`, ""},
		{"an unclosed string", `{ str(v: "a) }`, CodeSyntax},
		{"descriptions of operations", `"what" query A { color }`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, got := s.post(t, test.query, "")
			want := 400
			if test.code == "" {
				want = 200
			}
			if status != want || codeOf(t, got) != test.code {
				t.Errorf("got status %d and %s, want %d and code %q", status, got, want, test.code)
			}
			if test.code != "" && strings.Contains(got, `"data"`) {
				t.Errorf("got %s, want no data", got)
			}
		})
	}
}

func TestLocations(t *testing.T) {
	s := newSite(t)
	for query, want := range map[string]string{
		"{\n  e: color # é\n  nope\n}": `"locations":[{"line":3,"column":3}]`,
		"{ str(v: \"é\") nope }":       `"locations":[{"line":1,"column":15}]`, // characters, not bytes
		"{ color": `"message":"Syntax error: Expected Name, found ` +
			`\u003cEOF\u003e","locations":[{"line":1,"column":8}]`,
		"query A { color } query B { agent { a } }": `"locations":[{"line":1,"column":29}]`,
		"{ color @a\nagent @a }": `{"errors":[{"message":"Unknown directive \"@a\".",` +
			`"locations":[{"line":1,"column":10},{"line":2,"column":8}],"extensions":{"code":"validation"}}]}`,
	} {
		if _, got := s.post(t, query, ""); !strings.Contains(got, want) || strings.Contains(got, `\n`) {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestOperationName(t *testing.T) {
	s := newSite(t)
	const two = `"query":"query A { color } query B { agent }"`
	tests := []struct {
		body   string
		status int
		want   string
	}{
		{`{` + two + `,"operationName":"A"}`, 200, `{"data":{"color":"GREEN"}}`},
		{`{` + two + `,"operationName":"B"}`, 200, `{"data":{"agent":""}}`},
		{`{` + two + `,"operationName":"C"}`, 400, CodeOperation},
		{`{` + two + `}`, 400, CodeOperation},
		{`{` + two + `,"operationName":null}`, 400, CodeOperation},
		{`{"query":"{ color }","operationName":"A"}`, 400, CodeOperation},
	}
	for _, test := range tests {
		status, got := s.send(t, "POST", "", test.body, "Content-Type", "application/json", "Accept",
			"application/graphql-response+json")
		if status != test.status || got != test.want && codeOf(t, got) != test.want {
			t.Errorf("%s: got status %d and %s, want %s", test.body, status, got, test.want)
		}
	}
}

// TestNoHintsWithoutIntrospection: without introspection no message suggests a name of the schema.
func TestNoHintsWithoutIntrospection(t *testing.T) {
	open, closed := newSite(t), newSite(t, func(s *Settings) { s.Introspection = false })
	hints := 0
	for _, query := range []string{
		`{ colour }`, `{ passphras }`, `{ me { nam } }`, `{ str(w: "a") }`, `query($v: Strin) { str(v: $v) }`,
		`{ me { ...F } } fragment F on Usr { name }`,
		`{ paint(v: RDE) }`, `{ paint(v: "RED") }`, `{ find(filter: {nam: "a"}) }`, `{ me }`,
		`{ color @skp(if: true) }`, `{ me { legs } }`,
		`query($c: Color = RDE) { paint(v: $c) }`,
	} {
		if _, got := open.post(t, query, ""); strings.Contains(got, "Did you mean") {
			hints++
		}
		status, got := closed.post(t, query, "")
		if status != 400 || strings.Contains(strings.ToLower(got), "did you mean") || strings.Contains(got,
			"passphrase") {
			t.Errorf("%s: got status %d and %s, want status 400", query, status, got)
		}
	}
	if hints < 5 {
		t.Errorf("got %d suggestions with introspection, want at least 5", hints)
	}
	for _, query := range []string{`{ __schema { types { name } } }`,
		`{ ...F } fragment F on Query { __type(name: "User") { name } }`} {
		if status, got := closed.post(t, query, ""); status != 400 || codeOf(t, got) != CodeValidation {
			t.Errorf("%s: got status %d and %s, want status 400", query, status, got)
		}
	}
	if status, got := closed.post(t, `{ __typename me { __typename } }`, ""); status != 200 ||
		got != `{"data":{"__typename":"Query","me":{"__typename":"User"}}}` {
		t.Errorf("got status %d and %s, want %s", status, got,
			`{"data":{"__typename":"Query","me":{"__typename":"User"}}}`)
	}
}

func BenchmarkHostile(b *testing.B) {
	s := newSite(b)
	for name, query := range hostile() {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if _, refused := s.handler.document(query); refused == nil {
					b.Fatal("got no error, want one")
				}
			}
		})
	}
}
