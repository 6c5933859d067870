//go:build unix

package durability_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"accountd/internal/servertest"
)

// handedOut are tokens that a server has issued.
type handedOut struct {
	access, refresh []string
	mailed          map[string][]string // by the mutation that takes them
}

func (h *handedOut) session(t *testing.T, session *servertest.Session, err error) {
	t.Helper()
	if err != nil || !session.Success || session.Token == "" {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	h.access, h.refresh = append(h.access, session.Token), append(h.refresh, session.RefreshToken)
}

func (h *handedOut) mail(t *testing.T, dataDir, mutation string, link ...string) {
	t.Helper()
	h.mailed[mutation] = append(h.mailed[mutation], servertest.LinkToken(t, dataDir, link...))
}

// worthless fails if a token is accepted anywhere.
func (h *handedOut) worthless(t *testing.T, s *servertest.Server) {
	t.Helper()
	for i, token := range h.access {
		if name := s.UsernameOf(t, token); name != "" {
			t.Errorf("access token %d: got %s, want an anonymous caller", i, name)
		}
	}
	for i, token := range h.refresh {
		for _, name := range []string{"refreshToken", "revokeToken"} {
			out := runMutation(t, s, name, "refreshToken: $token", "", map[string]any{"token": token})
			invalidToken(t, fmt.Sprintf("refresh token %d in %s", i, name), out)
		}
	}
	for name, list := range h.mailed {
		arguments, variables := "token: $token", map[string]any{}
		if name == "passwordReset" || name == "passwordSet" {
			arguments, variables["new"] = "token: $token, newPassword1: $new, newPassword2: $new", "stolen-otter-42"
		}
		for i, token := range list {
			variables["token"] = token
			invalidToken(t, fmt.Sprintf("link %d in %s", i, name), runMutation(t, s, name, arguments, "", variables))
		}
	}
}

func invalidToken(t *testing.T, what string, out map[string]any) {
	t.Helper()
	const want = "map[nonFieldErrors:[map[code:invalid_token message:Invalid token.]]]"
	if got := fmt.Sprint(out["errors"]); out["success"] != false || got != want {
		t.Errorf("%s: got %v, want the errors %s", what, out, want)
	}
}

// oneIssuer fixes the issuer of access tokens, which otherwise changes with the port.
const oneIssuer = "ACCOUNTD_TOKENS_ISSUER=https://accounts.example.com"

// TestSecurityOlderCopy replaces the data directory by an older copy, as after a crash that lost writes or a switch
// to a replica. New users get the ids, names and addresses of lost accounts. No token of the lost history is
// accepted.
func TestSecurityOlderCopy(t *testing.T) {
	t.Parallel()
	dataDir, older := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data")
	environ := append([]string{oneIssuer}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, environ...)
	stop := func() {
		t.Helper()
		if err := server.Stop(); err != nil {
			t.Fatalf("stop: got %v, want no error\n%s", err, server.Log())
		}
	}
	if ada, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !ada.Success {
		t.Fatalf("got %+v, %v; want success", ada, err)
	}
	servertest.Run(t, dataDir, "", "user", "set", "ada", "--verified=true")
	stop()
	if err := os.CopyFS(older, os.DirFS(dataDir)); err != nil {
		t.Fatal(err)
	}
	makePrivate(t, older)

	lost := &handedOut{mailed: map[string][]string{}}
	people := []string{"bob", "cyd", "dan"}
	server = servertest.Start(t, dataDir, environ...)
	for _, name := range people {
		session, err := server.Register(http.DefaultClient, name, "quiet-otter-42")
		lost.session(t, session, err)
		for range 2 {
			lost.mail(t, dataDir, "verifyAccount", "activation", name)
			lost.mail(t, dataDir, "passwordReset", "password_reset", name)
			lost.mail(t, dataDir, "verifySecondaryEmail", "secondary_email", name, "--email="+name+"@home.example")
			session, err := server.Login(http.DefaultClient, name, "quiet-otter-42")
			lost.session(t, session, err)
		}
	}
	for range 3 {
		session, err := server.Login(http.DefaultClient, "ada", "quiet-otter-42")
		lost.session(t, session, err)
		lost.mail(t, dataDir, "passwordReset", "password_reset", "ada")
	}
	servertest.Run(t, dataDir, "", "user", "add", "--username=eve", "--email=eve@example.com", "--no-password")
	lost.mail(t, dataDir, "passwordSet", "password_set", "eve")
	ids := servertest.Run(t, dataDir, "", "user", "list")
	stop()

	server = servertest.Start(t, older, environ...)
	for _, name := range people {
		if session, err := server.Register(http.DefaultClient, name, "other-otter-43"); err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
	}
	servertest.Run(t, older, "", "user", "add", "--username=eve", "--email=eve@example.com", "--no-password")
	if again := servertest.Run(t, older, "", "user", "list"); again != ids {
		t.Fatalf("the accounts: got\n%s\nwant the same ids again\n%s", again, ids)
	}
	lost.worthless(t, server)
	for range 3 { // which moves the accounts on, to where links were made
		for name, password := range map[string]string{"ada": "quiet-otter-42", "bob": "other-otter-43"} {
			if session, err := server.Login(http.DefaultClient, name, password); err != nil || !session.Success {
				t.Fatalf("%s: got %+v, %v; want a login", name, session, err)
			}
		}
		lost.worthless(t, server)
	}
}
