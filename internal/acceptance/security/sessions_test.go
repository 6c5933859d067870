//go:build unix

package security_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// TestSecurityOneSuccessor: fifty parallel refreshes of one token get the same successor. So does a repeated refresh
// after a kill that lost the response.
func TestSecurityOneSuccessor(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Cheap(t, dir)
	first, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !first.Success {
		t.Fatalf("got %+v, %v; want success", first, err)
	}
	successors := make([]string, 50)
	var wg sync.WaitGroup
	for i := range successors {
		wg.Go(func() {
			next, err := s.Refresh(first.RefreshToken)
			if err != nil || !next.Success {
				t.Errorf("refresh %d: got %+v, %v; want success", i, next, err)
				return
			}
			successors[i] = next.RefreshToken
		})
	}
	wg.Wait()
	for _, successor := range successors {
		if successor == "" || successor != successors[0] || successor == first.RefreshToken {
			t.Fatalf("got the successors %q, want one new token for all", successors)
		}
	}
	s.Kill()
	s = servertest.Cheap(t, dir)
	again, err := s.Refresh(first.RefreshToken)
	if err != nil || again.RefreshToken != successors[0] {
		t.Errorf("after a crash the first token gives %+v, %v; want the same successor", again, err)
	}
	if name := s.UsernameOf(t, again.Token); name != "ada" {
		t.Errorf("the access token: got %q, want ada", name)
	}
}

// TestSecuritySessionsPerUser: of sixty sessions the ten oldest have ended.
func TestSecuritySessionsPerUser(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	if out, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !out.Success {
		t.Fatalf("got %+v, %v; want a registration", out, err)
	}
	var sessions []*servertest.Session
	for range 60 {
		session, err := s.Login(http.DefaultClient, "ada", "quiet-otter-42")
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want a login", session, err)
		}
		sessions = append(sessions, session)
	}
	for i, session := range sessions {
		want := ""
		if i >= 10 {
			want = "ada"
		}
		if got := s.UsernameOf(t, session.Token); got != want {
			t.Errorf("session %d of 60 is %q's, want %q's", i+1, got, want)
		}
	}
	if out, err := s.Refresh(sessions[0].RefreshToken); err != nil || out.Success {
		t.Errorf("refresh of the oldest session: got %+v, %v; want a refusal", out, err)
	}
}

// signKeys returns the access keys of keys.json.
func signKeys(t *testing.T, dir string) (secret []byte, id string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ring struct {
		Access []struct {
			ID     string
			Secret []byte
		}
	}
	if err := json.Unmarshal(raw, &ring); err != nil || len(ring.Access) != 1 {
		t.Fatalf("got %d keys, %v; want 1", len(ring.Access), err)
	}
	return ring.Access[0].Secret, ring.Access[0].ID
}

// b64 is base64url without padding, as RFC 7515 has it.
func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// forge signs any header and payload.
func forge(header, payload string, sign func(message []byte) []byte) string {
	message := b64([]byte(header)) + "." + b64([]byte(payload))
	return message + "." + b64(sign([]byte(message)))
}

// hs returns an HMAC-SHA-256 signer.
func hs(secret []byte) func([]byte) []byte {
	return func(message []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(message)
		return h.Sum(nil)
	}
}

