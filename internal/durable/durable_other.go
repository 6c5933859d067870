//go:build !unix

package durable

import (
	"io/fs"
	"os"
)

// SyncDir does nothing: directories cannot be fsynced here. NTFS journals changes of names in their order.
func SyncDir(string) error { return nil }

// keepOwner does nothing: a new file has the access rights of its directory.
func keepOwner(*os.File, fs.FileInfo) error { return nil }
