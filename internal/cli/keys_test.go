package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

const djangoSecret = "k3y!with-50-characters-as-startproject-makes-it-$#@"

var keyID = regexp.MustCompile(`\b[A-Z2-7]{12}\b`)

// masked replaces the ids of keys, which are random, by K1, K2 and so on in order of appearance.
func masked(text string) string {
	names := map[string]string{}
	return keyID.ReplaceAllStringFunc(text, func(id string) string {
		if names[id] == "" {
			names[id] = "K" + string(rune('1'+len(names)))
		}
		return names[id]
	})
}

// key is the id of the first key that keys list prints with all of words.
func (w *world) key(words ...string) string {
	w.t.Helper()
next:
	for line := range strings.Lines(w.ok("keys", "list")) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		return keyID.FindString(line)
	}
	w.t.Fatalf("got no key with %q, want one", words)
	return ""
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	const nowhere = "accountd: no key ring here: key file: lstat PATH/data/keys.json: no such file or directory: " +
		"name the server's directory with --data-dir, or copy the lost file back; only if it is lost for good, " +
		"make a new one with accountd keys init\n"
	w.fails(exitFailure, nowhere, "keys", "list")
	for _, args := range [][]string{{"keys", "rotate"}, {"keys", "retire", "x"}} {
		w.fails(exitFailure, strings.Replace(nowhere, "key file: lstat", "stat", 1), args...)
	}
	if _, err := os.Stat(w.path("data")); err == nil {
		t.Error("keys list: got a data directory, want none")
	}
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	first := w.key("access")
	equal(t, masked(w.ok("keys", "list")), `ID            KIND    ALGORITHM    CREATED                  USE
K1  access  HS256        2027-01-15 08:00:00 UTC  signs and verifies
K2  action  HMAC-SHA256  2027-01-15 08:00:00 UTC  signs and verifies
K3  seal    AES-256-GCM  2027-01-15 08:00:00 UTC  seals and opens
`)
	w.fails(exitFailure, "accountd: "+first+
		" is the key that is in use: run accountd keys rotate --kind access, and retire it when what it signed has "+
		"expired\n", "keys", "retire", first)
	equal(t, masked(w.ok("keys", "rotate")),
		"The ring has a new access key, K1 (HS256). It signs from now on; a running server uses it within a second. "+
			"Retire the older ones in 5m, when the last token that they signed has expired.\n")
	equal(t, masked(w.ok("keys", "rotate", "--kind=action")),
		"The ring has a new action key, K1 (HMAC-SHA256). It signs from now on; a running server uses it within a "+
			"second. "+
			"Retire the older ones in 7d, when the last link that they signed has expired.\n")
	equal(t, masked(w.ok("keys", "rotate", "--algorithm=EdDSA")),
		"The ring has a new access key, K1 (EdDSA). It works once tokens.algorithm is EdDSA and the server has been "+
			"restarted; "+
			"access tokens of HS256 end then.\n")
	equal(t, masked(w.ok("keys", "list")), `ID            KIND    ALGORITHM    CREATED                  USE
K1  access  EdDSA        2027-01-15 08:00:00 UTC  none: tokens.algorithm is HS256
K2  access  HS256        2027-01-15 08:00:00 UTC  signs and verifies
K3  access  HS256        2027-01-15 08:00:00 UTC  verifies
K4  action  HMAC-SHA256  2027-01-15 08:00:00 UTC  signs and verifies
K5  action  HMAC-SHA256  2027-01-15 08:00:00 UTC  verifies
K6  seal    AES-256-GCM  2027-01-15 08:00:00 UTC  seals and opens
`)
	equal(t, masked(strings.SplitN(w.ok("keys", "list", "--json"), "\n", 2)[0]),
		`{"id":"K1","kind":"access","algorithm":"EdDSA","created":"2027-01-15T08:00:00Z","signs":false,`+
			`"verifies":false}`)
	equal(t, w.ok("keys", "retire", first), "The access key "+first+
		" is gone. Access tokens that it signed are refused; refreshToken gives new ones.\n")
	w.fails(exitFailure, "accountd: there is no key \""+first+"\": run accountd keys list for the ids\n", "keys",
		"retire", first)
	action := w.key("action", "  verifies")
	equal(t, w.ok("keys", "retire", action), "The action key "+action+
		" is gone. Links in mails that it signed have stopped working.\n")
	eddsa := w.key("EdDSA")
	equal(t, masked(w.ok("keys", "retire", "--json", eddsa)),
		`{"id":"K1","kind":"access","algorithm":"EdDSA","created":"2027-01-15T08:00:00Z","signs":false,`+
			`"verifies":false}`+"\n")
	w.fails(exitUsage, "accountd: --algorithm goes with --kind access\nTry accountd --help.\n", "keys", "rotate",
		"--kind=seal", "--algorithm=HS256")
	for _, args := range [][]string{{"--algorithm=HS1"}, {"--kind=x"}} {
		if code, _, _ := w.run(append([]string{"keys", "rotate"}, args...)...); code != exitUsage {
			t.Errorf("%q exits %d, want %v", args, code, exitUsage)
		}
	}
}

