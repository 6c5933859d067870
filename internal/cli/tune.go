package cli

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// startingGC is GOGC while the server starts. The garbage of a start is small enough to be left until afterwards.
const startingGC = 800

// settleTime is how long the garbage of the start stays after the server is ready, so that the first request does not
// wait for the collector.
const settleTime = 100 * time.Millisecond

// deferGC postpones garbage collection until the returned function is called, which gives the memory back.
func deferGC() (collect func()) {
	before := debug.SetGCPercent(startingGC)
	return func() {
		debug.FreeOSMemory()
		debug.SetGCPercent(before)
	}
}

// ballast is the size in bytes of an untouched allocation, which gets no memory from the system. It makes the heap look
// larger than its few megabytes, so that the collector runs less often. A larger GOGC would do the same for small
// answers, and too much when thousands of connections are open.
const ballast = 4 << 20

// tune adapts Go's runtime to requests that cost microseconds beside password hashes that take a core each. The
// variables GOGC and GOMAXPROCS have precedence. The returned ballast has to be kept alive.
func tune() (held []byte) {
	if os.Getenv("GOGC") == "" {
		held = make([]byte, ballast)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// Hashes take all cores, and Go's scheduler would let other requests wait behind them for tens of
		// milliseconds. With threads to spare, the system's scheduler runs them at once: threads of hashes have low
		// priority.
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
	return held
}
