package accounts

import (
	"runtime"
	"syscall"
	"testing"
)

// TestHashesStandBack: the thread of a hash does, and no other.
func TestHashesStandBack(t *testing.T) {
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
	hashing := make(chan int)
	go func() {
		runtime.LockOSThread()
		yieldThread()
		hashing <- nice()
	}()
	if got, want := <-hashing, min(19, before+hashNice); got != want {
		t.Errorf("nice value %d, want %d", got, want)
	}
	if nice() != before {
		t.Errorf("nice value of another thread is %d, was %d", nice(), before)
	}
}
