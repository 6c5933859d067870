package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// startingGC is Go's GOGC while the server starts: what that needs is less than what would be collected on the way, several times.
const startingGC = 800

// settleTime is how long after it is ready a server collects what starting has left: who waits for it asks as soon as they can, and
// would wait for the collector instead.
const settleTime = 100 * time.Millisecond

// startQuickly puts garbage off until the function that it returns is called, which gives the memory back.
func startQuickly() (settle func()) {
	before := debug.SetGCPercent(startingGC)
	return func() {
		debug.FreeOSMemory()
		debug.SetGCPercent(before)
	}
}

// ballast is how many bytes the program is made to look larger than its few megabytes, so that more garbage comes together before it
// is collected. Nobody touches them, so the system gives no memory for them. A larger GOGC would do the same for small answers, but
// become far too much when thousands of connections are open.
const ballast = 4 << 20

// tune sets Go's runtime up for a server whose requests cost microseconds, or a core for as long as a password is hashed. What the
// variables GOGC and GOMAXPROCS say goes before. It holds until ballast, which is returned, is let go of.
func tune() (held []byte) {
	if os.Getenv("GOGC") == "" {
		held = make([]byte, ballast)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// Hashes take all cores. Go's scheduler would let the other requests wait for tens of milliseconds behind them; with as many
		// threads again, the system's lets them in at once, and more of them than hashes, whose threads stand back.
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
	return held
}
