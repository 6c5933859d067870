package accounts

import "syscall"

// hashNice is how much the threads of hashes stand back (nice(2)): where both want all of the time, they get a quarter.
const hashNice = 5

// yieldThread makes the calling thread one that stands back, until it ends: nobody may take that back without privileges.
func yieldThread() {
	before, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // of the thread; the kernel gives 20 less the value
	if err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(19, 20-before+hashNice)) // else it competes, and nothing is wrong
	}
}