// TestSecurityForgedTokens: forged access tokens are refused, also those signed by the server's own key. Each
// differs from a valid token in one thing; the valid one is tried first and last.
func TestSecurityForgedTokens(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Cheap(t, dir, "ACCOUNTD_TOKENS_AUDIENCE=app")
	session, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	secret, kid := signKeys(t, dir)
	parts := strings.Split(session.Token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var good map[string]any
	if err := json.Unmarshal(payload, &good); err != nil {
		t.Fatal(err)
	}
	header := `{"alg":"HS256","kid":"` + kid + `","typ":"JWT"}`
	claims := func(change string, value any) string { // nil takes the claim away
		altered := map[string]any{}
		for k, v := range good {
			altered[k] = v
		}
		if altered[change] = value; value == nil {
			delete(altered, change)
		}
		raw, err := json.Marshal(altered)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	now := time.Now().Unix()
	own := hs(secret)
	with := func(change string, value any) string { return forge(header, claims(change, value), own) }
	head := func(header string) string { return forge(header, string(payload), own) }
	headers := func(more string) string {
		return head(`{"alg":"HS256","kid":"` + kid + `","typ":"JWT",` + more + `}`)
	}
	named := func(kid string) string {
		raw, err := json.Marshal(map[string]string{"alg": "HS256", "kid": kid, "typ": "JWT"})
		if err != nil {
			t.Fatal(err)
		}
		return forge(string(raw), string(payload), hs(nil))
	}
	sha512mac := func(message []byte) []byte {
		h := hmac.New(sha512.New, secret)
		h.Write(message)
		return h.Sum(nil)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs256 := func(message []byte) []byte {
		sum := sha256.Sum256(message)
		signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	flipped := func(i int) string {
		altered := append([]string{}, parts...)
		c := byte('A')
		if altered[i][0] == c {
			c = 'B'
		}
		altered[i] = string(c) + altered[i][1:]
		return strings.Join(altered, ".")
	}
	forged := map[string]string{
		"empty": "", "a word": "a", "two parts": parts[0] + "." + parts[1], "four parts": session.Token + "." +
			parts[2],
		"only dots": "..", "no header": "." + parts[1] + "." + parts[2], "no payload": parts[0] + ".." + parts[2],
		"no signature":     parts[0] + "." + parts[1] + ".",
		"payload twice":    parts[0] + "." + parts[1] + "." + parts[1],
		"signature cut":    session.Token[:len(session.Token)-1],
		"signature longer": session.Token + "A",
		"padding":          session.Token + "=", "standard base64": strings.NewReplacer("-", "+", "_",
			"/").Replace(head(`{"alg":"HS256","kid":"`+kid+`","typ":"JWT" }`)) + "+",
		"header altered": flipped(0), "payload altered": flipped(1), "signature altered": flipped(2),
		"5 KB": with("username", strings.Repeat("a", 5000)), "not JSON": forge(header, "not JSON", own),
		"an array": forge(header, "[]", own), "null": forge(header, "null", own),
		"header not JSON": head("x"), "header an array": head("[]"), "header empty": head("{}"),
		"header with more after it": head(header + "{}"),

		"alg none":         forge(`{"alg":"none","typ":"JWT"}`, string(payload), func([]byte) []byte { return nil }),
		"alg None":         forge(`{"alg":"None","typ":"JWT"}`, string(payload), func([]byte) []byte { return nil }),
		"alg none, signed": head(`{"alg":"none","kid":"` + kid + `","typ":"JWT"}`), "no alg": head(`{"kid":"` + kid +
			`","typ":"JWT"}`), "alg null": head(`{"alg":null,"typ":"JWT"}`),
		"alg HS512 by the right secret": forge(`{"alg":"HS512","kid":"`+kid+`","typ":"JWT"}`, string(payload),
			sha512mac),
		"HS512 said to be HS256":          forge(header, string(payload), sha512mac),
		"alg in lower case":               head(`{"alg":"hs256","kid":"` + kid + `","typ":"JWT"}`),
		"alg RS256 by a key of one's own": forge(`{"alg":"RS256","kid":"`+kid+`","typ":"JWT"}`, string(payload), rs256),
		"alg a list":                      head(`{"alg":["HS256"],"typ":"JWT"}`),
		"another key": forge(header, string(payload),
			hs([]byte("another secret of thirty-two bytes"))),
		"no key": forge(header, string(payload), hs(nil)), "the id as key": forge(header,
			string(payload), hs([]byte(kid))),

		"no typ": head(`{"alg":"HS256","kid":"` + kid + `"}`), "typ at+jwt": head(`{"alg":"HS256","kid":"` + kid +
			`","typ":"at+jwt"}`), "typ JOSE": head(`{"alg":"HS256","kid":"` + kid + `","typ":"JOSE"}`),
		"jku": headers(`"jku":"http://127.0.0.1:1/keys"`), "jwk": headers(`"jwk":{"kty":"oct","k":"AAAA"}`),
		"x5u": headers(`"x5u":"http://127.0.0.1:1/"`), "x5c": headers(`"x5c":["AAAA"]`),
		"crit": headers(`"crit":["exp"]`), "b64": headers(`"b64":false,"crit":["b64"]`), "zip": headers(`"zip":"DEF"`),
		"cty":        headers(`"cty":"JWT"`),
		"kid a path": named("../../../../dev/null"), "kid SQL": named("' UNION SELECT '' --"),
		"kid a NUL":           named("a\x00"),
		"kid a shell command": named("|id"), "kid huge": named(strings.Repeat("k", 2000)),
		"kid a number": head(`{"alg":"HS256","kid":1,"typ":"JWT"}`),

		"exp passed": with("exp", now-1), "exp a string": with("exp", fmt.Sprint(now+300)),
		"exp beyond 64 bits": with("exp",
			1e30), "exp null": forge(header, strings.Replace(claims("exp", nil), "{", `{"exp":null,`, 1), own),
		"no exp": with("exp", nil),
		"no iat": with("iat", nil), "iat to come": with("iat", now+600), "nbf to come": with("nbf", now+600),
		"no origIat": with("origIat", nil),
		"no sub":     with("sub", nil), "sub a number": with("sub", 1), "sub of nobody": with("sub", "999"),
		"sub negative": with("sub", "-1"), "sub beyond 64 bits": with("sub", "99999999999999999999"),
		"sub SQL": with("sub",
			"1 OR 1=1"),
		"no sid": with("sid", nil), "sid of no session": with("sid", "999"), "sid a number": with("sid", 1),
		"another issuer": with("iss", "http://evil.example"), "no issuer": with("iss", nil),
		"another audience": with("aud", "other"), "no audience": with("aud", nil), "a list of audiences": with("aud",
			[]string{"other"}),
	}
	if len(forged) < 60 {
		t.Errorf("got %d forged tokens, want at least 60", len(forged))
	}
	if name := s.UsernameOf(t, forge(header, string(payload), own)); name != "ada" {
		t.Fatalf("forged with nothing changed: got %q, want ada", name)
	}
	for what, token := range forged {
		t.Run(what, func(t *testing.T) {
			if strings.ContainsAny(token, "\x00\n") {
				t.Fatal("got a token with NUL or a line break, want one that a header can carry")
			}
			if name := s.UsernameOf(t, token); name != "" {
				t.Errorf("%.80s: got %q, want an anonymous caller", token, name)
			}
		})
	}
	if name := s.UsernameOf(t, session.Token); name != "ada" {
		t.Errorf("the valid token afterwards: got %q, want ada", name)
	}
}

// TestSecurityPublicKeyAsSecret: a token signed by HMAC with the published key, in any encoding, is refused.
func TestSecurityPublicKeyAsSecret(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			s := servertest.Cheap(t, dir, "ACCOUNTD_TOKENS_ALGORITHM="+algorithm)
			session, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42")
			if err != nil || !session.Success {
				t.Fatalf("got %+v, %v; want success", session, err)
			}
			der, kid := signKeys(t, dir)
			key, err := x509.ParsePKCS8PrivateKey(der)
			if err != nil {
				t.Fatal(err)
			}
			public := key.(crypto.Signer).Public()
			pkix, err := x509.MarshalPKIXPublicKey(public)
			if err != nil {
				t.Fatal(err)
			}
			secrets := map[string][]byte{"DER": pkix, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY",
				Bytes: pkix})}
			switch public := public.(type) {
			case ed25519.PublicKey:
				secrets["bytes"] = public
			case *ecdsa.PublicKey:
				if secrets["bytes"], err = public.Bytes(); err != nil {
					t.Fatal(err)
				}
			case *rsa.PublicKey:
				secrets["bytes"] = public.N.Bytes()
			}
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(session.Token, ".")[1])
			if err != nil {
				t.Fatal(err)
			}
			for form, secret := range secrets {
				for _, alg := range []string{"HS256", algorithm} {
					token := forge(`{"alg":"`+alg+`","kid":"`+kid+`","typ":"JWT"}`, string(payload), hs(secret))
					if name := s.UsernameOf(t, token); name != "" {
						t.Errorf("HMAC under the public key in %s with the algorithm %s: got %q, want nobody", form,
							alg, name)
					}
				}
			}
			if name := s.UsernameOf(t, session.Token); name != "ada" {
				t.Errorf("the valid token: got %q, want ada", name)
			}
		})
	}
}
