package cli

import (
	"os"
	"runtime"
	"runtime/debug"

	"accountd/internal/config"
)

// gcPercent makes garbage of a few password hashes, 19 MiB each, before it is collected: with Go's 100 a collection for
// nearly every hash takes a tenth of the logins.
const gcPercent = 130

// memoryLimit is at how many bytes garbage is collected earlier than that: a storm of logins, whose connections cost memory as
// well, or other programs that leave the collector no time, must not make it a multiple. It has room for what the server is,
// its documents and answers, the hashes that are computed at once, and one that has been.
func memoryLimit(c *config.Config) int64 {
	const own, document = 66 << 20, 5 << 10
	hashes := c.Passwords.Argon2.Concurrent
	if hashes == 0 {
		hashes = runtime.GOMAXPROCS(0)
	}
	return own + int64(c.Limits.Documents)*document + 4*int64(c.Limits.Response) + int64(hashes+1)*int64(c.Passwords.Argon2.Memory)
}

// tune sets Go's runtime up for a server whose requests cost microseconds, or a core and megabytes for as long as a password is
// hashed. What the variables GOGC, GOMEMLIMIT and GOMAXPROCS say goes before.
func tune(c *config.Config) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(c))
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// Hashes take all cores. Go's scheduler would let the other requests wait for tens of milliseconds behind them; with one thread
		// more, the system's lets them in at once.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
