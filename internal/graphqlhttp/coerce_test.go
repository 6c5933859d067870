package graphqlhttp

import (
	"strings"
	"testing"
)

// TestCoercion sends each value as a variable and, if the syntax has it, as a literal.
func TestCoercion(t *testing.T) {
	s := newSite(t)
	tests := []struct {
		field, typ, variable string
		literal              string // "": as the variable
		want                 string // of the argument v; "": refused
	}{
		{"str", "String", `"a"`, "", `"a"`},
		{"str", "String", `null`, "", `null`},
		{"str", "String", `12`, "", ``},
		{"str", "String", `true`, "", ``},
		{"str", "String", `["a"]`, "", ``},
		{"str", "String", `{"$ne":1}`, `{ne: 1}`, ``},
		{"str", "String", `"😀"`, `"\uD83D\uDE00"`, `"😀"`},
		{"str", "String", `"😀"`, `"\u{1F600}"`, `"😀"`},
		{"str", "String", `"a\nb"`, "\"\"\"\n  a\n  b\n\"\"\"", `"a\nb"`},
		{"int", "Int", `12`, "", `12`},
		{"int", "Int", `-2147483648`, "", `-2147483648`},
		{"int", "Int", `2147483648`, "", ``},
		{"int", "Int", `9999999999`, "", ``},
		{"int", "Int", `99999999999999999999999`, "", ``},
		{"int", "Int", `"12"`, "", ``},
		{"int", "Int", `1.5`, "", ``},
		{"int", "Int", `true`, "", ``},
		{"float", "Float", `1.5`, "", `1.5`},
		{"float", "Float", `2`, "", `2`},
		{"float", "Float", `1e999`, "", ``},
		{"float", "Float", `"1.5"`, "", ``},
		{"bool", "Boolean", `true`, "", `true`},
		{"bool", "Boolean", `"no"`, "", ``},
		{"bool", "Boolean", `1`, "", ``},
		{"id", "ID", `"x"`, "", `"x"`},
		{"id", "ID", `7`, "", `"7"`},
		{"id", "ID", `7.5`, "", ``},
		{"id", "ID", `true`, "", ``},
		{"paint", "Color", `"RED"`, `RED`, `1`},
		{"paint", "Color", `"BLUE"`, `BLUE`, ``},
		{"paint", "Color", `1`, "", ``},
		{"strs", "[String!]", `["a","b"]`, "", `["a","b"]`},
		{"strs", "[String!]", `"a"`, "", `["a"]`},
		{"strs", "[String!]", `null`, "", `null`},
		{"strs", "[String!]", `["a",null]`, "", ``},
		{"strs", "[String!]", `["a",1]`, "", ``},
		{"need", "String!", `"a"`, "", `"a"`},
		{"need", "String!", `null`, "", ``},
		{"any", "Anything", `{"a":[1,"x",null,true]}`, `{a: [1, "x", null, true]}`, `{"a":[1,"x",null,true]}`},
	}
	for _, test := range tests {
		literal := test.literal
		if literal == "" {
			literal = test.variable
		}
		for way, answer := range map[string]func() (int, string){
			"variable": func() (int, string) {
				return s.post(t, "query($v: "+test.typ+") { out: "+test.field+"(v: $v) }", `{"v":`+test.variable+`}`)
			},
			"literal": func() (int, string) { return s.post(t, "{ out: "+test.field+"(v: "+literal+") }", "") },
		} {
			t.Run(test.field+" "+test.variable+" as a "+way, func(t *testing.T) {
				status, got := answer()
				want := `{"data":{"out":{"v":` + test.want + `}}}`
				if test.want == "" {
					code := map[string]string{"variable": CodeVariables, "literal": CodeValidation}[way]
					if status != 400 || codeOf(t, got) != code || strings.Contains(got, `"data"`) {
						t.Errorf("status %d, %s; want 400 and code %s", status, got, code)
					}
				} else if status != 200 || got != want {
					t.Errorf("status %d, %s; want %s", status, got, want)
				}
			})
		}
	}
}

