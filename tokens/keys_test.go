package tokens

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/store"
)

func start() time.Time { return time.Unix(1_800_000_000, 0) }

func openKeys(t *testing.T, path, algorithm string) *Keys {
	t.Helper()
	keys, err := OpenKeys(path, algorithm, start)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "keys.json")
	first := openKeys(t, path, "HS256")
	info, err := os.Stat(path)
	if err != nil || checksModes && info.Mode().Perm() != 0o600 {
		t.Errorf("got mode %v, %v; want 0600", info.Mode(), err)
	}
	again := openKeys(t, path, "HS256")
	sealed := first.Seal([]byte("secret"), []byte("a"))
	if plain, err := again.Open(sealed, []byte("a")); err != nil || string(plain) != "secret" {
		t.Errorf("Open: got %q, %v; want secret", plain, err)
	}
	if _, err := again.Open(sealed, []byte("b")); !errors.Is(err, ErrInvalid) {
		t.Errorf("with another label: got %v, want ErrInvalid", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the key file's directory: got %v, %v; want only the key file", entries, err)
	}
}

// breakages are unusable key files and what the error says.
var breakages = []struct {
	name, want string
	breakIt    func(t *testing.T, path string)
}{
	{"readable by others", "run chmod 600", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o640)) }},
	{"a link", "not a link", func(t *testing.T, path string) {
		must(t, os.Rename(path, path+".real"))
		must(t, os.Symlink(path+".real", path))
	}},
	{"a directory", "not a regular file", func(t *testing.T, path string) {
		must(t, os.Remove(path))
		must(t, os.Mkdir(path, 0o700))
	}},
	{"garbage", "copy it back from where it is kept", writing("{")},
	{"empty", "copy it back from where it is kept", writing("")},
	{"newer", "version 2 is not known", writing(`{"version": 2}`)},
	{"no keys", "accountd keys rotate", writing(`{"version": 1}`)},
	{"short secret", "access key a: a secret shorter than 32 bytes",
		writing(`{"version":1,"access":[{"id":"a","algorithm":"HS256","secret":"AAAA"}]}`)},
	{"garbage for a key", "access key a: ",
		writing(`{"version":1,"access":[{"id":"a","algorithm":"EdDSA","secret":"AAAA"}]}`)},
	{"no id", "access key : another key has this id", editing(`"id": "`, `"di": "`)},
	{"an algorithm of another key", "access key ", editing(`"HS256"`, `"ES256"`)},
	{"no action key", "it lacks action or seal keys", editing(`"action"`, `"auction"`)},
	{"short action key", "is shorter than 32 bytes",
		editing(`"action": [`, `"action": [{"id": "x", "secret": "AAAA"},`)},
	{"short seal key", "it has 3 bytes, not 32", editing(`"seal": [`, `"seal": [{"id": "x", "secret": "AAAA"},`)},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writing(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte(text), 0o600)) }
}

func editing(old, text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		raw, err := os.ReadFile(path)
		must(t, err)
		if !strings.Contains(string(raw), old) {
			t.Fatalf("got %[2]s, want %[1]s in it", old, raw)
		}
		must(t, os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), old, text)), 0o600))
	}
}

func TestBrokenKeyFile(t *testing.T) {
	t.Parallel()
	for _, test := range breakages {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			openKeys(t, path, "HS256")
			test.breakIt(t, path)
			_, err := OpenKeys(path, "HS256", start)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that names the file and says %q", err, test.want)
			}
		})
	}
	t.Run("another algorithm", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keys.json")
		openKeys(t, path, "HS256")
		if _, err := OpenKeys(path, "EdDSA", start); err == nil ||
			!strings.Contains(err.Error(), "tokens.algorithm EdDSA: run accountd keys rotate") {
			t.Errorf("got the error %v, want one that names accountd keys rotate", err)
		}
	})
}

// TestBrokenWhileServing: whatever happens to the file, the keys in use stay in force, and one line is logged.
func TestBrokenWhileServing(t *testing.T) {
	t.Parallel()
	for _, test := range append(breakages, struct {
		name, want string
		breakIt    func(*testing.T, string)
	}{"gone", "no such file", func(t *testing.T, path string) { must(t, os.Remove(path)) }}) {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, testSettings)
			pair := f.start(t)
			var logged bytes.Buffer
			log := slog.New(slog.NewTextHandler(&logged, nil))
			good, err := os.ReadFile(f.keys.path)
			must(t, err)
			f.keys.reload(log)
			test.breakIt(t, f.keys.path)
			f.keys.reload(log)
			f.keys.reload(log)
			if _, err := f.Verify(pair.Access); err != nil {
				t.Errorf("a token from before: got %v, want no error", err)
			}
			if _, err := f.Verify(f.start(t).Access); err != nil {
				t.Errorf("a new token: got %v, want no error", err)
			}
			if err := f.keys.Healthy(); err == nil || !strings.Contains(err.Error(), f.keys.path) {
				t.Errorf("Healthy: got %v, want an error that names the file", err)
			}
			if got := logged.String(); strings.Count(got, "level=ERROR") != 1 || strings.Count(got, "\n") != 1 ||
				!strings.Contains(got, f.keys.path) {
				t.Errorf("got the log %q, want one ERROR that names the file", got)
			}
			must(t, os.RemoveAll(f.keys.path))
			must(t, os.WriteFile(f.keys.path, good, 0o600))
			f.keys.reload(log)
			f.keys.reload(log)
			if err := f.keys.Healthy(); err != nil {
				t.Errorf("after the repair: got %v, want healthy", err)
			}
			if got := logged.String(); strings.Count(got, "key file was read again") != 1 ||
				strings.Count(got, "\n") != 2 {
				t.Errorf("after the repair: got the log %q, want one more line, about the key file", got)
			}
		})
	}
}

