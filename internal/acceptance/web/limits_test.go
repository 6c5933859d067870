//go:build unix

// Package web_test tests HTTP and GraphQL of the built program: limits, headers, origins, errors, and slow or hostile
// clients.
//
// The canary tests look for secrets of requests in responses, logs and files.
package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// standardIntrospection is the introspection query of GraphiQL and code generators.
const standardIntrospection = `query IntrospectionQuery { __schema { description queryType { name kind }
	mutationType { name kind } subscriptionType { name kind }
	types { ...FullType } directives { name description isRepeatable locations args(includeDeprecated: true) {
		...InputValue } } } }
	fragment FullType on __Type { kind name description specifiedByURL fields(includeDeprecated: true) { name
		description
		args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
		inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
			enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
		possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated
		deprecationReason }
	fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind
		name ofType { kind name
		ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`

// TestSecurityLimits sends documents at each limit and one beyond, also through fragments. Beyond, the whole
// document is refused for that limit.
func TestSecurityLimits(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	each := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	of := func(fields string) string { return "{ me { ...F } } fragment F on UserNode { " + fields + " }" }
	const often = 18 // fields and aliases of three equal selections come in threes
	tests := []struct {
		name  string
		limit int
		query func(n int) string
		says  string // beyond the limit
	}{
		{"bytes", 16 << 10, func(n int) string { return "{me{id}}" + strings.Repeat(" ", n-8) }, "The query has"},
		{"tokens", 1000, func(n int) string { return "{me(a:[" + strings.Repeat("1 ", n-9) + "])}" }, "tokens"},
		{"nesting of lists", 20, func(n int) string {
			return "{me(a:" + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) +
				")}"
		}, "levels of nesting"},
		{"nesting of objects", 20, func(n int) string {
			return "{me(a:" + strings.Repeat("{a:", n-2) + "1" + strings.Repeat("}", n-2) + ")}"
		}, "levels of nesting"},
		{"nesting of a type", 20, func(n int) string {
			return "query($v:" + strings.Repeat("[", n-1) + "Int" + strings.Repeat("]", n-1) + "){me{id}}"
		}, "levels of nesting"},
		{"nesting of a default value", 20, func(n int) string {
			return "query($v:ID=" + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + "){me{id}}"
		}, "levels of nesting"},
		{"nesting in a fragment", 20, func(n int) string {
			return of("id(a:" + strings.Repeat("[", n-2) + strings.Repeat("]",
				n-2) + ")")
		}, "levels of nesting"},
		{"fields", 500, func(n int) string { return "{me{" + strings.Repeat("id ", n-1) + "}}" }, "fields"},
		{"fields of a fragment", 500, func(n int) string { return of(strings.Repeat("id ", n-1)) }, "fields"},
		{"fields of a fragment that is spread often", 500, func(n int) string {
			return "{me{" + strings.Repeat("...F ", 7) + strings.Repeat("id ", n-491) + "}} fragment F on UserNode{" +
				strings.Repeat("id ", 70) + "}"
		}, "fields"},
		{"fields of inline fragments", 500, func(n int) string {
			return "{me{...on UserNode{...{" + strings.Repeat("id ",
				n-1) + "}}}}"
		}, "fields"},
		{"fields of a mutation", 500, func(n int) string {
			return `mutation{verifyToken(token:""){` + strings.Repeat("success ", n-1) + "}}"
		}, "fields"},
		{"aliases", 20, func(n int) string { return "{me{" + each(n, "a%d:id ") + "}}" }, "aliases"},
		{"aliases of a fragment", 20, func(n int) string { return of(each(n, "a%d:id ")) }, "aliases"},
		{"aliases of a fragment that is spread often", 20, func(n int) string {
			return "{me{...F ...F ...F " + each(n-often, "b%d:id ") + "}} fragment F on UserNode{" +
				each(often/3, "a%d:id ") +
				"}"
		}, "aliases"},
		{"depth", 15, func(n int) string { return strings.Repeat("{me", n) + strings.Repeat("}", n) },
			"levels of selections"},
		{"depth through fragments", 15, func(n int) string {
			return "{me{...F}} fragment F on UserNode" + strings.Repeat("{me", n-8) + "{...G}" + strings.Repeat("}",
				n-8) +
				" fragment G on UserNode" + strings.Repeat("{me", 7) + strings.Repeat("}", 7)
		}, "levels of selections"},
		{"depth of introspection", 20, func(n int) string {
			return `{__type(name:"UserNode")` + strings.Repeat("{ofType", 10) + "{...F}" + strings.Repeat("}", 11) +
				" fragment F on __Type" + strings.Repeat("{ofType", n-11) + "{name}" + strings.Repeat("}", n-11)
		}, "inside introspection"},
		{"fragments", 30, func(n int) string {
			return "{me{...F0}}" + each(n, " fragment F%d on UserNode{id}")
		}, "fragments"},
		{"variables", 50, func(n int) string { return "query(" + each(n, "$v%d:Int ") + "){me{id}}" }, "variables"},
		{"directives", 20, func(n int) string { return "{me{" + strings.Repeat("id@skip(if:true)", n) + "}}" },
			"directives"},
		{"unknown directives", 20, func(n int) string { return "query" + strings.Repeat("@a", n) + "{me{id}}" },
			"directives"},
		{"directives of fragments", 20, func(n int) string {
			return "{me{...F@skip(if:true)}} fragment F on UserNode@a{" + strings.Repeat("...@skip(if:true){id}", n-2) +
				"}"
		}, "directives"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			refused := func(n int) (bool, string) {
				got := server.Post(t, "/graphql", test.query(n), "")
				return (got.Has("too_complex") || got.Has("too_large")) && strings.Contains(got.Body, test.says) &&
					got.Status == 400 && !strings.Contains(got.Body, `"data"`), got.Body
			}
			if is, body := refused(test.limit); is {
				t.Errorf("%d: got a refusal, want none: %.300s", test.limit, body)
			}
			if is, body := refused(test.limit + 1); !is {
				t.Errorf("%d: got no refusal, want one: %.300s", test.limit+1, body)
			}
		})
	}
}

