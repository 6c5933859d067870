package argon2

import "runtime"

// goLowPriority starts fn in a new thread with a lower priority, where the system has priorities of threads. wait
// returns when fn has ended; if fn panicked, wait panics with the same value.
func goLowPriority(fn func()) (wait func()) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		runtime.LockOSThread() // never unlocked, so the thread ends with this function
		lowerPriority()
		fn()
	}()
	return func() {
		<-done
		if panicked != nil {
			panic(panicked)
		}
	}
}