func TestAbsentAndNullDiffer(t *testing.T) {
	s := newSite(t)
	tests := []struct{ query, variables, want string }{
		{`{ str }`, ``, `{"str":{}}`},
		{`{ str(v: null) }`, ``, `{"str":{"v":null}}`},
		{`query($v: String) { str(v: $v) }`, `{}`, `{"str":{}}`},
		{`query($v: String) { str(v: $v) }`, `{"v":null}`, `{"str":{"v":null}}`},
		{`query($v: String = "d") { str(v: $v) }`, `{}`, `{"str":{"v":"d"}}`},
		{`query($v: String = "d") { str(v: $v) }`, `{"v":null}`, `{"str":{"v":null}}`},
		{`query($v: String! = "d") { need(v: $v) }`, `{}`, `{"need":{"v":"d"}}`},
		{`query($v: Int) { find(filter: {name: "n", size: $v}) }`, `{}`, `{"find":{"filter":{"name":"n"}}}`},
		{`query($v: Int) { find(filter: {name: "n", size: $v}) }`, `{"v":null}`,
			`{"find":{"filter":{"name":"n","size":null}}}`},
		{`query($v: [String] = ["x"]) { find(filter: {name: "n", tags: $v}) }`, `{}`,
			`{"find":{"filter":{"name":"n","tags":["x"]}}}`},
		{`query($v: String!) { strs(v: ["a", $v]) }`, `{"v":"b"}`, `{"strs":{"v":["a","b"]}}`},
		{`query($v: Anything) { any(v: {a: [1, $v], b: $v}) }`, `{"v":{"c":[2]}}`,
			`{"any":{"v":{"a":[1,{"c":[2]}],"b":{"c":[2]}}}}`},
		{`query($v: Anything) { any(v: {a: [1, $v]}) }`, `{}`, `{"any":{"v":{"a":[1,null]}}}`},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{"name":"n","tags":null}}`,
			`{"find":{"filter":{"name":"n","tags":null}}}`},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{"name":"n","tags":"t"},"unused":1}`,
			`{"find":{"filter":{"name":"n","tags":["t"]}}}`},
	}
	for _, test := range tests {
		if status, got := s.post(t, test.query, test.variables); status != 200 || got != `{"data":`+test.want+`}` {
			t.Errorf("%s with %s: status %d, %s; want %s", test.query, test.variables, status, got, test.want)
		}
	}
}

func TestVariablesThatDoNotFit(t *testing.T) {
	s := newSite(t)
	tests := []struct{ query, variables, message string }{
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{}}`,
			"Variable $v.name does not fit Filter: String! is required."},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{"name":1}}`,
			`Variable $v.name does not fit Filter: expected String, found a number.`},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{"name":"n","tags":["a",2]}}`,
			`Variable $v.tags[1] does not fit Filter: expected String, found a number.`},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":{"name":"n","nmae":1}}`,
			`Variable $v does not fit Filter: Filter has no field "nmae".`},
		{`query($v: Filter) { find(filter: $v) }`, `{"v":"x"}`,
			`Variable $v does not fit Filter: expected an object, found a string.`},
		{`query($v: String!) { need(v: $v) }`, `{}`, `Variable $v of type String! was not given.`},
		{`query($v: String!) { need(v: $v) }`, `{"v":null}`, `Variable $v does not fit String!: null is not allowed.`},
		{`query($v: Int) { int(v: $v) }`, `{"v":` + strings.Repeat("9", 500) + `}`,
			`Variable $v does not fit Int: expected Int, found a number with a fraction or of more than 32 bits.`},
	}
	for _, test := range tests {
		status, got := s.post(t, test.query, test.variables)
		want := strings.ReplaceAll(test.message, `"`, `\"`)
		if status != 400 || codeOf(t, got) != CodeVariables || !strings.Contains(got, want) {
			t.Errorf("%s: status %d, %s; want %s", test.variables, status, got, test.message)
		}
	}
	// Validation accepts a nullable variable with a default for a non-null argument. Only its value null is an error.
	if status, got := s.post(t, `query($v: String = "d") { need(v: $v) }`, `{"v":null}`); status != 200 ||
		codeOf(t, got) != CodeVariables {
		t.Errorf("got status %d and %s, want status 200", status, got)
	}
}

