//go:build unix

package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"accountd/internal/servertest"
)

// TestHostileDocuments sends documents that crash or stall other GraphQL servers. Each is refused with a GraphQL
// error, and the same process still works afterwards.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	doubling := "{ me { ...F0 } }"
	for i := range 28 {
		doubling += fmt.Sprintf(" fragment F%d on UserNode { a: email ...F%d b: email ...F%d }", i, i+1, i+1)
	}
	doubling += " fragment F28 on UserNode { id }"
	tests := []struct {
		name, query string
		code        string
		status      int
	}{
		{"fragment cycle of 79 bytes",
			"{ me { ...A } } fragment A on UserNode { ...B } fragment B on UserNode { ...A }",
			"validation", 400},
		{"nested list of 2 KB", "{ user(id: " + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + ") { id } }",
			"too_complex", 400},
		{"nested list of 2 MB", "{ user(id: " + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + ") { id } }",
			"too_large", 413},
		{"selections nested 1,000 deep", strings.Repeat("{a", 1000) + strings.Repeat("}", 1000), "too_complex", 400},
		{"unclosed selections", strings.Repeat("{a", 8000), "too_complex", 400},
		{"doubling fragments", doubling, "too_complex", 400},
		{"9,000 equal fields", "{ me { " + strings.Repeat("x ", 9000) + "} }", "too_large", 400},
		{"7,000 equal fields", "{ me { " + strings.Repeat("x ", 7000) + "} }", "too_complex", 400},
		{"64 KB of unknown directives", "{ me " + strings.Repeat("@a", 32000) + " { id } }", "too_large", 400},
		{"16 KB of unknown directives", "{ me " + strings.Repeat("@a", 7000) + " { id } }", "too_complex", 400},
		{"duplicate variables", "query(" + strings.Repeat("$a:Int ", 2000) + ") { me { id } }", "too_complex", 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body, err := json.Marshal(map[string]string{"query": test.query})
			if err != nil {
				t.Fatal(err)
			}
			req, err := http.NewRequest(http.MethodPost, server.URL+"/graphql", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/graphql-response+json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			raw, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			var answer servertest.Answer
			if err := json.Unmarshal(raw, &answer); err != nil {
				t.Fatalf("got %q, want JSON: %v", raw, err)
			}
			if len(answer.Errors) == 0 || answer.Errors[0].Extensions["code"] != test.code ||
				resp.StatusCode != test.status ||
				answer.Data != nil {
				t.Errorf("status %d, %s; want %d and code %s", resp.StatusCode, raw, test.status, test.code)
			}
			if len(raw) > 4096 {
				t.Errorf("got a refusal of %d bytes, want at most 4096", len(raw))
			}
		})
	}
	if err := server.Cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Fatalf("got %v, want a process that goes on\n%s", err, server.Log())
	}
	answer, err := server.Ask(http.DefaultClient, "", "{ me { id } }", nil)
	if err != nil || len(answer.Errors) > 0 || string(answer.Data["me"]) != "null" {
		t.Errorf("me afterwards: got %+v, %v; want null", answer, err)
	}
}
