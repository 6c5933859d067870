package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/alexedwards/argon2id"

	"accountd/internal/argon2"
)

// The argon2id package has the parameters and reads encoded hashes. It exports no function that encodes a key or
// compares with one: its CreateHash and CheckHash compute the key too, by x/crypto's argon2.IDKey, which allocates the
// memory of each. So these two steps are here, and internal/argon2 computes the key.

// isArgon2id reports whether a stored hash is of the scheme of new ones, of whatever parameters.
func isArgon2id(encoded string) bool { return strings.HasPrefix(encoded, "$argon2id$") }

// encodeArgon2id writes a hash like the reference implementation of Argon2, as argon2id.DecodeHash reads it.
func encodeArgon2id(p *argon2id.Params, salt, key []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, p.Memory, p.Iterations, p.Parallelism, encode(salt), encode(key))
}

func randomBytes(n uint32) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Bounds of what a stored hash may cost beyond the settings: a few times Django's parameters, and a few seconds. A hash
// that costs more would hold a place for minutes.
const (
	maxMemoryKiB = 256 << 10 // Django's own: 100 MiB
	maxWorkKiB   = 2 << 20   // memory times passes
	minKeyBytes  = 16        // a shorter key could be matched by chance
)

// compareArgon2id returns whether the password matches, and the parameters of the hash.
func (h *Hasher) compareArgon2id(password, encoded string) (ok bool, p *argon2id.Params, err error) {
	p, salt, key, err := h.decodeArgon2id(encoded)
	if err != nil {
		return false, nil, err
	}
	got, err := h.memory.Key([]byte(password), salt, p)
	return subtle.ConstantTimeCompare(key, got) == 1, p, err
}

// decodeArgon2id reads a stored hash. It returns errUnknownHash if the hash is malformed, or its parameters are
// impossible (RFC 9106, section 3.1) or cost too much: they come from the database and decide what is computed.
func (h *Hasher) decodeArgon2id(encoded string) (p *argon2id.Params, salt, key []byte, err error) {
	p, salt, key, err = argon2id.DecodeHash(encoded)
	if err != nil || p.Iterations == 0 || p.Parallelism == 0 || p.Memory < 8*uint32(p.Parallelism) ||
		len(key) < minKeyBytes {
		return nil, nil, nil, errUnknownHash
	}
	if p.Memory == h.params.Memory && p.Iterations == h.params.Iterations {
		return p, salt, key, nil // the settings may exceed the bounds
	}
	if p.Memory > maxMemoryKiB || uint64(p.Memory)*uint64(p.Iterations) > maxWorkKiB {
		return nil, nil, nil, errUnknownHash
	}
	return p, salt, key, nil
}