// TestValuesAreNotRepeated: no message has a value of the request, which may be a secret in the wrong place. Messages
// may have names.
func TestValuesAreNotRepeated(t *testing.T) {
	s := newSite(t)
	for _, test := range []struct{ query, variables, message string }{
		{`{ int(v: "SECRET") }`, ``, `Int cannot represent non-integer value.`},
		{`{ int(v: 987654321987) }`, ``, `Int cannot represent a number out of its range.`},
		{`{ float(v: 987654321e999) }`, ``, `Float cannot represent a number out of its range.`},
		{`{ str(v: 987654321) }`, ``, `String cannot represent a non string value.`},
		{`{ str(v: SECRET) }`, ``, `String cannot represent a non string value.`},
		{`{ str(v: ["SECRET"]) }`, ``, `String cannot represent a non string value.`},
		{`{ need(v: {a: "SECRET value: SECRET"}) }`, ``, `Field \"a\" is not defined by type \"String\".`},
		{`{ bool(v: "SECRET") }`, ``, `Boolean cannot represent a non boolean value.`},
		{`{ float(v: "SECRET") }`, ``, `Float cannot represent non numeric value.`},
		{`{ id(v: true) }`, ``, `ID cannot represent a non-string and non-integer value.`},
		{`{ strs(v: [987654321]) }`, ``, `String cannot represent a non string value.`},
		{`{ find(filter: "SECRET, found SECRET") }`, ``, `Expected value of type \"Filter\".`},
		{`{ paint(v: "GREN") }`, ``, `Enum \"Color\" cannot represent non-enum value. Did you mean the enum ` +
			`value \"GREEN\"`},
		{`{ str(v: "a" "SECRET \" \n x") }`, ``, `Syntax error: Expected Name, found String`},
		{`{ str(v: """a""" """SECRET
			"SECRET" """) }`, ``, `Syntax error: Expected Name, found BlockString`},
		{`{ str(v: "a") } "SECRET" 987654321`, ``, `Syntax error: Unexpected Int`},
		{`{ str(v: 1 987654321) }`, ``, `Syntax error: Expected Name, found Int`},
		{`{ str(v: 1 9876.54321) }`, ``, `Syntax error: Expected Name, found Float`},
		{`query($v: String) { str(v: $v) }`, `{"v":987654321}`,
			`Variable $v does not fit String: expected String, found a number.`},
		{`query($v: Int) { int(v: $v) }`, `{"v":987654321987}`,
			`Variable $v does not fit Int: expected Int, found a number with a fraction or of more than 32 bits.`},
		{`query($v: Int) { int(v: $v) }`, `{"v":"SECRET"}`,
			`Variable $v does not fit Int: expected Int, found a string.`},
		{`query($v: Int = 1.98765) { int(v: $v) }`, ``, `Int cannot represent non-integer value.`},
		{`query($v: Color) { paint(v: $v) }`, `{"v":"SECRET"}`,
			`Variable $v does not fit Color: expected Color, found a string.`},
	} {
		status, got := s.post(t, test.query, test.variables)
		if status != 400 || !strings.Contains(got, test.message) || strings.Contains(got, "SECRET") ||
			strings.Contains(got, "98765") {
			t.Errorf("%s %s: status %d, %s; want %s", test.query, test.variables, status, got, test.message)
		}
	}
}
