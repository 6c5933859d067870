package cli

import (
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// TestStartQuickly: garbage collection is deferred while the server starts. The garbage of the start is collected
// afterwards, and from then on GOGC is as before.
func TestStartQuickly(t *testing.T) {
	read := func(name string) uint64 {
		sample := []metrics.Sample{{Name: name}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	const percent, forced = "/gc/gogc:percent", "/gc/cycles/forced:gc-cycles"
	const own = 77
	defer debug.SetGCPercent(debug.SetGCPercent(own))
	collect := deferGC()
	if got := read(percent); got != startingGC {
		t.Errorf("GOGC while the server starts is %d, want %d", got, startingGC)
	}
	before := read(forced)
	collect()
	if got := read(percent); got != own {
		t.Errorf("GOGC afterwards is %d, want %d", got, own)
	}
	if read(forced) == before {
		t.Error("got no garbage collection, want one")
	}
}
