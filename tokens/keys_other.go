//go:build !unix

package tokens

import (
	"io/fs"
	"os"
)

const checksModes = false

// syncDir does nothing: a directory cannot be synced here, and the file system keeps names in order.
func syncDir(string) error { return nil }

func keepOwner(*os.File, fs.FileInfo) error { return nil }
