//go:build unix

package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"accountd/internal/servertest"
	"accountd/internal/store"
)

// TestSecurityFailures breaks the database of a running server. Every response has the code internal and the request
// id, and neither a path, SQL nor the name of a type; the log has the cause under that id. Once the database is
// mended, the same process works as before.
func TestSecurityFailures(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_QUERIES_USERS=public", "ACCOUNTD_TOKENS_COOKIES_ENABLED=true")
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	db := server.Open(t) // before it is broken: it would not open then
	change := func(t *testing.T, statements ...string) {
		t.Helper()
		err := db.Write(t.Context(), func(tx *store.Tx) error {
			for _, statement := range statements {
				if _, err := tx.ExecContext(context.Background(), statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	requests := map[string]string{
		"me":    "{ me { username verified } }",
		"users": `{ users(email: "ada@example.com", first: 1) { edges { node { username } } } }`,
		"user":  `{ user(id: "VXNlck5vZGU6MQ==") { username } }`,
		"login": `mutation { tokenAuth(username: "ada", password: "quiet-otter-42") { success token } }`,
		"register": `mutation { register(email: "bob@example.com", username: "bob", password1: "quiet-otter-42", ` +
			`password2: "quiet-otter-42") { success } }`,
		"refresh": `mutation { refreshToken(refreshToken: "` + session.RefreshToken + `") { success errors } }`,
		"verify":  `mutation { verifyToken(token: "` + session.Token + `") { success errors } }`,
		"reset":   `mutation { sendPasswordResetEmail(email: "ada@example.com") { success } }`,
		"update":  `mutation { updateAccount(firstName: "Ada") { success } }`,
	}
	places := regexp.MustCompile(`"locations":\[[^]]*\]`)
	internal := regexp.MustCompile(`^\{"errors":\[(\{"message":"internal server ` +
		`error","locations":\[\{"line":\d+,"column":\d+\}\],"path":\["\w+"\],` +
		`"extensions":\{"code":"internal","requestId":"[A-Z2-7]{26}"\}\},?)+\],"data":(null|\{.*\})\}\n$`)
	telling := regexp.MustCompile(`(?i)sql|sqlite|column|table|no ` +
		`such|accountd/|/data|\.db|\.go\b|goroutine|panic|runtime|store\.|tokens\.|\*\w+\.|UPDATE |SELECT |INSERT `)
	var ids []string // of what failed
	for _, damage := range []struct {
		name        string
		harm, cure  []string
		mustFail    []string
		authRefuses bool // /auth fails too
	}{
		{"a column is gone", []string{`ALTER TABLE users RENAME COLUMN last_login TO lost_column`},
			[]string{`ALTER TABLE users RENAME COLUMN lost_column TO last_login`},
			[]string{"me", "users", "user", "login", "register", "reset"}, true},
		{"a table is gone", []string{`ALTER TABLE sessions RENAME TO lost_table`},
			[]string{`ALTER TABLE lost_table RENAME TO sessions`},
			[]string{"login", "me", "refresh", "verify"}, true},
		{"a value of another kind", []string{`UPDATE users SET password =
			'$argon2id$v=19$m=8,t=1,p=1$%%%$' || password`},
			[]string{`UPDATE users SET password = substr(password, 32)`}, nil, false},
	} {
		t.Run(damage.name, func(t *testing.T) {
			change(t, damage.harm...)
			for name, query := range requests {
				got := server.Post(t, "/graphql", query, "", "Authorization", "JWT "+session.Token)
				failed := got.Has("internal")
				for _, must := range damage.mustFail {
					if must == name && !failed {
						t.Errorf("%s: got status %d, %s; want a failure", name, got.Status, got.Body)
					}
				}
				if failed {
					var answer servertest.Answer
					if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
						t.Fatal(err)
					}
					if id, _ := answer.Errors[0].Extensions["requestId"].(string); id == "" ||
						id != got.Header.Get("X-Request-Id") {
						t.Errorf("%s: got the request id %q in the answer, want %q of the header", name, id,
							got.Header.Get("X-Request-Id"))
					} else {
						ids = append(ids, id)
					}
				}
				if failed && !internal.MatchString(got.Body) || telling.MatchString(places.ReplaceAllString(got.Body,
					"")) {
					t.Errorf("%s: got %s, want no detail of the failure", name, got.Body)
				}
				if got := server.Post(t, "/graphql",
					`mutation { deleteTokenCookie { deleted } verifyToken { success } }`, "",
					"Cookie", "JWT="+session.Token); telling.MatchString(places.ReplaceAllString(got.Body, "")) {
					t.Errorf("with a cookie: got %s, want no detail of the failure", got.Body)
				}
			}
			auth := server.Send(t, "GET", "/auth", "", "Authorization", "JWT "+session.Token)
			if (auth.Status == 500) != damage.authRefuses || telling.MatchString(auth.Body) {
				t.Errorf("/auth: got status %d, %s; want status 500 %t", auth.Status, auth.Body, damage.authRefuses)
			}
			change(t, damage.cure...)
		})
	}
	for _, name := range []string{"me", "login"} {
		if got := server.Post(t, "/graphql", requests[name], "", "Authorization", "JWT "+
			session.Token); !strings.Contains(got.Body, `"ada"`) && !strings.Contains(got.Body, `"success":true`) {
			t.Errorf("mended: %s: got %s, want success", name, got.Body)
		}
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if len(ids) < 10 {
		t.Errorf("got %d requests that failed, want at least 10", len(ids))
	}
	for _, id := range ids {
		if !strings.Contains(server.Log(), id) {
			t.Errorf("the log: got no line with the request %s, want one", id)
		}
	}
}

// TestSecurityUnreadyRevealsNothing: /readyz is public, and does not show the reason.
func TestSecurityUnreadyRevealsNothing(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	spool := filepath.Join(server.DataDir, "spool")
	if err := os.RemoveAll(spool); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spool, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	if got := server.Send(t, "GET", "/readyz", ""); got.Status != 503 || got.Body != "not ready\n" {
		t.Errorf("/readyz: got status %d, %q; want 503, not ready", got.Status, got.Body)
	}
	if !strings.Contains(server.Log(), "spool") {
		t.Errorf("got the log %s, want the spool as the reason", server.Log())
	}
}