// TestRotateWhileServing: the ring changes under load, and every request succeeds.
func TestRotateWhileServing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	file := KeyFile{Path: f.keys.path, Algorithm: "HS256", Now: f.now}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	old := f.start(t)
	link := mustAction(t, f, Action{Purpose: Activation, User: 1})
	sealed := f.keys.Seal([]byte("mail"), nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				pair, err := f.sign(ada, old.Session, f.now(), f.now().Unix(), nil)
				if err == nil {
					_, err = f.Verify(pair.Access)
				}
				if err == nil {
					_, err = f.Verify(old.Access)
				}
				if err == nil {
					_, err = f.VerifyAction(link, Activation)
				}
				if err == nil {
					_, err = f.keys.Open(sealed, nil)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 8 {
		for _, kind := range []KeyKind{AccessKeys, ActionKeys, SealKeys} {
			if key, err := file.Rotate(kind, "HS256"); err != nil || !key.Signs {
				t.Errorf("%s: got %+v, %v; want a key that signs", kind, key, err)
			}
			f.keys.reload(log)
		}
	}
	close(stop)
	wg.Wait()
	if !strings.Contains(decodeHeader(t, f.start(t).Access), f.keys.ring().signing.id) ||
		len(f.keys.ring().access) != 9 {
		t.Errorf("got another signing key or %d keys, want the newest key and 9", len(f.keys.ring().access))
	}
}

func decodeHeader(t *testing.T, token string) string {
	t.Helper()
	header, _, _ := strings.Cut(token, ".")
	raw, err := decodeSegment(header)
	must(t, err)
	return string(raw)
}

// TestKeyID: a token is verified with the key that its kid names, or with all keys if the ring lacks that key.
func TestKeyID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	_, err := KeyFile{Path: f.keys.path, Algorithm: "HS256", Now: f.now}.Rotate(AccessKeys, "HS256")
	must(t, err)
	f.keys.reload(slog.New(slog.DiscardHandler))
	keys := f.keys.ring().access
	now := f.now().Unix()
	claims := map[string]any{"username": "ada", "exp": now + 300, "iat": now, "origIat": now, "sub": "1", "sid": "1",
		"iss": testSettings.Issuer}
	for _, test := range []struct {
		name, kid string
		signer    int
		good      bool
	}{
		{"the newer", keys[0].id, 0, true}, {"the older", keys[1].id, 1, true},
		{"the newer's name, the older's work", keys[0].id, 1, false},
		{"the older's name, the newer's work", keys[1].id, 0, false}, {"no name", "", 1, true},
		{"another name", "../../etc/passwd", 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := hmacToken(t, keys[test.signer].sign.([]byte), `{"alg":"HS256","kid":"`+test.kid+`","typ":"JWT"}`,
				claims)
			if _, err := f.Verify(token); (err == nil) != test.good {
				t.Errorf("Verify: got %v, want success %t", err, test.good)
			}
		})
	}
}

// TestFollow: Follow loads a changed file and returns when its context ends.
func TestFollow(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.keys.Follow(ctx, slog.New(slog.DiscardHandler))
	}()
	key, err := KeyFile{Path: f.keys.path, Algorithm: "HS256", Now: f.now}.Rotate(AccessKeys, "HS256")
	must(t, err)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for f.keys.ring().signing.id != key.ID {
		select {
		case <-poll.C:
		case <-t.Context().Done():
			t.Fatal("got no reload of the key file, want one")
		}
	}
	cancel()
	<-done
}

// TestAlgorithmChange: of a ring with keys of several algorithms, only those of the configured one are used.
func TestAlgorithmChange(t *testing.T) {
	t.Parallel()
	s := testSettings
	f := newFixture(t, s)
	pair := f.start(t)
	s.Algorithm = "EdDSA"
	file := KeyFile{Path: f.keys.path, Algorithm: "HS256", Now: f.now}
	key, err := file.Rotate(AccessKeys, "EdDSA")
	if err != nil || key.Signs || key.Verifies {
		t.Fatalf("got %+v, %v; want a key that neither signs nor verifies", key, err)
	}
	f.keys.reload(slog.New(slog.DiscardHandler))
	if _, err := f.Verify(f.start(t).Access); err != nil {
		t.Errorf("before the setting changes: got %v, want no error", err)
	}
	after, err := New(openKeys(t, f.keys.path, "EdDSA"), s, f.now)
	must(t, err)
	if _, err := after.Verify(pair.Access); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token of the old algorithm: got %v, want ErrInvalid", err)
	}
	err = f.db.Write(t.Context(), func(tx *store.Tx) error {
		next, err := after.Start(t.Context(), tx, ada)
		if err != nil {
			return err
		}
		_, err = after.Verify(next.Access)
		return err
	})
	must(t, err)
}
