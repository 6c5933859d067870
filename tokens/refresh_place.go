package tokens

import (
	"encoding/base64"
	"encoding/binary"
)

// maxPlace is how many bytes of a refresh token say where it lies, at most: two positive 64-bit varints of nine bytes.
const maxPlace = 18

// newRefresh makes a refresh token: base64url, unpadded, of its session and generation, each as a varint, and of n random
// bytes. The place spares an index, and proves nothing: the hash of the whole token decides. It is no secret either, since
// access tokens name the session, too.
func newRefresh(session, generation int64, n int) string {
	b := make([]byte, 0, maxPlace+n)
	b = binary.AppendUvarint(b, uint64(session))
	b = binary.AppendUvarint(b, uint64(generation))
	return base64.RawURLEncoding.EncodeToString(append(b, randomBytes(n)...))
}

// refreshPlace is where a refresh token says that it lies, 0 and 0 when it says nothing. Tokens made before migration 0010 have no place:
// any may come out for them.
func refreshPlace(raw string) (session, generation int64) {
	var place [maxPlace]byte
	head := raw[:min(len(raw)&^3, base64.RawURLEncoding.EncodedLen(maxPlace))] // in whole groups of four characters
	n, err := base64.RawURLEncoding.Decode(place[:], []byte(head))
	if err != nil {
		return 0, 0
	}
	first, used := binary.Uvarint(place[:n])
	if used <= 0 {
		return 0, 0
	}
	second, used := binary.Uvarint(place[used:n])
	if used <= 0 {
		return 0, 0
	}
	return int64(first), int64(second)
}
