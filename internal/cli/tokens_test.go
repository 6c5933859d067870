//go:build unix

package cli_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// part decodes the header (0) or the claims (1) of an access token.
func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	var out map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token+"..", ".")[i])
	if err == nil {
		err = json.Unmarshal(raw, &out)
	}
	if err != nil {
		t.Fatalf("got the token %q, want base64 of JSON: %v", token, err)
	}
	return out
}

// username returns the name of the user whom me shows for a token, "" for null.
func username(s *servertest.Server, token string) (string, error) {
	answer, err := s.Ask(http.DefaultClient, token, "{ me { username } }", nil)
	if err != nil {
		return "", err
	}
	var me struct{ Username string }
	return me.Username, answer.Field("me", &me)
}

func register(t *testing.T, s *servertest.Server) *servertest.Session {
	t.Helper()
	session, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	return session
}

// command runs accountd beside a server.
func command(t *testing.T, dataDir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(servertest.Binary(t), append(args, "--data-dir", dataDir)...)
	cmd.Dir = filepath.Dir(dataDir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("accountd %q: got %v, want no error\n%s", args, err, out)
	}
	return string(out)
}

// TestAlgorithms: each algorithm from the setting to the token, over a restart, with issuer and audience.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"HS256", "HS384", "HS512", "EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			dataDir := filepath.Join(t.TempDir(), "data")
			env := append([]string{"ACCOUNTD_TOKENS_ALGORITHM=" + algorithm, "ACCOUNTD_TOKENS_ISSUER=acme",
				"ACCOUNTD_TOKENS_AUDIENCE=app"}, servertest.CheapHashing...)
			s := servertest.Start(t, dataDir, env...)
			token := register(t, s).Token
			header, claims := part(t, token, 0), part(t, token, 1)
			if header["alg"] != algorithm || claims["iss"] != "acme" || claims["aud"] != "app" {
				t.Errorf("header %v, claims %v, want %v, %q, %q", header, claims, algorithm, "acme", "app")
			}
			resp, err := http.Get(s.URL + "/.well-known/jwks.json")
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			var set struct{ Keys []map[string]any }
			asymmetric := !strings.HasPrefix(algorithm, "HS")
			switch {
			case err != nil || asymmetric != strings.Contains(s.Log(), s.URL+"/.well-known/jwks.json"):
				t.Errorf("got %v and the log\n%s\nwant the address of the keys only for %s", err, s.Log(), algorithm)
			case !asymmetric &&
				(resp.StatusCode != 404 || !strings.Contains(string(raw), "signed with "+algorithm) ||
					resp.Header.Get("Cache-Control") != "no-store"):
				t.Errorf("got status %d, %v, %s, want a cached key set, or 404 for HMAC", resp.StatusCode, resp.Header,
					raw)
			case asymmetric && (resp.StatusCode != 200 || json.Unmarshal(raw, &set) != nil || len(set.Keys) != 1 ||
				set.Keys[0]["kid"] != header["kid"] ||
				resp.Header.Get("Cache-Control") != "public, max-age=300" ||
				resp.Header.Get("Access-Control-Allow-Origin") != "*"):
				t.Errorf("got status %d, %v, %s, want a cached key set, or 404 for HMAC", resp.StatusCode, resp.Header,
					raw)
			}
			s.Kill()
			s = servertest.Start(t, dataDir, env...)
			if name, err := username(s, token); name != "ada" || err != nil {
				t.Errorf("after a restart the token is %q's, %v, want %q", name, err, "ada")
			}
		})
	}
	t.Run("another setting", func(t *testing.T) {
		dataDir := filepath.Join(t.TempDir(), "data")
		s := servertest.Start(t, dataDir, servertest.CheapHashing...)
		token := register(t, s).Token
		s.Kill()
		for _, change := range []string{"ISSUER=other", "AUDIENCE=other"} {
			s := servertest.Start(t, dataDir, append(servertest.CheapHashing, "ACCOUNTD_TOKENS_"+change)...)
			if name, err := username(s, token); name != "" || err != nil {
				t.Errorf("with %s the token is %q's, %v, want \"\"", change, name, err)
			}
			s.Kill()
		}
	})
}