// TestAlgorithmChange: the documented steps from one algorithm to another.
func TestAlgorithmChange(t *testing.T) {
	w := newWorld(t)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	w.environ = append(w.environ, "ACCOUNTD_TOKENS_ALGORITHM=EdDSA")
	w.fails(exitFailure, "accountd: key file PATH/data/keys.json: it has no key that signs for tokens.algorithm "+
		"EdDSA: "+
		"run accountd keys rotate with this setting to make one, or set the algorithm that the ring is for\n", "user",
		"list")
	w.ok("keys", "rotate")
	w.ok("user", "list")
	hs256 := w.key("HS256")
	equal(t, w.ok("keys", "retire", hs256), "The access key "+hs256+" is gone. It was not in use.\n")
}

func TestKeysRetireWithoutRefreshTokens(t *testing.T) {
	w := newWorld(t)
	w.environ = append(w.environ, "ACCOUNTD_TOKENS_LONG_RUNNING=false")
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	w.ok("keys", "rotate")
	old := w.key("access", "  verifies")
	equal(t, w.ok("keys", "retire", old), "The access key "+old+
		" is gone. Access tokens that it signed are refused; users who have one log in again.\n")
}

// sql changes the database behind the commands' back.
func (w *world) sql(query string, args ...any) {
	w.t.Helper()
	db, err := store.Open(w.t.Context(), filepath.Join(w.dir, "data", "accountd.db"), time.Now)
	if err == nil {
		err = errors.Join(db.Write(w.t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(w.t.Context(), query, args...)
			return err
		}), db.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// waitingMail leaves a mail in the outbox, as a command does that sends one beside a server that is down.
func (w *world) waitingMail(keyFile string) {
	w.t.Helper()
	keys, err := tokens.OpenKeys(keyFile, "HS256", time.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sql(`INSERT INTO outbox (name, created_at, message) VALUES ('x', 1, ?)`, keys.Seal([]byte("mail"), []byte("x")))
}

// TestRetireSealKey: not while a mail may need it.
func TestRetireSealKey(t *testing.T) {
	w := newWorld(t)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	equal(t, masked(w.ok("keys", "rotate", "--kind=seal")),
		"The ring has a new seal key, K1 (AES-256-GCM). It seals from now on; a running server uses it within a "+
			"second. "+
			"Retire the older ones in a minute, when no mail waits that they sealed.\n")
	old := w.key("seal", "  opens")
	w.fails(exitFailure, "accountd: "+old+" was in use until 0 s ago: retire it in 1m0s\n", "keys", "retire", old)
	path := filepath.Join(w.dir, "data", "keys.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w.write("data/keys.json", strings.ReplaceAll(string(raw), `"created": 1800000000`, `"created": 1799999940`))
	w.waitingMail(path)
	w.fails(exitFailure, "accountd: 1 mails are on their way to the spool, and the key may be needed for them: try "+
		"again when they are there\n", "keys", "retire", old)
	w.sql(`UPDATE outbox SET message = x'00'`) // by a key that is gone already
	equal(t, w.ok("keys", "retire", old), "The seal key "+old+" is gone. Nothing that it sealed is left.\n")
}

func TestKeysImport(t *testing.T) {
	w := newWorldHere(t)
	w.write("secret", djangoSecret+"\n")
	w.write("short", "too short\n")
	w.fails(exitFailure, "accountd: short: the secret has 9 bytes: with less than 32, anybody with a token can "+
		"find it by guessing; run accountd keys rotate to make a strong one, and give it to the services that verify "+
		"tokens\n", "keys", "import", "short", "--sign")
	w.write("plain", strings.Repeat("a", 40)+"\n")
	w.fails(exitFailure, "accountd: plain: the secret has too little variety: anybody with a token can find it by "+
		"guessing; "+
		"run accountd keys rotate to make a strong one, and give it to the services that verify tokens\n", "keys",
		"import",
		"plain", "--sign")
	w.fails(exitFailure, "accountd: key to import: open nowhere: no such file or directory\n", "keys", "import",
		"nowhere")
	equal(t, masked(w.ok("keys", "import", "secret", "--sign")),
		"The ring has a new access key, K1 (HS256). It signs from now on; a running server uses it within a second. "+
			"Retire the older ones in 5m, when the last token that they signed has expired.\n")
	w.stdin = djangoSecret
	equal(t, masked(w.ok("keys", "import", "-", "--algorithm=HS512")),
		"The ring has a new access key, K1 (HS512). It works once tokens.algorithm is HS512 and the server has been "+
			"restarted; "+
			"access tokens of HS256 end then.\n")
	w.stdin = "another " + djangoSecret
	equal(t, masked(w.ok("keys", "import", "-")),
		"The ring has a new access key, K1 (HS256). It verifies from now on; a running server uses it within a "+
			"second.\n")
	w.stdin = strings.Repeat("a", 1<<20)
	w.fails(exitFailure, "accountd: -: the file has more than 65536 bytes: that is no key\n", "keys", "import", "-")
	for _, args := range [][]string{{"keys", "list"}, {"keys", "list", "--json"}} {
		if out := w.ok(args...); strings.Contains(out, djangoSecret[:10]) ||
			strings.Contains(strings.ToLower(out), "secret") {
			t.Errorf("got the secret in %s, want none", out)
		}
	}
	for _, name := range []string{"keys.json", "keys.json.lock"} {
		if info, err := os.Stat(filepath.Join("data", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want 0o600", name, info, err)
		}
	}
	if _, err := os.Stat(w.path("data/accountd.db")); err == nil {
		t.Error("keys import: got a database, want none")
	}
}

// TestKeysLock: two commands never change the ring at once.
func TestKeysLock(t *testing.T) {
	w := newWorld(t)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	w.write("secret", djangoSecret)
	a := w.app()
	c, err := a.settings()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.lockKeys(c); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"rotate"}, {"import", w.path("secret")}, {"retire", "x"}} {
		w.fails(exitFailure, "accountd: another command is changing the keys in PATH/data/keys.json: run this one "+
			"again when that is done\n", append([]string{"keys"}, args...)...)
	}
	w.ok("keys", "list")
	if err := a.end(nil); err != nil {
		t.Fatal(err)
	}
	w.ok("keys", "rotate")
}

func TestTokensClear(t *testing.T) {
	w := newWorld(t)
	w.fails(exitFailure, "accountd: no accounts here: stat PATH/data/accountd.db: no such file or directory: name "+
		"the server's directory with --data-dir\n", "tokens", "clear")
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	equal(t, w.ok("tokens", "clear"), "Deleted 0 sessions and 0 refresh tokens.\n")
	var counts map[string]float64
	if err := json.Unmarshal([]byte(w.ok("tokens", "clear", "--expired", "--json")), &counts); err != nil ||
		len(counts) != 3 || counts["sessions"]+counts["refresh_tokens"] != 0 {
		t.Errorf("%v, %v, want 3, 0", counts, err)
	}
}
