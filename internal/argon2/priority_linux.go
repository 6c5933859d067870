package argon2

import "syscall"

// niceness is added to the nice value of threads that compute keys: next to a thread of the usual priority, such a
// thread gets a quarter of a core.
const niceness = 5

// lowerPriority lowers the priority of the calling thread until the thread ends: raising it again takes privileges.
// Where the system refuses, the thread keeps its priority.
func lowerPriority() {
	value, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0) // 20 minus the nice value of the calling thread
	if err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, min(19, 20-value+niceness))
	}
}
