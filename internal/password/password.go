// Package password has the rules for new passwords, the stored hashes, and the queue in front of hashing.
//
// New hashes are Argon2id. Hashes of other parameters and those of Django verify too, and are to be replaced. A
// [Hasher] computes a bounded number of hashes at once; the other requests wait in a queue that is fair between
// clients. Verifying costs one hash whether or not there is a stored one, and [Ticket.DelayRefusal] makes a wrong
// password take equally long for every kind of stored hash.
//
// The package stores nothing, counts no attempts and knows no accounts: its callers do.
package password

import (
	"strings"
	"unicode/utf8"
)

// Settings are the rules for new passwords and how they are hashed.
type Settings struct {
	MinLength  int     // code points; 0: any
	Similarity float64 // how alike a password and the user's own data may be, 0 to 1; 0: not checked
	Common     bool    // refuse common passwords
	Numeric    bool    // refuse passwords of digits only
	MaxBytes   int     // checked before anything else is computed
	Argon2     Argon2Settings
}

// Argon2Settings are the cost of a password hash (RFC 9106; OWASP recommends at least 19 MiB, 2, 1) and how
// many may be computed or wait at once.
type Argon2Settings struct {
	MemoryKiB, Iterations uint32
	Parallelism           uint8
	Concurrent            int // hashes at once; 0: the number of cores that the process may use
	Queue                 int // requests that may wait
}

// WellFormed reports whether a password can have been set: valid UTF-8 without NUL and without the replacement
// character, which stands for something that was lost on the way.
func WellFormed(password string) bool {
	return utf8.ValidString(password) && !strings.ContainsAny(password, "\x00\ufffd")
}
