package tokens

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Keys is the key ring in use. It has keys for access tokens, for action tokens and for sealing. Of each kind the first
// key signs or seals, and all of them verify or open. It is safe for concurrent use.
type Keys struct {
	path, algorithm string

	current atomic.Pointer[ring]
	raw     []byte                // content of the file that current was made from; owned by Follow while it runs
	failure atomic.Pointer[error] // of the last attempt of Follow to read the file; nil before the first
}

// ring is a snapshot of a key file. It is immutable except for its cache.
type ring struct {
	signing  accessKey
	access   []accessKey // of the configured algorithm, signing included
	verified verifiedTokens
	action   [][]byte
	seal     []cipher.AEAD
	jwks     []byte // JSON Web Key Set (RFC 7517) of access; nil: the algorithm is symmetric
}

type accessKey struct {
	id     string
	alg    jwa.SignatureAlgorithm
	header string // of the tokens that it signs, in base64url
	signer jws.Signer
	sign   any // []byte or crypto.Signer; nil: the key only verifies. jws derives it from a jwk.Key for each token
	verify jwk.Key
}

// OpenKeys reads the key ring at path. If the file is missing it creates one for algorithm (HS256, HS384, HS512, EdDSA,
// ES256 or RS256) with the time of now. It fails if the file is a symbolic link, if other users can read it, or if no
// key signs for algorithm.
func OpenKeys(path, algorithm string, now func() time.Time) (*Keys, error) {
	raw, err := readRing(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createRing(path, algorithm, now()); err != nil {
			return nil, fmt.Errorf("create key file %s: %w", path, err)
		}
		raw, err = readRing(path)
	}
	if err != nil {
		return nil, err
	}
	keys := &Keys{path: path, algorithm: algorithm}
	if err := keys.use(raw); err != nil {
		return nil, err
	}
	return keys, nil
}

// use puts the ring in raw into force. On failure nothing changes.
func (k *Keys) use(raw []byte) error {
	file, err := parseRing(k.path, raw)
	if err != nil {
		return err
	}
	r, err := file.keys(k.algorithm)
	if err != nil {
		return fmt.Errorf("key file %s: %w", k.path, err)
	}
	k.raw = raw
	k.current.Store(r)
	return nil
}

func (k *Keys) ring() *ring { return k.current.Load() }

// followInterval bounds the age of the ring in use. Reading the file takes microseconds.
const followInterval = time.Second

// Follow reloads the key file whenever a command has changed it, until ctx ends. If the file cannot be used, the ring
// stays in force and the failure is logged once.
func (k *Keys) Follow(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.reload(log)
		}
	}
}

func (k *Keys) reload(log *slog.Logger) {
	raw, err := readRing(k.path)
	changed := err == nil && !bytes.Equal(raw, k.raw)
	if changed {
		err = k.use(raw)
	}
	before := k.Healthy()
	k.failure.Store(&err)
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		log.Error("key file cannot be used; the keys that were read before stay in force", "error", err)
	case err == nil && (changed || before != nil):
		log.Info("key file was read again", "signing", k.ring().signing.id)
	}
}

// Healthy returns the failure of the last reload, nil if there was none. After a failure the ring in memory is in
// force, but the next start would fail.
func (k *Keys) Healthy() error {
	if failure := k.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// checksModes reports whether files have Unix permissions on this system.
const checksModes = runtime.GOOS != "windows"

// readRing reads a key file. It refuses links, and files that other users can read.
func readRing(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a regular file: put the file itself there, not a link", path)
	}
	if mode := info.Mode().Perm(); checksModes && mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o: others can read it; run chmod 600 %s, "+
			"and replace the keys if somebody did", path, mode, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return raw, nil
}

// Seal encrypts plain with AES-256-GCM. It authenticates label too, which Open needs again.
func (k *Keys) Seal(plain, label []byte) []byte {
	return k.ring().seal[0].Seal(nil, nil, plain, label)
}

// Open reverses Seal with any seal key of the ring. It fails with ErrInvalid.
func (k *Keys) Open(sealed, label []byte) ([]byte, error) {
	for _, aead := range k.ring().seal {
		if plain, err := aead.Open(nil, nil, sealed, label); err == nil {
			return plain, nil
		}
	}
	return nil, ErrInvalid
}

// ServeJWKS responds with the public keys for access tokens. Any origin may read them, and caches keep them for five
// minutes.
func (k *Keys) ServeJWKS(w http.ResponseWriter, _ *http.Request) {
	set := k.ring().jwks
	if set == nil {
		http.Error(w, "Access tokens are signed with "+k.algorithm+", which has no public key. "+
			"Set tokens.algorithm to EdDSA, ES256 or RS256 to publish one.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(set) // fails only when the client is gone
}
