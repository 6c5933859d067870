package argon2

import (
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/alexedwards/argon2id"
)

// TestLowPriority: the threads of a key have a lower priority, one for each lane, and no other thread has.
func TestLowPriority(t *testing.T) {
	nice := func() int {
		value, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return 20 - value
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := nice()
	into, most, least := compress, before, 20
	defer func() { compress = into }()
	var mu sync.Mutex
	compress = func(out, x, y *block, xor bool) {
		value := nice()
		mu.Lock()
		most, least = max(most, value), min(least, value)
		mu.Unlock()
		into(out, x, y, xor)
	}
	for _, lanes := range []uint8{1, 3} {
		p := &argon2id.Params{Memory: 96, Iterations: 1, Parallelism: lanes, KeyLength: 32}
		if _, err := NewPool(1, p).Key([]byte("quiet-otter-42"), make([]byte, 16), p); err != nil {
			t.Fatal(err)
		}
		if want := min(19, before+niceness); most != want || least != want {
			t.Errorf("%d lanes: nice values %d to %d, want %d", lanes, least, most, want)
		}
	}
	if nice() != before {
		t.Errorf("nice value of another thread is %d, was %d", nice(), before)
	}
}
