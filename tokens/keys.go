package tokens

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Keys is the key ring in use: for access tokens, for action tokens and for sealing, each a list of which the
// first signs or seals and all verify or open. It is safe for concurrent use.
type Keys struct {
	path, algorithm string

	current atomic.Pointer[ring]
	raw     []byte // of the file that current was made of; Follow's alone once it runs

	mu      sync.Mutex
	failure error // guarded by mu; why the file could not be used when Follow looked last, nil: it could
}

// ring is what a key file says, as of one moment. It never changes.
type ring struct {
	signing  accessKey
	access   []accessKey // of the configured algorithm; signing is among them
	verified verifiedTokens
	action   [][]byte
	seal     []cipher.AEAD
	jwks     []byte // nil: the algorithm has no public keys
}

type accessKey struct {
	id     string
	alg    jwa.SignatureAlgorithm
	header string // of the tokens that it signs, in base64url
	signer jws.Signer
	sign   any // []byte or crypto.Signer; nil: the key only verifies. jws derives it from a jwk.Key for each token
	verify jwk.Key
}

// OpenKeys reads the key ring at path, and makes one for algorithm (HS256, HS384, HS512, EdDSA, ES256 or
// RS256) when there is none; now is the clock of what it makes. It refuses a file that others than its owner
// can read, a symbolic link, and a ring without a key that signs for algorithm.
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

// use makes raw the ring in force, or fails and changes nothing.
func (k *Keys) use(raw []byte) error {
	file, err := parseRing(raw)
	if err != nil {
		return fmt.Errorf("key file %s: %w", k.path, err)
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

// followInterval is how old a ring in use can be. Reading the file takes microseconds.
const followInterval = time.Second

// Follow takes over what commands change in the key file, until ctx ends. A file that cannot be used leaves the
// ring as it is and is logged once.
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
	k.mu.Lock()
	before := k.failure
	k.failure = err
	k.mu.Unlock()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		log.Error("the key file cannot be used; the keys that were read before stay in force", "error", err)
	case err == nil && (changed || before != nil):
		log.Info("the key file was read again", "signing", k.ring().signing.id)
	}
}

// Healthy says why the key file cannot be used, as Follow found it last, nil where it can. The ring in memory stays in
// force, but the next start would be without.
func (k *Keys) Healthy() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failure
}

// checksModes says whether permission bits mean anything on this system.
const checksModes = runtime.GOOS != "windows"

// readRing reads a key file that nobody but its owner can read.
func readRing(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("key file %s is not a regular file: put the file itself there, not a link", path)
	}
	if mode := info.Mode().Perm(); checksModes && mode&0o077 != 0 {
		return nil, fmt.Errorf("key file %s has mode %04o: others can read it; run chmod 600 %s, and replace the keys if somebody did", path, mode, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return raw, nil
}

// Seal encrypts and authenticates plain (AES-256-GCM) together with label, which has to be the same when
// it is opened.
func (k *Keys) Seal(plain, label []byte) ([]byte, error) {
	return k.ring().seal[0].Seal(nil, nil, plain, label), nil
}

// Open is the reverse of Seal, with any seal key of the ring. It fails with ErrInvalid.
func (k *Keys) Open(sealed, label []byte) ([]byte, error) {
	for _, aead := range k.ring().seal {
		if plain, err := aead.Open(nil, nil, sealed, label); err == nil {
			return plain, nil
		}
	}
	return nil, ErrInvalid
}
