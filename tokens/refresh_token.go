package tokens

import (
	"cmp"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// maxPlace is the length of the longest place in a refresh token, in bytes: two positive 64-bit varints.
const maxPlace = 18

// newRefresh makes a refresh token: unpadded base64url of its place and n random bytes. The place is the session and
// the generation, each as a varint. It saves an index on hashes and is no secret. Whether a token is valid is decided
// by the hash of all of it.
func newRefresh(session, generation int64, n int) string {
	b := make([]byte, 0, maxPlace+n)
	b = binary.AppendUvarint(b, uint64(session))
	b = binary.AppendUvarint(b, uint64(generation))
	return base64.RawURLEncoding.EncodeToString(append(b, randomBytes(n)...))
}

// refreshPlace decodes the place of a refresh token: 0 and 0 for a text without a place. For tokens from before
// migration 0010, which have none, it may return any place.
func refreshPlace(raw string) (session, generation int64) {
	var place [maxPlace]byte
	head := raw[:min(len(raw)&^3, base64.RawURLEncoding.EncodedLen(maxPlace))] // in whole groups of four characters
	n, err := base64.RawURLEncoding.Decode(place[:], []byte(head))
	if err != nil {
		return 0, 0
	}
	first, used := binary.Uvarint(place[:n])
	second, more := binary.Uvarint(place[max(used, 0):n])
	if used <= 0 || more <= 0 {
		return 0, 0
	}
	return int64(first), int64(second)
}

func hash(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// sealSuccessor encrypts the token next under a key derived from the token raw, which the database does not have.
func sealSuccessor(raw, next string) []byte {
	return successorAEAD(raw).Seal(nil, nil, []byte(next), nil)
}

func openSuccessor(raw string, sealed []byte) (string, error) {
	next, err := successorAEAD(raw).Open(nil, nil, sealed, nil)
	return string(next), err
}

func successorAEAD(raw string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(raw), nil, "accountd refresh token successor", 32)
	aead, failed := newAEAD(key)
	if err = cmp.Or(err, failed); err != nil {
		panic("tokens: " + err.Error()) // only for keys of another length
	}
	return aead
}
