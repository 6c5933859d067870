//go:build unix

package web_test

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// TestSecurityKindsOfAddress: introspection, GraphiQL and suggestions are on for servers of this machine, and for
// public servers if configured.
func TestSecurityKindsOfAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                string
		env                 []string
		introspection, page bool
	}{
		{"this machine", servertest.CheapHashing, true, true},
		{"public", servertest.Public, false, false},
		{"public, and set so", append([]string{"ACCOUNTD_GRAPHQL_INTROSPECTION=on", "ACCOUNTD_GRAPHQL_GRAPHIQL=on"},
			servertest.Public...), true, true},
		{"this machine, and set otherwise", append([]string{"ACCOUNTD_GRAPHQL_INTROSPECTION=off",
			"ACCOUNTD_GRAPHQL_GRAPHIQL=off"}, servertest.CheapHashing...), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), test.env...)
			for _, path := range []string{"/graphql", "/relay"} {
				for _, query := range []string{standardIntrospection, "{__schema{types{name}}}",
					`{__type(name:"UserNode"){name}}`,
					`{...F} fragment F on Query{...{a:__schema{types{name}}}}`} {
					got := server.Post(t, path, query, "")
					if test.introspection != (got.Status == 200 && strings.Contains(got.Body, "UserNode")) ||
						test.introspection == got.Has("validation") {
						t.Errorf("%s %.40s: got status %d, %.200s; want introspection %t", path, query, got.Status,
							got.Body, test.introspection)
					}
				}
				for _, misspelt := range []string{"{mee{id}}", "{me{usernam}}", "mutation{tokenAut{success}}",
					`mutation{verifyToken(tokn:""){success}}`, "{users(frst:1){edges{cursor}}}",
					"query($v:Strin){me{id}}",
					"{me{...on UserNod{id}}}"} {
					got := server.Post(t, path, misspelt, "")
					if hint := strings.Contains(got.Body, "Did you mean"); hint && !test.introspection ||
						!got.Has("validation") {
						t.Errorf("%s %s: got %s, want validation and a hint %t", path, misspelt, got.Body,
							test.introspection)
					}
				}
				if hint := server.Post(t, path, "{me{usernam}}", ""); test.introspection != strings.Contains(hint.Body,
					"Did you mean") {
					t.Errorf("%s: got %s, want a hint %t", path, hint.Body, test.introspection)
				}
				if got := server.Post(t, path, "{__typename me{__typename}}",
					""); got.Body != `{"data":{"__typename":"Query","me":null}}`+"\n" {
					t.Errorf("%s: got %s, want the typename and no account", path, got.Body)
				}
			}
			got := server.Send(t, "GET", "/", "", "Accept", "text/html")
			if want := map[bool]int{true: 200, false: 404}[test.page]; got.Status != want ||
				(want == 200) != strings.Contains(strings.ToLower(got.Body), "graphiql") {
				t.Errorf("page: got status %d, %.200s; want status %d", got.Status, got.Body, want)
			}
		})
	}
}

// cop is a check of graphql-cop 1.15, and whether the server has what the tool reports.
func cop(t *testing.T, server *servertest.Server) []string {
	t.Helper()
	var found []string
	report := func(name string, is bool) {
		if is {
			found = append(found, name)
		}
	}
	answers := func(r servertest.Reply, key string) bool {
		return strings.Contains(r.Body, `"data"`) && strings.Contains(r.Body, key)
	}
	post := func(body string) servertest.Reply {
		return server.Send(t, "POST", "/graphql", body, "Content-Type", "application/json")
	}
	aliases, batch := "", make([]string, 10)
	for i := range 101 {
		aliases += fmt.Sprintf("alias%d:__typename ", i)
	}
	for i := range batch {
		batch[i] = `{"query":"query cop { __typename }","operationName":"cop"}`
	}
	report("alias overloading", answers(post(`{"query":"query cop { `+aliases+`}"}`), "alias100"))
	report("array batching", strings.Count(post("["+strings.Join(batch, ",")+"]").Body, "__typename") > 1)
	overloaded := post(`{"query":"query cop { __typename ` + strings.Repeat("@aa", 10) + ` }"}`)
	report("directive overloading", strings.Count(overloaded.Body, `"message"`) == 10)
	circular := "query cop { __schema { types { fields { type { fields { type { fields { type { fields { type { name " +
		"} } } } } } } } } }"
	report("circular introspection", answers(post(`{"query":"`+circular+`"}`), "__schema"))
	report("field duplication", answers(post(`{"query":"query cop { `+strings.Repeat("__typename ", 500)+`}"}`),
		"__typename") &&
		answers(post(`{"query":"query cop { `+strings.Repeat("__typename ", 501)+`}"}`), "__typename"))
	report("introspection", answers(post(`{"query":"query cop { __schema { types { name fields { name } } } }"}`),
		"__schema"))
	report("field suggestions", strings.Contains(post(`{"query":"query cop { __schema { directive } }"}`).Body,
		"Did you mean") ||
		strings.Contains(post(`{"query":"query cop { me { usernam } }"}`).Body, "Did you mean"))
	get := func(query string) servertest.Reply {
		return server.Send(t, "GET", "/graphql?query="+url.QueryEscape(query), "")
	}
	report("queries by GET", answers(get("query cop { __typename }"), "__typename"))
	report("mutations by GET", strings.Contains(get("mutation cop { __typename }").Body, `"data"`) ||
		get("mutation { deleteTokenCookie { deleted } }").Status != 405)
	form := server.Send(t, "POST", "/graphql", "query="+url.QueryEscape("query cop { __typename }"), "Content-Type",
		"application/x-www-form-urlencoded")
	report("queries by a form", answers(form, "__typename") || form.Status != 415)
	traced := server.Send(t, "POST", "/graphql", `{"query":"query cop { __typename }"}`, "Content-Type",
		"application/json", "X-Apollo-Tracing", "1", "Apollo-Federation-Include-Trace", "ftv1")
	report("tracing", strings.Contains(strings.ToLower(traced.Body), "tracing") ||
		strings.Contains(traced.Body, "extensions"))
	unhandled := post(`{"query":"qwerty cop { abc }"}`)
	report("unhandled errors", strings.Contains(unhandled.Body, "exception") || strings.Contains(unhandled.Body,
		"stack") || !unhandled.Has("syntax"))
	for _, path := range []string{"/", "/graphql", "/graphiql", "/graphiql/", "/playground", "/console", "/altair",
		"/voyager"} {
		page := server.Send(t, "GET", path, "", "Accept", "text/html")
		for _, word := range []string{"graphiql.min.js", "graphql-playground", "playground", "altair", "voyager"} {
			report("a page", page.Status == 200 && strings.Contains(strings.ToLower(page.Body), word) &&
				!slices.Contains(found, "a page"))
		}
	}
	return found
}

// TestSecurityCop runs the checks of graphql-cop (https://github.com/dolevf/graphql-cop). Queries by GET are part of
// GraphQL over HTTP, and lose their cookies for pages of other origins; only a server of this machine shows its
// schema.
func TestSecurityCop(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  []string
		want []string
	}{
		"public": {servertest.Public, []string{"queries by GET"}},
		"this machine": {servertest.CheapHashing, []string{"introspection", "field suggestions", "queries by GET",
			"a page"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), test.env...)
			if diff := cmp.Diff(test.want, cop(t, server)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
