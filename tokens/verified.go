package tokens

import (
	"crypto/sha256"
	"sync"
)

// What one generation of verifiedTokens holds at most; there are two of them.
const (
	maxVerified      = 4096    // tokens
	maxVerifiedBytes = 1 << 20 // of their texts, and verifiedBytes for each
	verifiedBytes    = 192
)

// verifiedTokens remembers what tokens claim whose signature was found good, by the SHA-256 of the whole token. It belongs to one ring
// and goes with it: a key that is retired takes with it what it has signed. What time and settings decide is decided
// each time, and so is whether the session lives. Only who can sign has anything remembered.
//
// The most recently used half at least is kept: what is found among the older moves to the recent ones, and when those
// are full, the older ones go.
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

// put has mu.
func (v *verifiedTokens) put(sum [sha256.Size]byte, c claimed) {
	if v.recent == nil || len(v.recent) >= maxVerified || v.size >= maxVerifiedBytes {
		v.older, v.recent, v.size = v.recent, map[[sha256.Size]byte]claimed{}, 0
	}
	v.recent[sum] = c
	v.size += verifiedBytes + len(c.Username) + len(c.Issuer) + len(c.Audience)
}
