package argon2

import (
	"sync"
	"sync/atomic"
	"testing"
)

// TestBarrier: nobody is ahead of another by more than one meeting, and who leaves is not waited for.
func TestBarrier(t *testing.T) {
	const members, rounds = 5, 300
	b := newBarrier(members)
	var met [rounds]atomic.Int32
	var running sync.WaitGroup
	for m := range members {
		running.Go(func() {
			defer b.leave()
			for r := range rounds / (m + 1) {
				met[r].Add(1)
				b.wait()
				least := 0 // of those who stay for this round
				for other := range members {
					if r < rounds/(other+1) {
						least++
					}
				}
				if got := int(met[r].Load()); got != least {
					t.Errorf("%d of %d were there in round %d", got, least, r)
				}
			}
		})
	}
	running.Wait()
}
