//go:build !linux

package argon2

// lowerPriority does nothing: setpriority(2) would change the priority of the whole process.
func lowerPriority() {}
