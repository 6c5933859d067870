//go:build unix

package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func umask(mask int) (old int) { return unix.Umask(mask) }

// modes lists a tree with its modes.
func modes(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s\n", info.Mode(), filepath.ToSlash(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDataDirectory: only the owner can read what commands create. Files of others are not changed.
func TestDataDirectory(t *testing.T) {
	w := newWorldHere(t)
	old := umask(0)
	defer umask(old)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	equal(t, modes(t, "data"), `drwx------ data
-rw------- data/accountd.db
-rw------- data/keys.json
drwx------ data/spool
drwx------ data/spool/cur
drwx------ data/spool/failed
drwx------ data/spool/new
drwx------ data/spool/retry
drwx------ data/spool/tmp
`)
	openUp := func(dir string) {
		t.Helper()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	openUp("data")
	code, _, warned := w.run("user", "list")
	if want := "accountd: warning: data directory " + w.dir +
		"/data was open to others (mode 0755): now it is not; if somebody may have looked, run accountd keys rotate " +
		"and retire the old keys\n"; code != exitOK || warned != want {
		t.Errorf("exits %d and says %q, want %v, %v", code, warned, exitOK, want)
	}
	if info, err := os.Stat("data"); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a directory of ours that was opened: %v, %v, want 0o700", info, err)
	}

	if err := os.Mkdir("photos", 0o755); err != nil {
		t.Fatal(err)
	}
	openUp("photos")
	w.write("photos/holiday.jpg", "")
	before := modes(t, "photos")
	w.fails(exitFailure, "accountd: data directory photos is open to others, and what it holds is not accountd's: "+
		"name another with --data-dir, or chmod 700 it\n",
		"user", "add", "--username=ada", "--email=ada@example.com", "--no-password", "--data-dir=photos")
	if diff := cmp.Diff(before, modes(t, "photos")); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	w.write("file", "")
	w.fails(exitFailure, "accountd: data directory: mkdir file: not a directory\n", "user", "add", "--username=a",
		"--email=a@example.com", "--no-password", "--data-dir=file")
}
