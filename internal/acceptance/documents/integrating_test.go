//go:build unix

package documents_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

const (
	sharedSecret = "a-secret-that-both-sides-have-read-from-a-file"
	appIssuer    = "https://app.example.com"
)

var namedBlock = regexp.MustCompile("(?s)```(\\w+)(?: (\\S+))?\n(.*?)```")

// integrating returns the code blocks of docs/integrating.md by file name, or by language for those without one.
func integrating(t *testing.T) map[string]string {
	t.Helper()
	text := servertest.Read(t, "docs/integrating.md")
	blocks := map[string]string{}
	for _, block := range namedBlock.FindAllStringSubmatch(text, -1) {
		name := block[2]
		if name == "" {
			name = block[1]
		}
		if blocks[name] != "" {
			t.Fatalf("got two blocks of the name %s, want one", name)
		}
		blocks[name] = block[3]
	}
	return blocks
}

// examples returns a directory with the code of the document, with its Go program built.
func examples(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range integrating(t) {
		if strings.Contains(name, ".") {
			write(t, filepath.Join(dir, name), text)
		}
	}
	if err := os.CopyFS(dir, os.DirFS(servertest.File(t, "testdata/integrating"))); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", "examples", "main.go", "verify.go", "ask.go")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: got %v, want no error\n%s", err, out)
	}
	return dir
}

// forger signs tokens with the server's own key. They differ from a valid token in chosen ways.
type forger struct {
	t              *testing.T
	header, claims map[string]any
	sign           func([]byte) []byte
}

func newForger(t *testing.T, good string, sign func([]byte) []byte) *forger {
	f := &forger{t: t, sign: sign}
	for i, into := range []*map[string]any{&f.header, &f.claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(good, ".")[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// token returns the valid token with changed header parameters and claims; nil removes one.
func (f *forger) token(sign func([]byte) []byte, header, claims map[string]any) string {
	var parts []string
	for _, part := range [][2]map[string]any{{f.header, header}, {f.claims, claims}} {
		changed := maps.Clone(part[0])
		for name, value := range part[1] {
			changed[name] = value
			if value == nil {
				delete(changed, name)
			}
		}
		raw, err := json.Marshal(changed)
		if err != nil {
			f.t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(signed)))
}

func hs256(secret []byte) func([]byte) []byte {
	return func(signed []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(signed)
		return mac.Sum(nil)
	}
}

// TestIntegratingDocument runs the code of docs/integrating.md in three languages against a server, with valid
// tokens and with forged, expired and revoked ones.
func TestIntegratingDocument(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"node", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the examples need %s: %v", tool, err)
		}
	}
	dir := examples(t)
	secretFile := filepath.Join(dir, "secret.txt")
	write(t, secretFile, sharedSecret+"\n")
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pemFile := filepath.Join(dir, "private.pem")
	write(t, pemFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))

	for _, test := range []struct {
		algorithm, audience, key string
		sign                     func([]byte) []byte
	}{
		{"HS256", "", secretFile, hs256([]byte(sharedSecret))},
		{"EdDSA", "app", pemFile, func(signed []byte) []byte { return ed25519.Sign(private, signed) }},
	} {
		t.Run(test.algorithm, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			env := append([]string{"ACCOUNTD_TOKENS_ALGORITHM=" + test.algorithm, "ACCOUNTD_TOKENS_AUDIENCE=" +
				test.audience,
				"ACCOUNTD_TOKENS_ISSUER=" + appIssuer}, servertest.CheapHashing...)
			command(t, env, "keys", "import", test.key, "--algorithm", test.algorithm, "--sign", "--data-dir", data)
			server := servertest.Start(t, data, env...)
			var sessions [3]*servertest.Session
			for i, name := range []string{"ada", "bob", "carol"} {
				if sessions[i], err = server.Register(http.DefaultClient, name, "quiet-otter-42"); err != nil ||
					!sessions[i].Success {
					t.Fatalf("got %+v, %v; want success", sessions[i], err)
				}
			}
			answer, err := server.Ask(http.DefaultClient, "",
				`mutation R($token: String!) { revokeToken(refreshToken: $token) { success } }`,
				map[string]any{"token": sessions[1].RefreshToken})
			if err != nil || string(answer.Data["revokeToken"]) != `{"success":true}` {
				t.Fatalf("revokeToken: got %+v, %v; want success", answer, err)
			}
			command(t, env, "user", "set", "carol", "--no-active", "--data-dir", data)

			good := sessions[0].Token
			f := newForger(t, good, test.sign)
			signed := good[:strings.LastIndexByte(good, '.')]
			none := func([]byte) []byte { return nil }
			now := time.Now().Unix()
			type row struct{ name, token, verified, asked string }
			rows := []row{
				{"good", good, "1", "1"},
				{"good, made here", f.token(test.sign, nil, nil), "1", "1"},
				{"session ended", sessions[1].Token, "2", "nobody"},
				{"deactivated", sessions[2].Token, "3", "nobody"},
				{"later", f.token(test.sign, nil, map[string]any{"exp": now + 3600}), "1", "1"},
			}
			for name, token := range map[string]string{
				"expired":               f.token(test.sign, nil, map[string]any{"exp": now - 1, "iat": now - 300}),
				"without expiry":        f.token(test.sign, nil, map[string]any{"exp": nil}),
				"expiry is a text":      f.token(test.sign, nil, map[string]any{"exp": "never"}),
				"wrong issuer":          f.token(test.sign, nil, map[string]any{"iss": "https://evil.example"}),
				"without issuer":        f.token(test.sign, nil, map[string]any{"iss": nil}),
				"wrong audience":        f.token(test.sign, nil, map[string]any{"aud": "another"}),
				"without a user":        f.token(test.sign, nil, map[string]any{"sub": nil}),
				"signature of another":  f.token(func(b []byte) []byte { return test.sign(append(b, 'x')) }, nil, nil),
				"another secret":        f.token(hs256([]byte("another secret of more than 32 bytes")), nil, nil),
				"none":                  f.token(none, map[string]any{"alg": "none"}, nil),
				"none, signed":          f.token(test.sign, map[string]any{"alg": "none"}, nil),
				"another algorithm":     f.token(test.sign, map[string]any{"alg": "HS512"}, nil),
				"public key as secret":  f.token(hs256(public), map[string]any{"alg": "HS256"}, nil),
				"algorithm without key": f.token(none, nil, nil),
				"no signature":          signed + ".",
				"two parts":             signed,
				"four parts":            good + ".x",
				"changed": f.token(none, nil,
					map[string]any{"sub": "2"}) + good[strings.LastIndexByte(good, '.')+1:],
				"refresh token": sessions[0].RefreshToken,
				"nothing":       "",
				"not ASCII":     "é.é.é",
				"not JSON":      "e30x.e30x.e30x",
				"no objects":    "W10.W10.W10",
				"deep":          strings.Repeat("W1tb", 3000) + ".e30.e30",
			} {
				rows = append(rows, row{name, token, "nobody", "nobody"})
			}
			var lines string
			for _, r := range rows {
				lines += r.token + "\n"
			}
			for _, program := range []string{"./examples", "node main.mjs", "python3 main.py"} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				args := strings.Fields(program)
				cmd := exec.CommandContext(ctx, args[0], args[1:]...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "ALGORITHM="+test.algorithm, "ISSUER="+appIssuer, "AUDIENCE="+
					test.audience,
					"SECRET_FILE="+secretFile,
					"JWKS="+server.URL+"/.well-known/jwks.json", "API="+server.URL+"/graphql",
					"PYTHONDONTWRITEBYTECODE=1")
				cmd.Stdin, cmd.Stderr = strings.NewReader(lines), t.Output()
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: got %v, want no error", program, err)
				}
				var want, got []string
				results := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
				for i, r := range rows {
					if program == "python3 main.py" && test.algorithm != "HS256" {
						r.verified = "-"
					}
					want = append(want, r.name+": "+r.verified+" "+r.asked)
					if i < len(results) {
						got = append(got, r.name+": "+results[i])
					}
				}
				if diff := cmp.Diff(want, got); diff != "" || len(results) != len(rows) {
					t.Errorf("%s (-want +got):\n%s", program, diff)
				}
			}
		})
	}
}

