package email

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

type fixture struct {
	*Outbox
	db  *store.DB
	dir string
}

var ada = User{ID: 1, Username: "ada", Email: "ada@example.com"}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	at := time.Unix(1_800_000_000, 0).UTC()
	return openFixture(t, t.TempDir(), 3, func() time.Time { return at })
}

// openFixture opens the files in dir, as another process does.
func openFixture(t *testing.T, dir string, maxOutbox int, now func() time.Time) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(dir, "test.db"), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", db.Now)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{db: db, dir: filepath.Join(dir, "spool")}
	f.Outbox, err = New(db, keys, Settings{
		From: "Acme <accounts@example.org>", SiteName: "Acme", LinkBase: "https://acme.example/",
		ActivationPath:     "activate",
		SecondaryEmailPath: "activate", PasswordResetPath: "password-reset", PasswordSetPath: "password-set",
		SpoolDir: f.dir, MaxOutbox: maxOutbox,
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) send(t *testing.T, m Mail, fail error) error {
	t.Helper()
	return f.db.Write(t.Context(), func(tx *store.Tx) error {
		if err := f.Accepting(t.Context(), tx); err != nil {
			return err
		}
		if err := f.Send(t.Context(), tx, m); err != nil {
			return err
		}
		return fail
	})
}

// spooled reads the files in new.
func (f *fixture) spooled(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, "new", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var mails []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", file, info, err)
		}
		mails = append(mails, string(raw))
	}
	return mails
}

func (f *fixture) rows(t *testing.T) (n int) {
	t.Helper()
	err := f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		n, err = Count(t.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPublishedBeforeWriteReturns(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "to-ken_1"}, nil); err != nil {
		t.Fatal(err)
	}
	if mails := f.spooled(t); len(mails) != 1 || !strings.Contains(mails[0],
		"\r\nhttps://acme.example/activate/to-ken_1\r\n") {
		t.Errorf("got the spool %q, want one mail with the link", mails)
	}
	failure := errors.New("failure")
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, failure); !errors.Is(err,
		failure) {
		t.Fatal(err)
	}
	if len(f.spooled(t)) != 1 || f.rows(t) != 1 {
		t.Errorf("after a rollback: got %d mails, %d rows; want 1, 1", len(f.spooled(t)), f.rows(t))
	}
}