// TestSecurityNestedVariables: variables may be as deep and as long as a body allows, and do no harm.
func TestSecurityNestedVariables(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	nested := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	for _, typ := range []string{"ID!", "[ID!]", "[[[[[[[[[[[[[[[[[[ID]]]]]]]]]]]]]]]]]]"} {
		for name, value := range map[string]string{
			"lists": nested("[", "]", 9000), "objects": strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000),
			"more lists than JSON may have": nested("[", "]", 30000),
			"a long list":                   "[" + strings.Repeat("1,", 30000) + "1]", "a list of lists": "[" +
				strings.Repeat("[[[]]],", 8000) + "[]]",
		} {
			got := server.Send(t, "POST", "/graphql", `{"query":"query($v: `+typ+
				`) { user(id: $v) { id } }","variables":{"v":`+
				value+`}}`,
				"Content-Type", "application/json", "Accept", "application/graphql-response+json")
			if got.Status != 400 || strings.Contains(got.Body, `"data"`) || len(got.Body) > 5000 {
				t.Errorf("%s for %s: got status %d, %.300s; want 400 and no data", name, typ, got.Status, got.Body)
			}
		}
	}
	// Many variables that nobody declared are read over, as the specification of GraphQL over HTTP has it.
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, `"v%d":[[1]],`, i)
	}
	if got := server.Post(t, "/graphql", "{ me { id } }", "{"+many.String()+`"w":1}`); got.Status != 200 {
		t.Errorf("undeclared variables: got status %d, %.300s; want 200", got.Status, got.Body)
	}
}

// TestSecurityAnswers: the pages, errors and bytes of a response are limited.
func TestSecurityAnswers(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_QUERIES_USERS=public", "ACCOUNTD_LIMITS_PAGE=3",
		"ACCOUNTD_LIMITS_RESPONSE=2KiB")
	for _, name := range []string{"ada", "bob", "cyd", "dan"} {
		if _, err := server.Register(http.DefaultClient, name, "quiet-otter-42"); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		args  string
		nodes int // -1: refused
	}{
		{"", 3}, {"(first: 3)", 3}, {"(last: 3)", 3}, {"(first: 2)", 2}, {"(first: 0)", 0},
		{"(first: null, last: null)", 3},
		{"(first: 4)", -1}, {"(last: 4)", -1}, {"(first: -1)", -1}, {"(first: 2147483647)", -1}, {"(first: 1, last: 4)",
			-1},
	} {
		got := server.Post(t, "/graphql", "{ users"+test.args+" { edges { node { username } } } }", "")
		if n := strings.Count(got.Body, `"username"`); test.nodes >= 0 && n != test.nodes ||
			(test.nodes < 0) != got.Has("wrong_usage") {
			t.Errorf("users%s: got %s, want %d nodes (-1: wrong_usage)", test.args, got.Body, test.nodes)
		}
	}
	// Errors of documents, of variables and of fields.
	fields, declared, used, failing := "", "", "", ""
	for i := range 15 {
		fields += fmt.Sprintf("nope%d ", i)
		declared += fmt.Sprintf("$v%d: Int! ", i)
		used += fmt.Sprintf("a%d: users(first: $v%d) { edges { cursor } } ", i, i)
		failing += fmt.Sprintf("a%d: users(first: -1) { edges { cursor } } ", i)
	}
	for _, query := range []string{"{ " + fields + "}", "query(" + declared + ") { " + used + "}", "{ " + failing +
		"}"} {
		if got := server.Post(t, "/graphql", query, ""); strings.Count(got.Body, `"message"`) != 10 {
			t.Errorf("%.40s: got %s, want 10 errors", query, got.Body)
		}
	}
	within := "{ users(first: 3) { edges { node { username } } } }"
	beyond := "{ "
	for i := range 15 {
		beyond += fmt.Sprintf("a%d: users(first: 3) { edges { node { id email username dateJoined } } } ", i)
	}
	if got := server.Post(t, "/graphql", within, ""); got.Status != 200 {
		t.Errorf("within the limit: got status %d, %s; want 200", got.Status, got.Body)
	}
	if got := server.Post(t, "/graphql", beyond+"}", ""); !got.Has("too_large") ||
		strings.Contains(got.Body, `"data"`) ||
		len(got.Body) > 500 {
		t.Errorf("beyond the limit: got status %d, %s; want too_large without data", got.Status, got.Body)
	}
}
