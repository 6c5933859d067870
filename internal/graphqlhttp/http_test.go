package graphqlhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"accountd/internal/jsontext"
)

// TestHTTP checks GraphQL over HTTP. modern and legacy are the statuses for the two media types.
func TestHTTP(t *testing.T) {
	s := newSite(t)
	const js = "application/json"
	tests := []struct {
		name, method, url, contentType, body string
		modern, legacy                       int
		code                                 string
	}{
		{"a query", "POST", "", js, `{"query":"{ color }"}`, 200, 200, ""},
		{"with a charset", "POST", "", js + "; charset=UTF-8", `{"query":"{ color }"}`, 200, 200, ""},
		{"in another charset", "POST", "", js + "; charset=utf-16", `{"query":"{ color }"}`, 415, 415, CodeWrongUsage},
		{"no content type", "POST", "", "", `{"query":"{ color }"}`, 415, 415, CodeWrongUsage},
		{"a form", "POST", "", "application/x-www-form-urlencoded", `query=%7Bcolor%7D`, 415, 415, CodeWrongUsage},
		{"text, as a page could send it", "POST", "", "text/plain", `{"query":"{ color }"}`, 415, 415, CodeWrongUsage},
		{"multipart", "POST", "", "multipart/form-data; boundary=x", `--x`, 415, 415, CodeWrongUsage},
		{"application/graphql", "POST", "", "application/graphql", `{ color }`, 415, 415, CodeWrongUsage},
		{"a GET", "GET", "query=%7Bcolor%7D", "", "", 200, 200, ""},
		{"a GET with everything", "GET",
			"query=query+A($v:String)%7Bstr(v:$v)%7D&operationName=A&variables=%7B%22v%22:%22x%22%7D&extensions=%7B%7D",
			"", "", 200, 200, ""},
		{"a GET without a query", "GET", "", "", "", 400, 400, CodeSyntax},
		{"a GET with bad variables", "GET", "query=%7Bcolor%7D&variables=%7B", "", "", 400, 400, CodeSyntax},
		{"a GET with a list of variables", "GET", "query=%7Bcolor%7D&variables=%5B%5D", "", "", 400, 400, CodeSyntax},
		{"a GET that is not UTF-8", "GET", "query=%7Bcolor%7D%ff", "", "", 400, 400, CodeBadString},
		{"a GET with half a pair", "GET", "query=%7Bcolor%7D&variables=%7B%22v%22:%22%5Cud83d%22%7D", "", "", 400, 400,
			CodeBadString},
		{"a GET with broken escapes", "GET", "query=%zz", "", "", 400, 400, CodeSyntax},
		{"a mutation by GET", "GET", "query=mutation%7Bbump%7D", "", "", 405, 405, CodeWrongUsage},
		{"a mutation picked by GET", "GET", "query=query+A%7Bcolor%7D+mutation+B%7Bbump%7D&operationName=B", "", "",
			405, 405, CodeWrongUsage},
		{"a query beside a mutation by GET", "GET", "query=query+A%7Bcolor%7D+mutation+B%7Bbump%7D&operationName=A", "",
			"", 200, 200, ""},
		{"PUT", "PUT", "", js, `{"query":"{ color }"}`, 405, 405, CodeWrongUsage},
		{"DELETE", "DELETE", "", "", "", 405, 405, CodeWrongUsage},
		{"a batch", "POST", "", js, ` [{"query":"{ color }"}]`, 400, 400, CodeWrongUsage},
		{"broken JSON", "POST", "", js, `{"query":"{ color }"`, 400, 400, CodeSyntax},
		{"more after it", "POST", "", js, `{"query":"{ color }"} {}`, 400, 400, CodeSyntax},
		{"null", "POST", "", js, `null`, 400, 400, CodeSyntax},
		{"a string", "POST", "", js, `"{ color }"`, 400, 400, CodeSyntax},
		{"nothing", "POST", "", js, ``, 400, 400, CodeSyntax},
		{"no query", "POST", "", js, `{}`, 400, 400, CodeSyntax},
		{"names have case", "POST", "", js, `{"Query":"{ color }"}`, 400, 400, CodeSyntax},
		{"query is a number", "POST", "", js, `{"query":1}`, 400, 400, CodeSyntax},
		{"query is null", "POST", "", js, `{"query":null}`, 400, 400, CodeSyntax},
		{"operationName is a list", "POST", "", js, `{"query":"{ color }","operationName":[]}`, 400, 400, CodeSyntax},
		{"variables is a string", "POST", "", js, `{"query":"{ color }","variables":"x"}`, 400, 400, CodeSyntax},
		{"extensions is a number", "POST", "", js, `{"query":"{ color }","extensions":0}`, 400, 400, CodeSyntax},
		{"null is absent, others are ignored", "POST", "", js,
			`{"query":"{ color }","operationName":null,"variables":null,"extensions":null,"id":7}`, 200, 200, ""},
		{"half a surrogate pair", "POST", "", js,
			`{"query":"query($v:String){ str(v: $v) }","variables":{"v":"\ud83d"}}`, 400, 400, CodeBadString},
		{"half a pair as a name", "POST", "", js, `{"query":"{ color }","variables":{"\uDE00":1}}`, 400, 400,
			CodeBadString},
		{"half a pair in bytes", "POST", "", js, "{\"query\":\"{ color }\",\"a\":\"\xed\xa0\xbd\"}", 400, 400,
			CodeBadString},
		{"half a pair in the document", "POST", "", js, `{"query":"{ str(v: \"\\ud83d\") }"}`, 400, 200, CodeBadString},
		{"a whole pair", "POST", "", js, `{"query":"query($v:String){ str(v: $v) }","variables":{"v":"\ud83d\ude00"}}`,
			200, 200, ""},
		{"a syntax error", "POST", "", js, `{"query":"{ color"}`, 400, 200, CodeSyntax},
		{"an invalid document", "POST", "", js, `{"query":"{ colour }"}`, 400, 200, CodeValidation},
		{"a variable that does not fit", "POST", "", js,
			`{"query":"query($v:Int){ int(v: $v) }","variables":{"v":"1"}}`, 400, 200, CodeVariables},
		{"no such operation", "POST", "", js, `{"query":"{ color }","operationName":"x"}`, 400, 200, CodeOperation},
		{"too many tokens", "POST", "", js, `{"query":"` + strings.Repeat("{a ", 600) + `"}`, 400, 200, CodeTooComplex},
		{"too long a query", "POST", "", js, `{"query":"` + strings.Repeat(" ", 17<<10) + `"}`, 400, 200, CodeTooLarge},
		{"too large a body", "POST", "", js, `{"query":"` + strings.Repeat(" ", 64<<10) + `"}`, 413, 413, CodeTooLarge},
		{"a failing resolver", "POST", "", js, `{"query":"{ panics }"}`, 200, 200, CodeInternal},
		{"deep JSON", "POST", "", js, `{"query":"{ color }","variables":` + strings.Repeat("[", 30000), 400, 400,
			CodeSyntax},
		{"deep variables", "POST", "", js, `{"query":"{ color }","variables":{"a":` + strings.Repeat("[", 9000) +
			strings.Repeat("]", 9000) + `}}`, 200, 200, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for accept, want := range map[string]int{"application/graphql-response+json": test.modern,
				"application/json": test.legacy} {
				headers := []string{"Accept", accept}
				if test.contentType != "" {
					headers = append(headers, "Content-Type", test.contentType)
				}
				resp := s.do(t, test.method, test.url, test.body, headers...)
				resp.Body.Close()
				_, answer := s.send(t, test.method, test.url, test.body, headers...)
				if resp.StatusCode != want || codeOf(t, answer) != test.code {
					t.Errorf("%s: got status %d and %s, want %d and code %q", accept, resp.StatusCode, answer, want,
						test.code)
				}
				if got := resp.Header.Get("Content-Type"); got != accept+"; charset=utf-8" {
					t.Errorf("got the content type %q, want %q", got, accept)
				}
				if resp.Header.Get("Cache-Control") != "no-store" ||
					resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Vary") != "Accept" {
					t.Errorf("got headers %v, want no-store, nosniff and Vary: Accept", resp.Header)
				}
				if allow := map[string]string{"PUT": "GET, POST", "DELETE": "GET, POST",
					"GET": "POST"}[test.method]; want == 405 && resp.Header.Get("Allow") != allow {
					t.Errorf("got Allow %q, want %q", resp.Header.Get("Allow"), allow)
				}
			}
		})
	}
	if calls := s.takeCalls(); len(calls) > 0 {
		t.Errorf("got the calls %v, want none", calls)
	}
}