func TestRowsWaitForTheProcessThatServes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 3 {
		if err := f.send(t, Mail{Kind: PasswordReset, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.send(t, Mail{Kind: PasswordReset, To: "ada@example.com", User: ada, Token: "t"}, nil); !errors.Is(err,
		ErrFull) {
		t.Errorf("beyond the bound: %v, want ErrFull", err)
	}
	err := f.db.Write(t.Context(), func(tx *store.Tx) error {
		return f.Send(t.Context(), tx, Mail{Kind: NoticePasswordChanged, To: "ada@example.com", User: ada})
	})
	if err != nil {
		t.Errorf("a notice, which does not check the spool: got %v, want no error", err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "tmp", "half"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if len(f.spooled(t)) != 0 {
		t.Error("a process that does not serve: got a published mail, want none")
	}
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(f.dir, "tmp")); err != nil || len(left) != 0 {
		t.Errorf("got %v, %v left in tmp, want nothing", left, err)
	}
	if len(f.spooled(t)) != 4 || f.rows(t) != 0 {
		t.Errorf("after the start: got %d mails, %d rows; want 4, 0", len(f.spooled(t)), f.rows(t))
	}
}

// TestSpoolOfAnyName: the path of the spool is no pattern.
func TestSpoolOfAnyName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a[b")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f := openFixture(t, dir, 3, time.Now)
	half := filepath.Join(f.dir, "tmp", "half")
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil || f.Healthy() != nil {
		t.Errorf("got the errors %v, %v at the start, want none", err, f.Healthy())
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v of a partial file, want %v", err, os.ErrNotExist)
	}
}

// TestStartWithoutSpool: a process without a usable spool accepts messages and publishes them once the spool is
// usable. Partial files are removed then.
func TestStartWithoutSpool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	retry := filepath.Join(f.dir, "retry")
	half := filepath.Join(f.dir, "tmp", "half")
	for _, err := range []error{os.Remove(retry), os.WriteFile(retry, nil, 0o600), os.WriteFile(half, nil, 0o600),
		f.Start(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
		t.Fatal(err)
	}
	f.catchUp(t.Context())
	if f.Healthy() == nil || len(f.spooled(t)) != 0 || f.rows(t) != 1 {
		t.Errorf("got healthy %v, %d mails, %d rows; want an error, 0, 1", f.Healthy(), len(f.spooled(t)), f.rows(t))
	}
	if err := os.Remove(retry); err != nil {
		t.Fatal(err)
	}
	f.catchUp(t.Context()) // as Run does
	left, err := os.ReadDir(filepath.Join(f.dir, "tmp"))
	if err != nil || f.Healthy() != nil || len(f.spooled(t)) != 1 || f.rows(t) != 0 || len(left) != 0 {
		t.Errorf("got healthy %v, %d mails, %d rows, %v in tmp, %v; want no error, 1, 0, none", f.Healthy(),
			len(f.spooled(t)), f.rows(t), left, err)
	}
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil ||
		len(f.spooled(t)) != 2 {
		t.Errorf("from then on: got %v, %d mails; want 2", err, len(f.spooled(t)))
	}
}

// TestSettle: a row stays until its message is durable in the spool, at most until Run returns.
func TestSettle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	const sent = 5 // more than may wait: these do not wait any more
	for range sent {
		if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	published := filepath.Join(f.dir, "new")
	if err := os.Rename(published, published+"-gone"); err != nil {
		t.Fatal(err)
	}
	if err := f.settle(t.Context()); err == nil || f.rows(t) != sent {
		t.Errorf("not durable: got %v, %d rows; want an error, %d", err, f.rows(t), sent)
	}
	if err := os.Rename(published+"-gone", published); err != nil {
		t.Fatal(err)
	}
	f.catchUp(t.Context()) // sees the rows, and that they are on their way
	if len(f.spooled(t)) != sent || f.rows(t) != 0 || f.Healthy() != nil || len(f.claimed) != 0 {
		t.Errorf("settled: got %d mails, %d rows, %v, claimed %v; want %d, 0, no error, none", len(f.spooled(t)),
			f.rows(t), f.Healthy(), f.claimed, sent)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		f.Run(ctx)
		close(done)
	}()
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	if len(f.spooled(t)) != sent+1 || f.rows(t) != 0 {
		t.Errorf("after Run: got %d mails, %d rows; want %d, 0", len(f.spooled(t)), f.rows(t), sent+1)
	}
}

// TestUnwritableSpool: the change is committed, the message stays in the outbox, Healthy fails, and the message is
// published later.
func TestUnwritableSpool(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tmp := filepath.Join(f.dir, "tmp")
	if err := os.Remove(tmp); err != nil { // root may write anywhere, but not where nothing is
		t.Fatal(err)
	}
	if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
		t.Fatalf("a change while the spool fails: got %v, want no error", err)
	}
	if f.Healthy() == nil || f.rows(t) != 1 {
		t.Errorf("got healthy %v, %d rows; want an error, 1", f.Healthy(), f.rows(t))
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context()); err != nil { // looks as Run does
		t.Fatal(err)
	}
	if f.Healthy() != nil || f.rows(t) != 0 || len(f.spooled(t)) != 1 {
		t.Errorf("got healthy %v, %d rows, %d mails; want no error, 0, 1", f.Healthy(), f.rows(t), len(f.spooled(t)))
	}
}

// TestUnreadableRow: a message whose key is missing stays in the outbox and delays no other.
func TestUnreadableRow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.send(t, Mail{Activation, "ada@example.com", ada, "before"}, nil); err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(filepath.Dir(f.dir), "keys.json")
	restart := func(want ...string) {
		t.Helper()
		keys, err := tokens.OpenKeys(keyFile, "HS256", f.db.Now)
		if err != nil {
			t.Fatal(err)
		}
		if f.Outbox, err = New(f.db, keys, f.settings, f.log); err != nil {
			t.Fatal(err)
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.catchUp(t.Context())
		if err := f.Healthy(); err != nil {
			t.Errorf("Healthy: got %v, want no error", err)
		}
		mails := strings.Join(f.spooled(t), "")
		if n := strings.Count(mails, "Message-ID"); n != len(want) {
			t.Errorf("%d mails, want %d", n, len(want))
		}
		for _, token := range want {
			if !strings.Contains(mails, "/activate/"+token) {
				t.Errorf("got no mail with %s, want one", token)
			}
		}
	}
	if err := os.Rename(keyFile, keyFile+".old"); err != nil {
		t.Fatal(err)
	}
	restart()
	for _, token := range []string{"a", "b", "c"} { // as many as may wait, beside the one that waits for nothing
		f.publishing.Store(token == "a") // the others as a command would leave them
		if err := f.send(t, Mail{Activation, "ada@example.com", ada, token}, nil); err != nil {
			t.Fatalf("%s: got %v, want no error", token, err)
		}
	}
	restart("a", "b", "c")
	if err := os.Rename(keyFile+".old", keyFile); err != nil {
		t.Fatal(err)
	}
	restart("a", "b", "c", "before")
	if n := f.rows(t); n != 0 {
		t.Errorf("got %d rows left, want none", n)
	}
}

// TestNoDuplicate: after a crash between publishing and the deletion of the row, the next start only deletes the
// row.
func TestNoDuplicate(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"new/%s", "cur/%s:2,S", "failed/%s"} {
		f := newFixture(t)
		if err := f.send(t, Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "t"}, nil); err != nil {
			t.Fatal(err)
		}
		var name string
		err := f.db.Read(t.Context(), func(tx *store.Tx) error {
			return tx.QueryRowContext(t.Context(), `SELECT name FROM outbox`).Scan(&name)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(f.dir, strings.Replace(place, "%s", name, 1)), []byte("published"),
			0o600); err != nil {
			t.Fatal(err)
		}
		if err := f.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.spooled(t) {
			if m != "published" {
				t.Errorf("%s: got a second mail %q, want only the published one", place, m)
			}
		}
		if f.rows(t) != 0 {
			t.Errorf("%s: got %d rows left, want none", place, f.rows(t))
		}
	}
}

func TestSealedAtRest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.send(t, Mail{Kind: PasswordReset, To: "ada@example.com", User: ada, Token: "canary-token"},
		nil); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(f.dir), "test.db"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("canary-token")) || bytes.Contains(raw, []byte("Reset your password")) {
			t.Errorf("test.db%s: got the message in clear text, want it sealed", suffix)
		}
	}
}
