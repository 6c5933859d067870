package tokens

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"accountd/internal/durable"
)

const (
	secretBytes = 64 // of a generated HMAC key: RFC 7518, section 3.2 asks for as many bits as the hash has
	minSecret   = 32 // bytes of any HMAC key: shorter ones can be guessed
)

// ringFile is the content of keys.json. The first key of a list signs or seals. Of the access keys that is the first
// one with a secret for the configured algorithm.
type ringFile struct {
	Version int         `json:"version"`
	Access  []storedKey `json:"access"`
	Action  []storedKey `json:"action"`
	Seal    []storedKey `json:"seal"`
}

// storedKey is one key. Secret has raw bytes for HMAC and AES, PKCS #8 DER for other algorithms. A key that only
// verifies has PKIX DER in Public and no Secret.
type storedKey struct {
	ID        string `json:"id"`
	Algorithm string `json:"algorithm,omitempty"` // of access keys only
	Created   int64  `json:"created,omitempty"`   // unix seconds; 0: unknown
	Secret    []byte `json:"secret,omitempty"`
	Public    []byte `json:"public,omitempty"`
}

// parseRing decodes the content of the key file at path, which its errors name.
func parseRing(path string, raw []byte) (*ringFile, error) {
	var file ringFile
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("key file %s: not a key ring (%w): copy it back from where it is kept; "+
			"only if it is lost for good, move it away and run accountd keys init", path, err)
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("key file %s: version %d is not known to this accountd", path, file.Version)
	}
	return &file, nil
}

// keys validates every key of the file and returns the ring for algorithm.
func (f *ringFile) keys(algorithm string) (*ring, error) {
	r := &ring{}
	seen := map[string]bool{}
	for _, stored := range f.Access {
		key, err := stored.parse()
		if err == nil && (stored.ID == "" || seen[stored.ID]) {
			err = errors.New("another key has this id")
		}
		if err != nil {
			return nil, fmt.Errorf("access key %s: %w", stored.ID, err)
		}
		seen[stored.ID] = true
		if stored.Algorithm != algorithm {
			continue // tokens of other algorithms are refused (RFC 8725, section 3.1)
		}
		if r.signing.sign == nil && key.sign != nil {
			r.signing = key
		}
		r.access = append(r.access, key)
	}
	if r.signing.sign == nil {
		return nil, fmt.Errorf("it has no key that signs for tokens.algorithm %s: run accountd keys rotate with this "+
			"setting to make one, or set the algorithm that the ring is for", algorithm)
	}
	for _, stored := range f.Action {
		if len(stored.Secret) < minSecret {
			return nil, fmt.Errorf("action key %s is shorter than %d bytes", stored.ID, minSecret)
		}
		r.action = append(r.action, stored.Secret)
	}
	for _, stored := range f.Seal {
		aead, err := newAEAD(stored.Secret)
		if err != nil {
			return nil, fmt.Errorf("seal key %s: %w", stored.ID, err)
		}
		r.seal = append(r.seal, aead)
	}
	if len(r.action) == 0 || len(r.seal) == 0 {
		return nil, errors.New("it lacks action or seal keys: restore it from a backup")
	}
	if symmetric(algorithm) {
		return r, nil
	}
	set := jwk.NewSet()
	for _, key := range r.access {
		if err := set.AddKey(key.verify); err != nil {
			return nil, fmt.Errorf("publish access key %s: %w", key.id, err)
		}
	}
	var err error
	r.jwks, err = json.Marshal(set)
	return r, err
}

func (s storedKey) parse() (accessKey, error) {
	key := accessKey{id: s.ID, alg: jwa.SignatureAlgorithm(s.Algorithm)}
	sign, verify, err := s.pair()
	if err != nil {
		return key, err
	}
	key.sign = sign
	if key.signer, err = jws.NewSigner(key.alg); err != nil {
		return key, err
	}
	if key.verify, err = jwk.FromRaw(verify); err != nil {
		return key, err
	}
	v := key.verify
	err = errors.Join(v.Set(jwk.AlgorithmKey, key.alg), v.Set(jwk.KeyIDKey, key.id),
		v.Set(jwk.KeyUsageKey, jwk.ForSignature))
	if err != nil {
		return key, err
	}
	header, err := json.Marshal(map[string]any{"alg": key.alg, "kid": key.id, "typ": "JWT"})
	key.header = base64.RawURLEncoding.EncodeToString(header)
	return key, err
}

// pair decodes the key that signs, nil if the key only verifies, and the one that verifies.
func (s storedKey) pair() (sign, verify any, err error) {
	switch {
	case symmetric(s.Algorithm) && len(s.Secret) < minSecret:
		return nil, nil, fmt.Errorf("a secret shorter than %d bytes can be guessed", minSecret)
	case symmetric(s.Algorithm):
		return s.Secret, s.Secret, nil
	case s.Secret == nil:
		verify, err = x509.ParsePKIXPublicKey(s.Public)
	default:
		if sign, err = x509.ParsePKCS8PrivateKey(s.Secret); err == nil {
			verify, err = jwk.PublicRawKeyOf(sign)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	algorithm, err := algorithmOf(verify)
	if err == nil && algorithm != s.Algorithm {
		err = fmt.Errorf("a key for %s is no key for %s", algorithm, s.Algorithm)
	}
	return sign, verify, err
}

func symmetric(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

// algorithmOf is the one algorithm that a public key is accepted for.
func algorithmOf(public any) (string, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return "EdDSA", nil
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return "", fmt.Errorf("its curve is %s; ES256 takes P-256", key.Curve.Params().Name)
		}
		return "ES256", nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return "", fmt.Errorf("it has %d bits; RS256 takes 2048 to 8192", bits)
		}
		return "RS256", nil
	}
	return "", fmt.Errorf("a %T is for no algorithm that access tokens can have", public)
}

// newKey generates a key for an algorithm of access tokens, or an action or seal key, which has none.
func newKey(algorithm string, now time.Time) (storedKey, error) {
	stored := storedKey{ID: newID(), Algorithm: algorithm, Created: now.Unix()}
	var key any
	var err error
	switch algorithm {
	case "":
		stored.Secret = randomBytes(32)
		return stored, nil
	case "HS256", "HS384", "HS512":
		stored.Secret = randomBytes(secretBytes)
		return stored, nil
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "RS256":
		key, err = rsa.GenerateKey(rand.Reader, 3072)
	default:
		err = fmt.Errorf("unknown algorithm %q", algorithm)
	}
	if err != nil {
		return storedKey{}, err
	}
	stored.Secret, err = x509.MarshalPKCS8PrivateKey(key)
	return stored, err
}

func newID() string { return rand.Text()[:12] }

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return b
}

// createRing writes a new ring durably, because every session and every link in a mail depends on it. It keeps a ring
// that another process has created meanwhile.
func createRing(path, algorithm string, now time.Time) error {
	file := &ringFile{Version: 1}
	for _, kind := range keyKinds {
		if _, err := file.generate(kind, algorithm, now); err != nil {
			return err
		}
	}
	err := durable.Create(path, filepath.Join(filepath.Dir(path), ".keys-"+rand.Text()), file.encode())
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (f *ringFile) encode() []byte {
	raw, _ := json.MarshalIndent(f, "", "  ") // never fails
	return append(raw, '\n')
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
