//go:build !linux

package argon2

func lowerPriority() {} // setpriority would be the whole process's