func TestCompressedBodyIsRefused(t *testing.T) {
	s := newSite(t)
	status, _ := s.send(t, "POST", "", "x", "Content-Type", "application/json", "Content-Encoding", "gzip")
	if status != http.StatusUnsupportedMediaType {
		t.Errorf("got status %d, want 415", status)
	}
}

func TestNegotiation(t *testing.T) {
	const modern, legacy = string(graphqlResponse), string(legacyJSON)
	for accept, want := range map[string]string{
		"":                                  legacy,
		"*/*":                               legacy,
		"application/*":                     legacy,
		"application/json":                  legacy,
		"application/json;charset=utf-8":    legacy,
		"application/graphql-response+json": modern,
		"application/graphql-response+json, application/json":            modern,
		"application/json, application/graphql-response+json":            modern,
		"application/json, */*;q=0.1":                                    legacy,
		"application/graphql-response+json, */*":                         modern,
		"application/graphql-response+json;q=0.5, application/json":      legacy,
		"application/graphql-response+json;q=0.9,application/json;q=0.8": modern,
		"application/json;q=0, */*":                                      modern,
		"text/html, application/xhtml+xml, */*;q=0.8":                    legacy,
		"application/json;q=nonsense, */*;q=0.1":                         legacy,
		"text/html":                                                      "",
		"application/json;q=0":                                           "",
		"application/json;charset=utf-16":                                "",
		"application/graphql-response+json;q=2":                          "",
		"nonsense;;;":                                                    "",
	} {
		if got, ok := negotiate([]string{accept}); string(got) != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", accept, got, ok, want)
		}
	}
	s := newSite(t)
	status, answer := s.send(t, "POST", "", `{"query":"{ color }"}`, "Content-Type", "application/json", "Accept",
		"text/html")
	if status != http.StatusNotAcceptable || codeOf(t, answer) != CodeWrongUsage {
		t.Errorf("got status %d and %s, want 406 and code %s", status, answer, CodeWrongUsage)
	}
}

