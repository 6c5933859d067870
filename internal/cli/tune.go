package cli

import (
	"os"
	"runtime"
)

// ballast lets garbage come together before it is collected, as if the program were larger than its few megabytes: it is never
// touched, so the system gives no memory for it. A multiple of what lives, by GOGC, would do the same for small answers, but become
// far too much when thousands of connections are open.
var ballast []byte

const ballastSize = 12 << 20

// tune sets Go's runtime up for a server whose requests cost microseconds, or a core for as long as a password is hashed. What the
// variables GOGC and GOMAXPROCS say goes before.
func tune() {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastSize)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// Hashes take all cores. Go's scheduler would let the other requests wait for tens of milliseconds behind them; with one thread
		// more, the system's lets them in at once.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
