package tokens

import (
	"encoding/base64"
	"encoding/binary"
)

// newRefresh makes a refresh token: base64url of its session and generation, each as a varint, and of n random bytes. The
// place is no secret (access tokens have the session, too) and proves nothing: the hash of the whole token decides.
func newRefresh(session, generation int64, n int) string {
	b := make([]byte, 0, 2*binary.MaxVarintLen64+n)
	b = binary.AppendUvarint(b, uint64(session))
	b = binary.AppendUvarint(b, uint64(generation))
	return base64.RawURLEncoding.EncodeToString(append(b, randomBytes(n)...))
}

// refreshPlace is where a refresh token says that it lies. ok is false for what is no token. Tokens from before migration 0010 have
// no place: any can come out for them.
func refreshPlace(raw string) (session, generation int64, ok bool) {
	var place [2 * binary.MaxVarintLen64]byte
	// Only the beginning is of interest: whole groups of four characters.
	n, err := base64.RawURLEncoding.Decode(place[:], []byte(raw[:min(len(raw), base64.RawURLEncoding.EncodedLen(len(place)))&^3]))
	if err != nil {
		return 0, 0, false
	}
	s, used := binary.Uvarint(place[:n])
	if used <= 0 {
		return 0, 0, false
	}
	g, more := binary.Uvarint(place[used:n])
	return int64(s), int64(g), more > 0
}