// TestRotateUnderLoad: keys come and go beside a running server, and no request fails but those with a token of a
// retired key.
func TestRotateUnderLoad(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	// Server and commands start in this directory.
	if err := os.WriteFile(filepath.Join(filepath.Dir(dataDir), "config.toml"),
		[]byte("[tokens]\nalgorithm = \"EdDSA\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, dataDir, append(servertest.CheapHashing, "ACCOUNTD_LIMITS_SESSIONS_PER_USER=10000")...)
	old := register(t, s)
	first := part(t, old.Token, 0)["kid"].(string)

	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			session := *old
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if i%100 == 0 { // far fewer sessions than a user may have
					next, err := s.Login(http.DefaultClient, "ada", "quiet-otter-42")
					if err != nil || !next.Success {
						t.Errorf("got %+v, %v, want a login", next, err)
						return
					}
					session = *next
				}
				for _, token := range []string{old.Token, session.Token} {
					if name, err := username(s, token); name != "ada" || err != nil {
						t.Errorf("a token is %q's, %v, want %q", name, err, "ada")
						return
					}
				}
			}
		})
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	until := func(what string, done func() (bool, error)) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			ok, err := done()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				return
			}
			select {
			case <-poll.C:
			case <-deadline:
				t.Fatalf("got no %s within a minute, want one\n%s", what, s.Log())
			}
		}
	}
	for range 3 {
		var key struct{ ID string }
		if err := json.Unmarshal([]byte(command(t, dataDir, "keys", "rotate", "--json")), &key); err != nil {
			t.Fatal(err)
		}
		until("signature by the new key", func() (bool, error) {
			session, err := s.Login(http.DefaultClient, "ada", "quiet-otter-42")
			if err != nil || !session.Success {
				return false, fmt.Errorf("login: got %+v, %v; want success", session, err)
			}
			return part(t, session.Token, 0)["kid"] == key.ID, nil
		})
	}
	close(stop)
	clients.Wait()
	command(t, dataDir, "keys", "retire", first)
	until("refusal of the retired key's tokens", func() (bool, error) {
		name, err := username(s, old.Token)
		return name == "", err
	})
	answer, err := s.Ask(http.DefaultClient, "",
		`mutation R($t: String) { refreshToken(refreshToken: $t) { success token } }`,
		map[string]any{"t": old.RefreshToken})
	var out servertest.Session
	if err == nil {
		err = answer.Field("refreshToken", &out)
	}
	if err != nil || !out.Success {
		t.Fatalf("the refresh token: got %+v, %v; want success", out, err)
	}
	if name, err := username(s, out.Token); name != "ada" || err != nil {
		t.Errorf("the next token is %q's, %v, want %q", name, err, "ada")
	}
	if err := s.Stop(); err != nil || strings.Contains(s.Log(), "ERR") {
		t.Errorf("got %v, want no error and no ERR in the log\n%s", err, s.Log())
	}
}

// TestTokenSettings: the settings that change what refreshToken does, through the program.
func TestTokenSettings(t *testing.T) {
	t.Parallel()
	ask := func(s *servertest.Server, argument, token, fields string) (out servertest.Session) {
		t.Helper()
		answer, err := s.Ask(http.DefaultClient, "", `mutation R($t: String) { refreshToken(`+argument+
			`: $t) { success `+fields+` } }`, map[string]any{"t": token})
		if err == nil {
			err = answer.Field("refreshToken", &out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	start := func(env ...string) *servertest.Server {
		return servertest.Start(t, filepath.Join(t.TempDir(), "data"), append(env, servertest.CheapHashing...)...)
	}
	t.Run("rotation", func(t *testing.T) {
		for rotation, kept := range map[string]bool{"rotate": false, "keep": true} {
			s := start("ACCOUNTD_TOKENS_ROTATION=" + rotation)
			session := register(t, s)
			if next := ask(s, "refreshToken", session.RefreshToken, "token refreshToken"); !next.Success ||
				(next.RefreshToken == session.RefreshToken) != kept {
				t.Errorf("%s: got %+v, want the same refresh token: %t", rotation, next, kept)
			}
		}
	})
	t.Run("long_running", func(t *testing.T) {
		s := start("ACCOUNTD_TOKENS_LONG_RUNNING=false")
		answer, err := s.Ask(http.DefaultClient, "",
			`mutation { register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: `+
				`"quiet-otter-42") { success token } }`, nil)
		var session servertest.Session
		if err == nil {
			err = answer.Field("register", &session)
		}
		if err != nil {
			t.Fatal(err)
		}
		next := ask(s, "token", session.Token, "token")
		if name, err := username(s, next.Token); !next.Success || name != "ada" || err != nil {
			t.Errorf("got %+v of %q, %v, want a token of ada", next, name, err)
		}
	})
	t.Run("allow_refresh", func(t *testing.T) {
		s := start("ACCOUNTD_TOKENS_ALLOW_REFRESH=false")
		if session := register(t, s); session.RefreshToken != "" || session.Token == "" {
			t.Errorf("got %+v, want only an access token", session)
		}
	})
}

// TestClearBesideServer: the command deletes ended sessions while a server runs.
func TestClearBesideServer(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, dataDir, servertest.CheapHashing...)
	session := register(t, s)
	answer, err := s.Ask(http.DefaultClient, "", `mutation R($t: String) { revokeToken(refreshToken: $t) { success } }`,
		map[string]any{"t": session.RefreshToken})
	var out servertest.Session
	if err == nil {
		err = answer.Field("revokeToken", &out)
	}
	if err != nil || !out.Success {
		t.Fatalf("got %+v, %v; want success", out, err)
	}
	for _, step := range []struct{ args, want string }{
		{"tokens clear --expired", "Deleted 0 sessions and 0 refresh tokens.\n"},
		{"tokens clear --json", `{"sessions":1,"refresh_tokens":1,"longest_hold_ms":N}` + "\n"},
		{"tokens clear", "Deleted 0 sessions and 0 refresh tokens.\n"},
	} {
		got := regexp.MustCompile(`"longest_hold_ms":[0-9]+\.?[0-9]*`).ReplaceAllString(command(t, dataDir,
			strings.Fields(step.args)...), `"longest_hold_ms":N`)
		if got != step.want {
			t.Errorf("%s prints %q, want %q", step.args, got, step.want)
		}
	}
}
