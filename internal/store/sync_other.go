//go:build !unix

package store

// syncDir does nothing: a directory cannot be synced here, and the file system keeps names in order.
func syncDir(string) error { return nil }
