//go:build unix

package durability_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestSecurityKeyFileVanishes: a server whose key file is missing or damaged keeps working with the keys in memory,
// and is not ready until the file is back.
func TestSecurityKeyFileVanishes(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	file := filepath.Join(server.DataDir, "keys.json")
	if got := ready(t, server); got != http.StatusOK {
		t.Fatalf("readyz at first: got %d, want 200\n%s", got, server.Log())
	}
	if err := os.Rename(file, file+"-kept"); err != nil {
		t.Fatal(err)
	}
	server.Await(t, func() bool { return ready(t, server) == http.StatusServiceUnavailable })
	if name := server.UsernameOf(t, session.Token); name != "ada" {
		t.Errorf("the access token: got %q, want ada", name)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server.Await(t, func() bool { return strings.Contains(server.Log(), "not a key ring") })
	if got := ready(t, server); got != http.StatusServiceUnavailable {
		t.Errorf("readyz with an empty file: got %d, want 503", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if out, code := servertest.Command(t, server.DataDir, "", "keys", "init"); code != 1 ||
		!strings.Contains(out, "has its keys in memory") {
		t.Errorf("keys init beside the server: got exit %d, want 1 and the reason\n%s", code, out)
	}
	if err := os.Rename(file+"-kept", file); err != nil {
		t.Fatal(err)
	}
	server.Await(t, func() bool { return ready(t, server) == http.StatusOK })
	if !strings.Contains(server.Log(), "keys.json: no such file") {
		t.Errorf("got the log\n%s\nwant a line about keys.json", server.Log())
	}
}

// contents returns the files below dir and the hashes of their contents.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "accountd.lock" { // which names who served last
			return err
		}
		raw, err := os.ReadFile(path)
		fmt.Fprintf(&list, "%s %x\n", path, sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// TestSecurityLostKeys: without the key file that live sessions and queued mails need, neither a server nor a
// command starts, and no file is created. Only `keys init` makes a new ring. Sessions then continue by their refresh
// tokens, and unreadable mails block nothing.
func TestSecurityLostKeys(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	environ := append([]string{oneIssuer}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, environ...)
	stop := func() {
		t.Helper()
		if err := server.Stop(); err != nil {
			t.Fatalf("stop: got %v, want no error\n%s", err, server.Log())
		}
	}
	if err := os.Remove(filepath.Join(dataDir, "spool", "tmp")); err != nil { // mails wait
		t.Fatal(err)
	}
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	link := servertest.LinkToken(t, dataDir, "activation", "ada")
	stop()
	if err := os.Remove(filepath.Join(dataDir, "keys.json")); err != nil {
		t.Fatal(err)
	}

	const stake = "live sessions (1) continue only with their refresh tokens, mails that wait in the outbox (1) " +
		"can never " +
		"be read, " +
		"and links in mails stop working"
	before := contents(t, dataDir)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("AnotherServicesSecretOf40CharactersAtLeast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "--listen=127.0.0.1:0"}, {"user", "list"}, {"keys", "import", secret}} {
		out, code := servertest.Command(t, dataDir, "", args...)
		want := "keys.json is not there; without it " + stake + ": copy it back"
		if code != 1 || !strings.Contains(out, want) || !strings.Contains(out, "accountd keys init") {
			t.Errorf("%q: got exit %d\n%s\nwant 1, %q and keys init", args, code, out, want)
		}
	}
	out, code := servertest.Command(t, dataDir, "", "doctor")
	if code != 1 || !strings.Contains(out, "keys.json is not there; without it "+stake) {
		t.Errorf("doctor: got exit %d\n%s\nwant 1 and %q", code, out, stake)
	}
	if after := contents(t, dataDir); after != before {
		t.Errorf("the data directory: got\n%s\nwant\n%s", after, before)
	}

	if out := servertest.Run(t, dataDir, "", "keys", "init"); !strings.Contains(out, stake) {
		t.Errorf("keys init: got %s, want %q", out, stake)
	}
	server = servertest.Start(t, dataDir, environ...)
	server.Await(t, func() bool { return ready(t, server) == http.StatusOK })
	if name := server.UsernameOf(t, session.Token); name != "" {
		t.Errorf("the access token from before: got %q, want an anonymous caller", name)
	}
	verified := runMutation(t, server, "verifyAccount", "token: $token", "", map[string]any{"token": link})
	invalidToken(t, "a link of before", verified)
	next, err := server.Refresh(session.RefreshToken)
	if err != nil || !next.Success || server.UsernameOf(t, next.Token) != "ada" {
		t.Errorf("refresh: got %+v, %v; want the session to go on", next, err)
	}
	if bob, err := server.Register(http.DefaultClient, "bob", "quiet-otter-42"); err != nil || !bob.Success {
		t.Errorf("got %+v, %v; want success", bob, err)
	}
	spool := filepath.Join(dataDir, "spool")
	ada, bob := len(servertest.MailsTo(t, spool, "ada@example.com")),
		len(servertest.MailsTo(t, spool, "bob@example.com"))
	if ada != 0 || bob != 1 {
		t.Errorf("got %d mails to ada, %d to bob; want 0, 1\n%s", ada, bob, server.Log())
	}
	const unreadable = "the key that sealed it is not in the key file"
	if got := ready(t, server); got != http.StatusOK || !strings.Contains(server.Log(), unreadable) {
		t.Errorf("readyz: got %d\n%s\nwant 200 and %q", got, server.Log(), unreadable)
	}
	stop()
	out, code = servertest.Command(t, dataDir, "", "keys", "init")
	if code != 1 || !strings.Contains(out, "keys.json is there: accountd keys rotate") {
		t.Errorf("keys init beside a ring: got exit %d, want 1 and the reason\n%s", code, out)
	}
}

// TestSecurityKeysAndDatabaseGone: if database and keys are missing but the WAL or its mark is there, no file is
// created.
func TestSecurityKeysAndDatabaseGone(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("AnotherServicesSecretOf40CharactersAtLeast\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-needs-wal"} {
		dataDir := t.TempDir()
		makePrivate(t, dataDir)
		if err := os.WriteFile(filepath.Join(dataDir, "accountd.db"+suffix), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"serve", "--listen=127.0.0.1:0"}, {"keys", "import", secret}} {
			out, code := servertest.Command(t, dataDir, "", args...)
			if code != 1 || !strings.Contains(out, "accountd.db: it is gone, but its "+suffix+
				" is there: put the file back") {
				t.Errorf("%s: %q: got exit %d, want 1 and the missing file\n%s", suffix, args, code, out)
			}
		}
		for _, name := range []string{"keys.json", "accountd.db"} {
			if _, err := os.Lstat(filepath.Join(dataDir, name)); !os.IsNotExist(err) {
				t.Errorf("%s: got %s after a refused start, want none: %v", suffix, name, err)
			}
		}
	}
}
