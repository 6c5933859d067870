//go:build unix

// Package security_test tests accounts, passwords, sessions and rate limits of the built program from outside.
//
// The tests with the build tag timing measure whether the time of a response reveals accounts; they need a quiet
// machine.
package security_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"

	"accountd/internal/servertest"
)

// outsider is a client that knows the built program by HTTP only, and makes its users by commands.
type outsider struct {
	*servertest.Server
	header [2]string // of every request; "": none
}

// outside starts a server with cheap hashing and the variables env.
func outside(t *testing.T, env ...string) *outsider {
	t.Helper()
	return &outsider{Server: servertest.New(t, env...)}
}

// add makes a user with the address name@example.com; password "" means that a flag decides.
func (o *outsider) add(t *testing.T, name, password string, flags ...string) {
	t.Helper()
	if password != "" {
		flags = append(flags, "--password-stdin")
	}
	o.Run(t, password, slices.Concat([]string{"user", "add", "--username", name, "--email", name +
		"@example.com"}, flags)...)
}

// observed is a response without its request id and date, which differ each time.
type observed struct {
	status int
	header http.Header
	body   string
}

// ask posts a query with variables.
func (o *outsider) ask(t *testing.T, query string, variables map[string]any) observed {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return o.send(t, body)
}

// send posts a raw body.
func (o *outsider) send(t *testing.T, body []byte) observed {
	t.Helper()
	answer, err := o.trySend(http.DefaultClient, body)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (o *outsider) trySend(client *http.Client, body []byte) (observed, error) {
	req, err := http.NewRequest(http.MethodPost, o.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return observed{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if o.header[0] != "" {
		req.Header.Set(o.header[0], o.header[1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return observed{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	resp.Header.Del("X-Request-Id")
	resp.Header.Del("Date")
	return observed{resp.StatusCode, resp.Header, string(raw)}, err
}

// as returns an outsider that sends one more header.
func (o *outsider) as(name, value string) *outsider {
	return &outsider{Server: o.Server, header: [2]string{name, value}}
}

// logIn returns an outsider with a user's access token.
func (o *outsider) logIn(t *testing.T, name, password string) *outsider {
	t.Helper()
	session, err := o.Login(http.DefaultClient, name, password)
	if err != nil || !session.Success {
		t.Fatalf("%s: got %+v, %v; want a login", name, session, err)
	}
	return o.as("Authorization", "JWT "+session.Token)
}

// mails takes all mails out of the spool, as "address subject".
func (o *outsider) mails(t *testing.T) []string {
	t.Helper()
	list := []string{}
	for _, mail := range deliveries(t, o.Server) {
		list = append(list, mail.To+" "+mail.Subject)
	}
	slices.Sort(list)
	return list
}
