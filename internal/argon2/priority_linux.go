package argon2

import "syscall"

// niceness is how much the threads of hashes stand back (nice(2)): where both want all of the time, they get a quarter.
const niceness = 5

// lowerPriority makes the calling thread one that stands back, until it ends: nobody may take that back without privileges.
func lowerPriority() {
	before, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // of the thread; the kernel gives 20 less the value
	if err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(19, 20-before+niceness)) // else it competes, and nothing is wrong
	}
}
