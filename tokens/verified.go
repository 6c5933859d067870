package tokens

import (
	"crypto/sha256"
	"sync"
)

// Bounds of each of the two generations of verifiedTokens.
const (
	maxVerified      = 4096    // tokens
	maxVerifiedBytes = 1 << 20 // texts of the claims, and verifiedBytes for each token
	verifiedBytes    = 192
)

// verifiedTokens caches the claims of tokens with a valid signature, by the SHA-256 of the whole token. Times, issuer
// and session are checked at each use. The cache belongs to one ring, so that tokens of a retired key leave it with
// the key.
//
// Entries that are used move to the recent generation. When that is full, it becomes the older one, and the former
// older one is dropped.
type verifiedTokens struct {
	mu            sync.Mutex
	recent, older map[[sha256.Size]byte]claimed // guarded by mu
	size          int                           // guarded by mu; bytes of recent
}

func (v *verifiedTokens) find(sum [sha256.Size]byte) (claimed, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c, ok := v.recent[sum]; ok {
		return c, true
	}
	c, ok := v.older[sum]
	if ok {
		v.put(sum, c)
	}
	return c, ok
}

func (v *verifiedTokens) add(sum [sha256.Size]byte, c claimed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.put(sum, c)
}

// put requires v.mu held.
func (v *verifiedTokens) put(sum [sha256.Size]byte, c claimed) {
	if v.recent == nil || len(v.recent) >= maxVerified || v.size >= maxVerifiedBytes {
		v.older, v.recent, v.size = v.recent, map[[sha256.Size]byte]claimed{}, 0
	}
	v.recent[sum] = c
	v.size += verifiedBytes + len(c.Username) + len(c.Issuer) + len(c.Audience)
}