func TestContextReachesResolvers(t *testing.T) {
	s := newSite(t)
	_, got := s.send(t, "GET", "query="+url.QueryEscape("{ agent }"), "", "X-Agent", "smith")
	if want := `{"data":{"agent":"smith"}}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzBody sends each body twice, because the second request may find its document kept. Both answers must be equal,
// valid JSON within the limits, with data or with documented error codes. Only the panicking resolver may panic, only
// selected fields may be in the answer, and at most one exclusive mutation may run.
func FuzzBody(f *testing.F) {
	for _, query := range hostile() {
		f.Add([]byte(`{"query":` + string(jsontext.AppendString(nil, query)) + `}`))
	}
	for _, body := range []string{
		`{"query":"query($v: Filter) { find(filter: $v) }","variables":{"v":{"name":"n","tags":["a"]}}}`,
		`{"query":"query($v: [[[Anything]]]) { any(v: $v) }","variables":{"v":[[[{"a":[1e999,"\\u0000"]}]]]}}`,
		`{"query":"mutation { login(v: \"\\uD83D\\uDE00\") }"}`,
		`{"query":"mutation { a: login(v: \"1\") ...F } fragment F on Mutation { b: login(v: \"2\") }"}`,
		`{"query":"{ __schema { types { name } } }"}`, `[]`, `[{"query":"{ color }"}]`, `{"query":null}`,
		`{"query":"{ me { ...on Named { name } } }"}`,
		`{"query":"{ panics fails { name } badInt names { name } waits }"}`,
		`{"query":"query A { color } query B { agent }","operationName":"B"}`,
		`{"query":"{ color @skip(if: true) @include(if: false) }"}`, "{\"query\":\"{ color }\",\"a\":\"\xed\xa0\xbd\"}",
		`{"query":"{ color }","variables":` + strings.Repeat("[", 2000),
		`{"query":"{ color }","variables":{"\ud83d":1}}`, `{"query":"{ str(v: \"\"\"\n  a\n   \\\"\"\"\n\"\"\") }"}`,
	} {
		f.Add([]byte(body))
	}
	s := newSite(f, func(s *Settings) { s.Limits.Timeout = time.Millisecond })
	codes := []string{CodeSyntax, CodeValidation, CodeVariables, CodeOperation, CodeTooLarge, CodeTooComplex,
		CodeOneCredentialMutation, CodeWrongUsage,
		CodePermissionDenied, CodeBadString, CodeBusy, CodeInternal}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first string
		for i := range 2 {
			req := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			s.log.reset()
			s.takeCalls()
			s.handler.ServeHTTP(rec, req)
			got := rec.Body.String()
			var answer struct {
				Data   json.RawMessage
				Errors []struct {
					Message    string
					Extensions struct{ Code string }
				}
			}
			if err := json.Unmarshal([]byte(got), &answer); err != nil {
				t.Fatalf("%q: got status %d and %s, %v, want JSON", body, rec.Code, got, err)
			}
			if answer.Data == nil && len(answer.Errors) == 0 || len(answer.Errors) > testLimits.Errors ||
				len(answer.Data) > testLimits.Response {
				t.Errorf("%q: got %d errors and %d bytes of data, want one of them, within the limits", body,
					len(answer.Errors), len(answer.Data))
			}
			for _, err := range answer.Errors {
				if !slices.Contains(codes, err.Extensions.Code) || err.Message == "" || len(err.Message) > 1000 {
					t.Errorf("%q: got code %q and message %.1000q, want a code of the package and a short message",
						body, err.Extensions.Code, err.Message)
				}
			}
			if strings.Contains(got, "SECRET") || strings.Contains(got, "nil map") {
				t.Errorf("%q: got %s, want no text of a panic or secret", body, got)
			}
			if log := s.log.String(); strings.Count(log, "panic: ") != strings.Count(log,
				"panic: assignment to entry in nil map") {
				t.Errorf("%q: got the log %s, want no panics but the resolver's", body, log)
			}
			logins := 0
			for _, field := range s.takeCalls() {
				if strings.HasPrefix(field, "login ") {
					logins++
				}
			}
			if logins > 1 {
				t.Errorf("%q: got %d exclusive mutations, want at most 1", body, logins)
			}
			if i == 0 {
				first = got
			} else if got != first {
				t.Errorf("%q: got %s, want %s as at first", body, got, first)
			}
		}
	})
}

// TestFinish: Finish may add headers after resolvers have run, whatever the answer is, but not to a refused request.
func TestFinish(t *testing.T) {
	s := newSite(t, func(s *Settings) {
		s.Limits.Response = 1000
		s.Finish = func(ctx context.Context, h http.Header) { h.Add("X-Finished", ctx.Value(agentKey{}).(string)) }
	})
	for body, want := range map[string]string{
		`{"query":"{ color }"}`:             "curl",
		`{"query":"mutation { bump }"}`:     "curl",
		`{"query":"{ refuses { name } }"}`:  "curl",
		`{"query":"{ busy }"}`:              "curl",
		`{"query":"{ panics }"}`:            "curl",
		`{"query":"{ big }"}`:               "curl", // too large to be answered, but done
		`{"query":"{ nothing }"}`:           "",
		`{"query":"{ need }"}`:              "",
		`{"query":"mutation { bump("}`:      "",
		`[{"query":"mutation { bump }"}]`:   "",
		`{"query":"mutation { bump } {a}"}`: "",
	} {
		req := httptest.NewRequest("POST", "/", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Agent", "curl")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, req)
		if got := w.Result().Header.Get("X-Finished"); got != want {
			t.Errorf("%s: %q, want %q: %s", body, got, want, w.Body)
		}
	}
}