// TestIntegratingRotation: back ends that have read the public keys accept a token of a new key.
func TestIntegratingRotation(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("an example needs node: %v", err)
	}
	dir := examples(t)
	env := append([]string{"ACCOUNTD_TOKENS_ALGORITHM=EdDSA", "ACCOUNTD_TOKENS_ISSUER=" + appIssuer},
		servertest.CheapHashing...)
	server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), env...)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	type backEnd struct {
		name string
		in   io.WriteCloser
		out  *bufio.Scanner
	}
	var backEnds []backEnd
	for _, program := range []string{"./examples", "node main.mjs"} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		args := strings.Fields(program)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir, cmd.Stderr = dir, t.Output()
		cmd.Env = append(os.Environ(), "ALGORITHM=EdDSA", "ISSUER="+appIssuer, "JWKS="+server.URL+
			"/.well-known/jwks.json",
			"API="+server.URL+"/graphql")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			in.Close()
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s: got %v, want no error", program, err)
			}
		}()
		backEnds = append(backEnds, backEnd{program, in, bufio.NewScanner(out)})
	}
	check := func(when, token string) {
		t.Helper()
		for _, b := range backEnds {
			if _, err := io.WriteString(b.in, token+"\n"); err != nil {
				t.Fatal(err)
			}
			if !b.out.Scan() || b.out.Text() != "1 1" {
				t.Fatalf("%s, %s: got %q, %v; want \"1 1\"", b.name, when, b.out.Text(), b.out.Err())
			}
		}
	}
	check("before", session.Token)
	command(t, env, "keys", "rotate", "--data-dir", server.DataDir)
	before, _, _ := strings.Cut(session.Token, ".")
	// the server reads the ring once a second
	for deadline := time.Now().Add(30 * time.Second); strings.HasPrefix(session.Token, before+"."); {
		if time.Now().After(deadline) {
			t.Fatal("after half a minute: got the old key, want the new one to sign")
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
		if session, err = server.Login(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want a login", session, err)
		}
	}
	check("after", session.Token)
}

// command runs a command of accountd with variables.
func command(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), servertest.Binary(t), args...)
	cmd.Dir = t.TempDir() // no config.toml there
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("accountd %q: got %v, want no error\n%s", args, err, out)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
