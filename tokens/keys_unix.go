//go:build unix

package tokens

import (
	"errors"
	"os"
)

// checksModes says whether the file system's permission bits mean anything here.
const checksModes = true

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
