//go:build unix

package security_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// redeem are the mutations that use up an action token. $i is another number in each of many requests.
var redeem = map[string]string{
	"activation": `verifyAccount(token: "$token") { success errors }`,
	"password_reset": `passwordReset(token: "$token", newPassword1: "better-otter-$i", newPassword2: ` +
		`"better-otter-$i") { success errors }`,
	"password_set": `passwordSet(token: "$token", newPassword1: "better-otter-$i", newPassword2: "better-otter-$i") ` +
		`{ success errors }`,
	"secondary_email": `verifySecondaryEmail(token: "$token") { success errors }`,
}

func redemption(kind, token string, i int) request {
	field, _, _ := strings.Cut(redeem[kind], "(")
	return request{field: field, query: "mutation { " + strings.NewReplacer("$token", token, "$i",
		fmt.Sprint(100+i)).Replace(redeem[kind]) + " }"}
}

// mailedLinks makes an account and a link for each kind of link.
func mailedLinks(t *testing.T, server *servertest.Server) map[string]delivered {
	t.Helper()
	states := map[string]string{"activation": "--no-password", "password_reset": "--verified",
		"password_set": "--no-password", "secondary_email": "--verified"}
	list := map[string]delivered{}
	for kind, state := range states {
		args := []string{"user", "add", "--username", kind, "--email", kind + "@example.com", state}
		if state == "--verified" {
			args = append(args, "--password-stdin")
		}
		servertest.Run(t, server.DataDir, "quiet-otter-42", args...)
		args = []string{"user", "link", kind, kind}
		if kind == "secondary_email" {
			args = append(args, "--email", "second@example.com")
		}
		found := servertest.Link.FindStringSubmatch(servertest.Run(t, server.DataDir, "", args...))
		if found == nil {
			t.Fatalf("%q: got no link, want one", args)
		}
		mailed, err := url.Parse(found[0]) // a command does not know the port of a server that runs
		if err != nil {
			t.Fatal(err)
		}
		list[kind] = delivered{Link: server.URL + mailed.Path, Token: found[1]}
	}
	return list
}

// TestSecurityTokensAtOnce: of a hundred parallel uses of one action token exactly one succeeds, and its change is
// stored.
func TestSecurityTokensAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	server := servertest.New(t, "ACCOUNTD_PASSWORDS_ARGON2_QUEUE=200")
	lost := map[string]string{
		"activation": "nonFieldErrors already_verified", "password_reset": "nonFieldErrors invalid_token",
		"password_set": "nonFieldErrors password_already_set", "secondary_email": "nonFieldErrors unique",
	}
	for kind, mailed := range mailedLinks(t, server) {
		t.Run(kind, func(t *testing.T) {
			var requests []request
			for i := range n {
				requests = append(requests, redemption(kind, mailed.Token, i))
			}
			won := -1
			for i, answer := range volley(t, server, requests) {
				switch got := payloadOf(t, answer, requests[i].field); {
				case got == "ok" && won < 0:
					won = i
				case got == "ok":
					t.Errorf("got success of the uses %d and %d, want one", won, i)
				case got != lost[kind]:
					t.Errorf("a use that comes too late answers %s, want %s", got, lost[kind])
				}
			}
			if won < 0 {
				t.Fatal("got no use that succeeds, want one")
			}
			if !strings.HasPrefix(kind, "password") {
				return
			}
			for _, i := range []int{won, (won + 1) % n, (won + n - 1) % n} {
				session, err := server.Login(http.DefaultClient, kind, fmt.Sprintf("better-otter-%d", 100+i))
				if err != nil {
					t.Fatal(err)
				}
				if session.Success != (i == won) {
					t.Errorf("password %d: got a login %t, want %t", i, session.Success, i == won)
				}
			}
		})
	}
}

