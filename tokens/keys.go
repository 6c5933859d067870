package tokens

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// secretBytes is the size of every symmetric key: RFC 7518, section 3.2 asks for as many bits as the hash has.
const secretBytes = 64

// Keys is the key ring: for access tokens, for action tokens and for sealing, each a list of which the
// first signs or seals and all verify or open. Nothing but access keys ever leaves this package.
type Keys struct {
	algorithm string
	access    []accessKey
	action    [][]byte
	seal      []cipher.AEAD
}

type accessKey struct {
	id           string
	alg          jwa.SignatureAlgorithm
	sign, verify any
}

// ringFile is keys.json. A secret is base64 of raw bytes for HMAC, of PKCS #8 DER for the others.
type ringFile struct {
	Version int         `json:"version"`
	Access  []storedKey `json:"access"`
	Action  []storedKey `json:"action"`
	Seal    []storedKey `json:"seal"`
}

type storedKey struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm,omitempty"`
	Secret    []byte `json:"secret"`
}

// OpenKeys reads the key ring at path, and makes one for algorithm (HS256, HS384, HS512, EdDSA, ES256 or
// RS256) when there is none. It refuses a file that others than its owner can read, a symbolic link, and
// a ring without a key for algorithm.
func OpenKeys(path, algorithm string) (*Keys, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createRing(path, algorithm); err != nil {
			return nil, fmt.Errorf("create key file %s: %w", path, err)
		}
		info, err = os.Lstat(path)
	}
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
	keys, err := parseRing(raw, algorithm)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return keys, nil
}

func parseRing(raw []byte, algorithm string) (*Keys, error) {
	var ring ringFile
	if err := json.Unmarshal(raw, &ring); err != nil {
		return nil, fmt.Errorf("not a key ring (%w): restore it from a backup; without it every session and link ends", err)
	}
	if ring.Version != 1 {
		return nil, fmt.Errorf("version %d is not known to this accountd", ring.Version)
	}
	keys := &Keys{algorithm: algorithm}
	for _, stored := range ring.Access {
		if stored.Algorithm != algorithm {
			continue // of another algorithm: must not verify
		}
		key, err := stored.parse()
		if err != nil {
			return nil, fmt.Errorf("access key %s: %w", stored.ID, err)
		}
		keys.access = append(keys.access, key)
	}
	if len(keys.access) == 0 {
		return nil, fmt.Errorf("it has no access key for tokens.algorithm %s: set the algorithm it was made for, or move the file away to start with new keys (everybody is logged out)", algorithm)
	}
	for _, stored := range ring.Action {
		if len(stored.Secret) < 32 {
			return nil, fmt.Errorf("action key %s is shorter than 32 bytes", stored.ID)
		}
		keys.action = append(keys.action, stored.Secret)
	}
	for _, stored := range ring.Seal {
		aead, err := newAEAD(stored.Secret)
		if err != nil {
			return nil, fmt.Errorf("seal key %s: %w", stored.ID, err)
		}
		keys.seal = append(keys.seal, aead)
	}
	if len(keys.action) == 0 || len(keys.seal) == 0 {
		return nil, errors.New("it lacks action or seal keys: restore it from a backup")
	}
	return keys, nil
}

func (s storedKey) parse() (accessKey, error) {
	key := accessKey{id: s.ID, alg: jwa.SignatureAlgorithm(s.Algorithm)}
	switch s.Algorithm {
	case "HS256", "HS384", "HS512":
		if len(s.Secret) < 32 {
			return key, errors.New("a secret shorter than 32 bytes can be guessed")
		}
		key.sign, key.verify = s.Secret, s.Secret
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(s.Secret)
	if err != nil {
		return key, err
	}
	var want bool
	switch private := parsed.(type) {
	case ed25519.PrivateKey:
		want = s.Algorithm == "EdDSA"
	case *ecdsa.PrivateKey:
		want = s.Algorithm == "ES256" && private.Curve == elliptic.P256()
	case *rsa.PrivateKey:
		want = s.Algorithm == "RS256" && private.N.BitLen() >= 2048
	}
	if !want {
		return key, fmt.Errorf("a %T is no key for %s", parsed, s.Algorithm)
	}
	key.sign, key.verify = parsed, parsed.(crypto.Signer).Public()
	return key, nil
}

func generate(algorithm string) ([]byte, error) {
	var key any
	var err error
	switch algorithm {
	case "HS256", "HS384", "HS512":
		return randomBytes(secretBytes), nil
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		return nil, fmt.Errorf("unknown algorithm %q", algorithm)
	}
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// createRing writes a new ring so that it is either whole and durable or not there: every session and
// every link in a mail depends on it from the first answer on.
func createRing(path, algorithm string) error {
	access, err := generate(algorithm)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(ringFile{
		Version: 1,
		Access:  []storedKey{{ID: rand.Text()[:12], Algorithm: algorithm, Secret: access}},
		Action:  []storedKey{{ID: rand.Text()[:12], Secret: randomBytes(32)}},
		Seal:    []storedKey{{ID: rand.Text()[:12], Secret: randomBytes(32)}},
	}, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when all went well
	_, err = tmp.Write(append(raw, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// Link refuses to replace a ring that another process made meanwhile; that one is used then.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(dir)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("it has %d bytes, not 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Seal encrypts and authenticates plain (AES-256-GCM) together with label, which has to be the same when
// it is opened.
func (k *Keys) Seal(plain, label []byte) ([]byte, error) {
	return k.seal[0].Seal(nil, nil, plain, label), nil
}

// Open is the reverse of Seal, with any seal key of the ring. It fails with ErrInvalid.
func (k *Keys) Open(sealed, label []byte) ([]byte, error) {
	for _, aead := range k.seal {
		if plain, err := aead.Open(nil, nil, sealed, label); err == nil {
			return plain, nil
		}
	}
	return nil, ErrInvalid
}
