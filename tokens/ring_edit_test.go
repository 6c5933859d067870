package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newKeyFile(t *testing.T, algorithm string) KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys.json")
	openKeys(t, path, algorithm)
	return KeyFile{Path: path, Algorithm: algorithm, Now: start}
}

func (f KeyFile) list(t *testing.T) []Key {
	t.Helper()
	keys, err := f.List()
	must(t, err)
	return keys
}

func TestRotateAndRetire(t *testing.T) {
	t.Parallel()
	for _, kind := range []KeyKind{AccessKeys, ActionKeys, SealKeys} {
		t.Run(string(kind), func(t *testing.T) {
			f := newKeyFile(t, "HS256")
			of := func() (list []Key) {
				for _, k := range f.list(t) {
					if k.Kind == kind {
						list = append(list, k)
					}
				}
				return list
			}
			before := of()
			if len(before) != 1 || !before[0].Signs || !before[0].Verifies || !before[0].Created.Equal(start()) {
				t.Fatalf("got %+v, want one key that signs and verifies, from the start", before)
			}
			old := before[0]
			if _, err := f.Retire(old.ID); err == nil || !strings.Contains(err.Error(),
				"run accountd keys rotate --kind "+string(kind)) {
				t.Errorf("the only key: got %v, want an error that names accountd keys rotate", err)
			}
			fresh, err := f.Rotate(kind, "HS256")
			must(t, err)
			old.Signs = false
			if diff := cmp.Diff([]Key{fresh, old}, of()); diff != "" || !fresh.Signs || fresh.ID == old.ID {
				t.Errorf("-want +got\n%s", diff)
			}
			if kind == SealKeys {
				if _, err := f.Retire(old.ID); err == nil ||
					!strings.Contains(err.Error(), "was in use until 0 s ago") {
					t.Errorf("at once: got %v, want \"was in use until 0 s ago\"", err)
				}
				f.Now = func() time.Time { return start().Add(time.Minute) }
			}
			retired, err := f.Retire(old.ID)
			if diff := cmp.Diff(old, retired); err != nil || diff != "" {
				t.Errorf("got %v, want the retired key (-want +got):\n%s", err, diff)
			}
			if diff := cmp.Diff([]Key{fresh}, of()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if _, err := f.Retire(old.ID); err == nil || !strings.Contains(err.Error(), "accountd keys list") {
				t.Errorf("twice: got %v, want an error that names accountd keys list", err)
			}
			if len(f.list(t)) != 3 {
				t.Errorf("got the keys %+v, want 3", f.list(t))
			}
			openKeys(t, f.Path, "HS256")
			if info, err := os.Stat(f.Path); err != nil || checksModes && info.Mode().Perm() != 0o600 {
				t.Errorf("got %v, %v; want mode 0600", info, err)
			}
			if entries, err := os.ReadDir(filepath.Dir(f.Path)); err != nil || len(entries) != 1 {
				t.Errorf("the key file's directory: got %v, %v; want only the key file", entries, err)
			}
		})
	}
}

func TestRetiredKeyVerifiesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	file := KeyFile{Path: f.keys.path, Algorithm: "HS256", Now: f.now}
	old, pair := f.keys.ring().signing.id, f.start(t)
	_, err := file.Rotate(AccessKeys, "HS256")
	must(t, err)
	f.keys.reload(slog.New(slog.DiscardHandler))
	if _, err := f.Verify(pair.Access); err != nil {
		t.Fatal(err)
	}
	_, err = file.Retire(old)
	must(t, err)
	f.keys.reload(slog.New(slog.DiscardHandler))
	if _, err := f.Verify(pair.Access); err == nil {
		t.Error("a token of a retired key: got no error, want one")
	}
	if _, err := f.refresh(pair.Refresh); err != nil {
		t.Errorf("the refresh token: got %v, want no error", err)
	}
}