// TestSecurityLinksAreInert: fetching a link, as mail scanners do, changes nothing. A link cannot point at the API
// itself.
func TestSecurityLinksAreInert(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	links := mailedLinks(t, server)
	state := func() string {
		all := servertest.Run(t, server.DataDir, "", "user", "list", "--json")
		for kind := range links {
			all += servertest.Run(t, server.DataDir, "", "user", "sessions", kind, "--json")
		}
		return all
	}
	kinds := slices.Sorted(maps.Keys(links))
	before := state()
	for _, kind := range kinds {
		addresses := []string{links[kind].Link, links[kind].Link + "/", server.URL + "/graphql?token=" +
			links[kind].Token}
		for _, endpoint := range []string{"/graphql", "/relay"} {
			mutation := redemption(kind, links[kind].Token, 0).query
			if endpoint == "/relay" {
				mutation = strings.Replace(strings.Replace(mutation, "(", "(input: {", 1), ")", "})", 1)
			}
			addresses = append(addresses, server.URL+endpoint+"?query="+url.QueryEscape(mutation))
		}
		for _, address := range addresses {
			for range 5 {
				for _, method := range []string{http.MethodHead, http.MethodGet} {
					req, err := http.NewRequest(method, address, nil)
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Accept", "text/html,application/json;q=0.9,*/*;q=0.8")
					resp, err := http.DefaultClient.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode < 400 || len(resp.Cookies()) > 0 ||
						bytes.Contains(body, []byte(links[kind].Token)) {
						t.Errorf("%s %s: got %s, cookies %v, %v; want a refusal without the token\n%s", method, address,
							resp.Status, resp.Cookies(), err, body)
					}
				}
			}
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("a look at a link has changed (-before +after):\n%s", diff)
	}
	for _, kind := range kinds {
		r := redemption(kind, links[kind].Token, 0)
		if got := answered(t, server, "", r.field, r.query, nil); got != "ok" {
			t.Errorf("%s afterwards: got %s, want ok", kind, got)
		}
	}
}

// TestSecurityStolenDatabase searches the database files for every issued token, as text, as bytes and in parts:
// tokens of queued and of sent mails, of live sessions and of rotated refresh tokens.
func TestSecurityStolenDatabase(t *testing.T) {
	t.Parallel()
	const password = "quiet-otter-42"
	dataDir := filepath.Join(t.TempDir(), "data")
	env := append([]string{"ACCOUNTD_ACCOUNTS_SEND_PASSWORD_SET_EMAIL=true"}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, env...)
	files := map[string][]byte{}
	steal := func(when string) {
		t.Helper()
		for _, suffix := range []string{"", "-wal", "-shm"} {
			raw, err := os.ReadFile(filepath.Join(dataDir, "accountd.db"+suffix))
			if err != nil && suffix == "" {
				t.Fatal(err)
			}
			if len(raw) > 0 {
				files[when+", "+"accountd.db"+suffix] = raw
			}
		}
	}
	secrets := map[string]string{}
	ask := func(token, field, query string, variables map[string]any) *servertest.Session {
		t.Helper()
		answer, err := server.Ask(http.DefaultClient, token, query, variables)
		if err != nil {
			t.Fatal(err)
		}
		var out servertest.Session
		if err := answer.Field(field, &out); err != nil || !out.Success {
			t.Fatalf("%s: got %s, %v; want success", field, out.Errors, err)
		}
		if out.Token != "" {
			secrets[fmt.Sprintf("access token %d", len(secrets))] = out.Token
			secrets[fmt.Sprintf("refresh token %d", len(secrets))] = out.RefreshToken
		}
		return &out
	}
	sendAll := func(round int) {
		t.Helper()
		name, bob := fmt.Sprintf("ada%d", round), fmt.Sprintf("bob%d", round)
		if session, err := server.Register(http.DefaultClient, name, password); err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want a registration", session, err)
		}
		session := ask("", "tokenAuth", `mutation ($name: String, $password: String!) { tokenAuth(username: $name, `+
			`password: $password) { success errors token refreshToken } }`,
			map[string]any{"name": bob, "password": password})
		for range 2 {
			session = ask("", "refreshToken",
				`mutation ($token: String!) { refreshToken(refreshToken: $token) { success `+
					`errors token refreshToken } }`,
				map[string]any{"token": session.RefreshToken})
		}
		ask("", "sendPasswordResetEmail", resetQuery, map[string]any{"email": bob + "@example.com"})
		ask(session.Token, "sendSecondaryEmailActivation",
			`mutation ($email: String!, $password: String!) { sendSecondaryEmailActivation(email: $email, password: `+
				`$password) { success errors } }`,
			map[string]any{"email": bob + ".2@example.com", "password": password})
	}
	received := func(want int) {
		t.Helper()
		want += len(secrets)
		for _, d := range deliveries(t, server) {
			if d.Token != "" {
				secrets["link of "+d.Token] = d.Token // one that has come before may come again
			}
		}
		if len(secrets) != want {
			t.Errorf("%d secrets, want %d", len(secrets), want)
		}
	}

	for _, bob := range []string{"bob1", "bob2"} { // commands refuse to work without a spool
		servertest.Run(t, server.DataDir, password, "user", "add", "--username", bob, "--email", bob+"@example.com",
			"--verified", "--password-stdin")
	}
	secrets["set token"] = servertest.LinkToken(t, server.DataDir, "password_set", "bob1")
	sendAll(1)
	received(3)
	steal("mails have gone")
	spool := filepath.Join(dataDir, "spool")
	if err := os.Rename(spool, spool+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spool, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	sendAll(2)
	steal("mails wait")
	if err := server.Stop(); err != nil {
		t.Fatalf("stop: got %v, want no error\n%s", err, server.Log())
	}
	steal("mails wait, stopped")
	if err := os.Remove(spool); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(spool+".away", spool); err != nil {
		t.Fatal(err)
	}
	server = servertest.Start(t, dataDir, env...)
	received(3)
	steal("mails have gone at last")

	for file, raw := range files {
		for name, secret := range secrets {
			for form, part := range formsOf(t, secret) {
				if bytes.Contains(raw, part) {
					t.Errorf("%s: got the %s, %s; want no part of a token", file, name, form)
				}
			}
		}
		for _, text := range []string{"password-reset/", "Reset your password", "multipart/alternative", "Message-ID",
			password} {
			if bytes.Contains(raw, []byte(text)) {
				t.Errorf("%s: got %q, want none of it", file, text)
			}
		}
	}
	// What it does hold: without this, the look would prove nothing.
	waiting := append(slices.Clone(files["mails wait, accountd.db"]), files["mails wait, accountd.db-wal"]...)
	leaf := ""
	for name, secret := range secrets {
		if strings.HasPrefix(name, "refresh") {
			sum := sha256.Sum256([]byte(secret))
			if bytes.Contains(waiting, sum[:]) {
				leaf = name
			}
		}
	}
	if leaf == "" || !bytes.Contains(waiting, []byte("bob2@example.com")) || !bytes.Contains(waiting, []byte(".eml")) {
		t.Errorf("got the hash %q and the files of waiting mails\n%s\nwant a hash, and a mail to bob2@example.com",
			leaf, waiting)
	}
}

// formsOf returns the forms in which a token could be stored: as it is, decoded, in other encodings, and its
// unguessable parts.
func formsOf(t *testing.T, token string) map[string][]byte {
	t.Helper()
	forms := map[string][]byte{"as it is": []byte(token)}
	for i, part := range strings.Split(token, ".") {
		raw, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || len(raw) < 16 {
			t.Fatalf("got %q, %v; want base64 of at least 16 bytes", part, err)
		}
		forms[fmt.Sprintf("part %d", i)] = []byte(part)
		forms[fmt.Sprintf("part %d, its bytes", i)] = raw
		forms[fmt.Sprintf("part %d, the first bytes", i)] = raw[:16]
		forms[fmt.Sprintf("part %d, the last bytes", i)] = raw[len(raw)-16:]
		forms[fmt.Sprintf("part %d, hexadecimal", i)] = []byte(hex.EncodeToString(raw))
		forms[fmt.Sprintf("part %d, other base64", i)] = []byte(base64.StdEncoding.EncodeToString(raw))
	}
	return forms
}
