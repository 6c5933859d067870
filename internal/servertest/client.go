//go:build unix

package servertest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Reply is an HTTP response.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Has reports whether the first GraphQL error of the body has the code.
func (r Reply) Has(code string) bool {
	var answer Answer
	err := json.Unmarshal([]byte(r.Body), &answer)
	return err == nil && len(answer.Errors) > 0 && answer.Errors[0].Extensions["code"] == code
}

// Answer is a GraphQL response.
type Answer struct {
	Status int
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Extensions map[string]any
	}
}

// Field decodes the root field name of the answer into out.
func (a *Answer) Field(name string, out any) error {
	if len(a.Errors) > 0 {
		return fmt.Errorf("status %d: %s", a.Status, a.Errors[0].Message)
	}
	return json.Unmarshal(a.Data[name], out)
}

// Session is the payload of a mutation that returns tokens.
type Session struct {
	Success      bool
	Errors       json.RawMessage
	Token        string
	RefreshToken string
}

// exchange sends one request; headers are names and values in turn.
func (s *Server) exchange(do func(*http.Request) (*http.Response, error), method, target, body string,
	headers ...string) (Reply, error) {
	req, err := http.NewRequest(method, s.URL+target, strings.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == "Host" {
			req.Host = pair[1]
		}
		req.Header.Add(pair[0], pair[1])
	}
	resp, err := do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return Reply{resp.StatusCode, resp.Header, string(raw)}, err
}

// Send sends one request and follows no redirect; headers are names and values in turn.
func (s *Server) Send(tb testing.TB, method, target, body string, headers ...string) Reply {
	tb.Helper()
	reply, err := s.exchange(http.DefaultTransport.RoundTrip, method, target, body, headers...)
	if err != nil {
		tb.Fatal(err)
	}
	return reply
}

// Post sends a query with its variables, which are JSON or "".
func (s *Server) Post(tb testing.TB, path, query, variables string, headers ...string) Reply {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(cmp.Or(variables, "null"))})
	if err != nil {
		tb.Fatal(err)
	}
	return s.Send(tb, "POST", path, string(body), append([]string{"Content-Type", "application/json",
		"Accept", "application/graphql-response+json"}, headers...)...)
}

// Ask posts a query with its variables to the plain endpoint, with an access token unless that is "". It fails when the
// server does not answer, and may be called by several goroutines.
func (s *Server) Ask(client *http.Client, token, query string, variables map[string]any) (*Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	headers := []string{"Content-Type", "application/json"}
	if token != "" {
		headers = append(headers, "Authorization", "JWT "+token)
	}
	reply, err := s.exchange(client.Do, "POST", "/graphql", string(body), headers...)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Status: reply.Status}
	if err := json.Unmarshal([]byte(reply.Body), answer); err != nil {
		return nil, fmt.Errorf("answer %q: %w", reply.Body, err)
	}
	return answer, nil
}

// session sends a mutation that returns tokens.
func (s *Server) session(client *http.Client, field, query string, variables map[string]any) (*Session, error) {
	answer, err := s.Ask(client, "", query, variables)
	if err != nil {
		return nil, err
	}
	var out Session
	return &out, answer.Field(field, &out)
}

// Register asks for an account with the address name@example.com.
func (s *Server) Register(client *http.Client, name, password string) (*Session, error) {
	return s.session(client, "register", `mutation R($email: String!, $name: String!, $password: String!) {
		register(email: $email, username: $name, password1: $password, password2: $password) {
			success errors token refreshToken } }`,
		map[string]any{"email": name + "@example.com", "name": name, "password": password})
}

// Login asks for a session by username.
func (s *Server) Login(client *http.Client, name, password string) (*Session, error) {
	return s.session(client, "tokenAuth", `mutation L($name: String, $password: String!) {
		tokenAuth(username: $name, password: $password) { success errors token refreshToken } }`,
		map[string]any{"name": name, "password": password})
}

// Refresh exchanges a refresh token for new tokens.
func (s *Server) Refresh(token string) (*Session, error) {
	return s.session(http.DefaultClient, "refreshToken", `mutation R($t: String!) {
		refreshToken(refreshToken: $t) { success errors token refreshToken } }`, map[string]any{"t": token})
}

// UsernameOf returns the username of an access token's owner, or "" if the token is refused. The query me and the
// mutation verifyToken have to agree.
func (s *Server) UsernameOf(tb testing.TB, token string) string {
	tb.Helper()
	var me struct{ Username string }
	var verified struct{ Success bool }
	answer, err := s.Ask(http.DefaultClient, token, `{ me { username } }`, nil)
	if err == nil {
		err = answer.Field("me", &me)
	}
	if err != nil {
		tb.Fatal(err)
	}
	answer, err = s.Ask(http.DefaultClient, "", `mutation V($t: String!) { verifyToken(token: $t) { success } }`,
		map[string]any{"t": token})
	if err == nil {
		err = answer.Field("verifyToken", &verified)
	}
	if err != nil || verified.Success != (me.Username != "") {
		tb.Fatalf("me answers %q, verifyToken %t, %v", me.Username, verified.Success, err)
	}
	return me.Username
}

// Await waits up to a minute for something that a running server does by itself.
func (s *Server) Await(tb testing.TB, done func() bool) {
	tb.Helper()
	look, tooLong := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-tooLong:
			tb.Fatalf("it has not happened after a minute\n%s", s.Log())
		}
	}
}