// TestRefusedEdits: a refused edit changes no byte of the file.
func TestRefusedEdits(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, "HS256")
	before, err := os.ReadFile(f.Path)
	must(t, err)
	for name, edit := range map[string]func() (Key, error){
		"unknown algorithm": func() (Key, error) { return f.Rotate(AccessKeys, "HS1") },
		"unknown id":        func() (Key, error) { return f.Retire("x") },
		"no id":             func() (Key, error) { return f.Retire("") },
		"bad import":        func() (Key, error) { return f.Import(nil, "HS256", true) },
		"no file": func() (Key,
			error) {
			return KeyFile{Path: f.Path + "x", Now: start}.Rotate(ActionKeys, "")
		},
	} {
		if key, err := edit(); err == nil {
			t.Errorf("%s: got %+v, want an error", name, key)
		}
	}
	if after, err := os.ReadFile(f.Path); err != nil || string(after) != string(before) {
		t.Errorf("got a changed file, %v; want the same", err)
	}
	for range maxKeys - 1 {
		_, err := f.Rotate(ActionKeys, "")
		must(t, err)
	}
	if _, err := f.Rotate(ActionKeys, ""); err == nil || !strings.Contains(err.Error(), "has 32 keys of this kind") {
		t.Errorf("one too many: got %v, want \"has 32 keys of this kind\"", err)
	}
}

// TestLeftover: the temporary file of a killed command does not hinder the next one.
func TestLeftover(t *testing.T) {
	t.Parallel()
	f := newKeyFile(t, "HS256")
	must(t, os.WriteFile(f.Path+".new", []byte("{"), 0o600))
	if _, err := f.Rotate(AccessKeys, "HS256"); err != nil {
		t.Error(err)
	}
	must(t, os.MkdirAll(filepath.Join(f.Path+".new", "x"), 0o700))
	if _, err := f.Rotate(AccessKeys, "HS256"); err == nil || !strings.Contains(err.Error(), f.Path) {
		t.Errorf("got the error %v, want one that names the file", err)
	}
}

func pemOf(t *testing.T, typ string, der []byte, err error) []byte {
	t.Helper()
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
}

