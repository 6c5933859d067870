package cli

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// TestStartQuickly: garbage is put off while the server starts; what starting left is collected when it settles, and from then on the
// collector runs as it did.
func TestStartQuickly(t *testing.T) {
	read := func(name string) uint64 {
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	const percent, forced = "/gc/gogc:percent", "/gc/cycles/forced:gc-cycles"
	const own = 77
	defer debug.SetGCPercent(debug.SetGCPercent(own))
	settle := startQuickly()
	if got := read(percent); got != startingGC {
		t.Errorf("GOGC while it starts: %d", got)
	}
	before := read(forced)
	settle()
	if got := read(percent); got != own {
		t.Errorf("GOGC afterwards: %d", got)
	}
	if read(forced) == before {
		t.Error("what starting left is still there")
	}
}
