//go:build !linux

package accounts

func yieldThread() {} // setpriority would be the whole process's
