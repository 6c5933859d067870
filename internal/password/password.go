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
	MinLength int `toml:"passwords.min_length" min:"1" max:"256"` // code points; 0: any

	// Similarity is how alike a password and the user's own data may be. 0: not checked.
	Similarity float64 `toml:"passwords.similarity" min:"0" max:"1"`
	Common     bool    `toml:"passwords.common"`                         // refuse common passwords
	Numeric    bool    `toml:"passwords.numeric"`                        // refuse passwords of digits only
	MaxBytes   int     `toml:"passwords.max_bytes" min:"64" max:"16384"` // checked before anything else is computed
	Argon2     Argon2Settings
}

// Argon2Settings are the cost of a password hash (RFC 9106; OWASP recommends at least 19 MiB, 2, 1) and how
// many may be computed or wait at once.
type Argon2Settings struct {
	MemoryKiB   uint32 `toml:"passwords.argon2.memory" min:"8KiB" max:"4GiB" unit:"KiB"`
	Iterations  uint32 `toml:"passwords.argon2.iterations" min:"1" max:"100"`
	Parallelism uint8  `toml:"passwords.argon2.parallelism" min:"1" max:"64"`

	// Concurrent is the number of hashes at once; 0: the number of cores that the process may use.
	Concurrent int `toml:"passwords.argon2.concurrent" min:"0" max:"1024"`
	Queue      int `toml:"passwords.argon2.queue" min:"0" max:"100000"` // requests that may wait
}

// WellFormed reports whether a password can have been set: valid UTF-8 without NUL and without the replacement
// character, which stands for something that was lost on the way.
func WellFormed(password string) bool {
	return utf8.ValidString(password) && !strings.ContainsAny(password, "\x00\ufffd")
}
