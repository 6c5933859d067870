//go:build unix

package cli

import (
	"net/http"
	"path/filepath"
	"testing"

	"accountd/internal/servertest"
)

// TestChangeBesideServer: a change by a command is in force at once for the running server.
func TestChangeBesideServer(t *testing.T) {
	servertest.Binary(t) // before the world changes the directory
	w := newWorld(t)
	s := servertest.Start(t, filepath.Join(w.dir, "data"), servertest.CheapHashing...)
	registered, err := s.Register(http.DefaultClient, "ada", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	me := func(token string) string {
		t.Helper()
		answer, err := s.Ask(http.DefaultClient, token, `{ me { email isStaff } }`, nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer.Data["me"])
	}
	w.ok("user", "set", "ada", "--staff")
	equal(t, me(registered.Token), `{"email":"ada@example.com","isStaff":true}`)
	w.ok("user", "set", "ada", "--email=new@example.com")
	equal(t, me(registered.Token), "null")
	login := func(password string) *servertest.Session {
		t.Helper()
		out, err := s.Login(http.DefaultClient, "ada", password)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, end := range [][]string{
		{"sessions", "ada", "--revoke-all"}, {"set", "ada", "--archived"}, {"set-password", "ada", "--password-stdin"},
		{"delete", "ada"},
	} {
		w.stdin = goodPassword
		token := login(goodPassword).Token
		equal(t, me(token), `{"email":"new@example.com","isStaff":true}`)
		w.ok(append([]string{"user"}, end...)...)
		equal(t, me(token), "null")
	}
	if login(goodPassword).Success {
		t.Error("a deleted account: got a login, want a refusal")
	}
	w.ok("user", "delete", "ada", "--permanently")
	if again, err := s.Register(http.DefaultClient, "ada", goodPassword); err != nil || !again.Success {
		t.Errorf("the name of a deleted account: got %+v, %v; want it free", again, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}