func TestImport(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	ec384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	pkix := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		return pemOf(t, "PUBLIC KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	sec1PEM := pemOf(t, "EC PRIVATE KEY", sec1, err)
	parameters := pemOf(t, "EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}, nil)
	const django = "k3y!with-50-characters-as-startproject-makes-it-$#@"

	for _, test := range []struct {
		name, algorithm string
		raw             []byte
		sign            bool
		want            string // algorithm, or what the error says
	}{
		{"Django's SECRET_KEY", "HS256", []byte(django + "\n"), true, "HS256"},
		{"a secret beside the own", "HS512", []byte(django + "\r\n"), false, "HS512"},
		{"a secret for the configured algorithm", "", []byte(django), true, "HS384"},
		{"PKCS #8 Ed25519", "", pkcs8(ed), true, "EdDSA"},
		{"PKCS #8 EC", "ES256", pkcs8(ec), true, "ES256"},
		{"SEC 1", "", sec1PEM, true, "ES256"},
		{"SEC 1 after its parameters", "", append(parameters, sec1PEM...), true, "ES256"},
		{"PKCS #8 RSA", "RS256", pkcs8(rs), true, "RS256"},
		{"PKCS #1", "", pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rs), nil), true, "RS256"},
		{"public Ed25519", "", pkix(ed.Public()), false, "EdDSA"},
		{"public PKCS #1", "", pemOf(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rs.PublicKey), nil), false,
			"RS256"},

		{"31 bytes", "HS256", []byte(django[:31]), true, "the secret has 31 bytes: with less than 32"},
		{"nothing", "HS256", []byte("\n"), true, "the secret has 0 bytes"},
		{"one letter", "HS256", []byte(strings.Repeat("a", 40)), true, "too little variety"},
		{"two letters", "HS512", []byte(strings.Repeat("ab", 40)), false, "accountd keys rotate"},
		{"eight digits", "HS256", []byte(strings.Repeat("12345678", 20)), true, "too little variety"},
		{"a password again and again", "HS256", []byte(strings.Repeat("quiet-otter-42!", 3)), true,
			"too little variety"},
		{"a password with a number", "HS256", []byte("password1password2password3password4"), true,
			"too little variety"},
		{"letters in their order", "HS256", []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
			true, "too little variety"},
		{"random binary digits", "HS256", []byte(fmt.Sprintf("%b", rs.N)[:256]), true, "too little variety"},
		{"zeros", "HS256", make([]byte, 64), true, "too little variety"},
		{"Django's of today", "", []byte("django-insecure-z1v8_q@f0&2x$)e9t!7(kc5w^h3ub=m4+6j%pgl"), true, "HS384"},
		{"openssl rand -hex 32", "", []byte("3f9c1e07b85a4d62c0f1973be4a86d5210cf7b93ae648d21f05c7be938a1d46f"), true,
			"HS384"},
		{"openssl rand -hex 16", "", []byte("9b1c04e7d25f8a63b0c7d91e4f6a2835"), true, "HS384"},
		{"openssl rand -base64 32", "", []byte("q0Z7mJ4vT1xK9sYb2LwR8eHnU5cPdG3fAiVoXtCjM6E="), true, "HS384"},
		{"two lines", "HS256", []byte(django + "\n" + django), true, "several lines"},
		{"a secret for a key pair", "EdDSA", []byte(django), true, "say --algorithm HS256"},
		{"a book", "HS256", []byte(strings.Repeat("a", MaxKeyFile+1)), true, "more than 65536 bytes"},
		{"another algorithm", "ES256", pkcs8(ed), true, "the key is for EdDSA, not ES256"},
		{"a pair as a secret", "HS256", pkix(rs.Public()), true, "the key is for RS256, not HS256"},
		{"another curve", "", pkcs8(ec384), true, "its curve is P-384"},
		{"a public key to sign", "", pkix(ed.Public()), true, "a public key cannot sign"},
		{"two keys", "", append(pkcs8(ed), pkcs8(ec)...), true, "several PEM blocks"},
		{"encrypted", "", pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil), true, "encrypted with a passphrase"},
		{"encrypted as of old", "",
			[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC," +
				"00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), true, "encrypted with a passphrase"},
		{"a certificate", "", pemOf(t, "CERTIFICATE", []byte("x"), nil), true, "openssl x509 -pubkey"},
		{"something else", "", pemOf(t, "DSA PRIVATE KEY", []byte("x"), nil), true, `"DSA PRIVATE KEY" is no key`},
		{"garbage in PEM", "", pemOf(t, "PRIVATE KEY", []byte("x"), nil), true, "the key cannot be read"},
		{"cut off", "", pkcs8(ed)[:60], true, "the file's PEM cannot be read"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newKeyFile(t, "HS384")
			key, err := f.Import(test.raw, test.algorithm, test.sign)
			if strings.Contains(test.want, " ") {
				if err == nil || !strings.Contains(err.Error(), test.want) ||
					strings.Contains(err.Error(), django[:31]) {
					t.Errorf("%+v, %v; want an error with %q", key, err, test.want)
				}
				return
			}
			if err != nil || key.Algorithm != test.want || key.Kind != AccessKeys || !key.Created.Equal(start()) {
				t.Fatalf("got %+v, %v; want an access key for %s from the start", key, err, test.want)
			}
			f.Algorithm = test.want
			keys := f.list(t)
			if at := map[bool]int{true: 0, false: 1}[test.sign]; keys[at].ID != key.ID ||
				keys[at].Signs != (test.sign || symmetric(test.want)) || !keys[at].Verifies {
				t.Errorf("got %+v, want the key %s, signing %t", keys, key.ID, test.sign || symmetric(test.want))
			}
			if _, err := f.Import(test.raw, test.algorithm, test.sign); err == nil ||
				!strings.Contains(err.Error(), "already: "+key.ID) {
				t.Errorf("once more: got %v, want \"already: %s\"", err, key.ID)
			}
			if !test.sign && !symmetric(test.want) {
				return // verifies only: no ring to sign with
			}
			s := testSettings
			s.Algorithm = test.want
			issuer, err := New(openKeys(t, f.Path, test.want), s, start)
			must(t, err)
			pair, err := issuer.sign(ada, 1, start(), start().Unix(), nil)
			must(t, err)
			if _, err := issuer.Verify(pair.Access); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVerifyOnlyKey: tokens signed by the holder of the private key are accepted, and none are signed with the
// public key.
func TestVerifyOnlyKey(t *testing.T) {
	t.Parallel()
	theirs, ours := newKeyFile(t, "EdDSA"), newKeyFile(t, "EdDSA")
	s := testSettings
	s.Algorithm = "EdDSA"
	them, err := New(openKeys(t, theirs.Path, "EdDSA"), s, start)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(them.keys.ring().signing.sign.(crypto.Signer).Public())
	_, err = ours.Import(pemOf(t, "PUBLIC KEY", der, err), "", false)
	must(t, err)
	us, err := New(openKeys(t, ours.Path, "EdDSA"), s, start)
	must(t, err)
	pair, err := them.sign(ada, 1, start(), start().Unix(), nil)
	must(t, err)
	if _, err := us.Verify(pair.Access); err != nil {
		t.Errorf("a token of theirs: got %v, want no error", err)
	}
	pair, err = us.sign(ada, 1, start(), start().Unix(), nil)
	must(t, err)
	if _, err := them.Verify(pair.Access); err == nil {
		t.Error("a token signed with a private key that they lack: got no error, want one")
	}
}
