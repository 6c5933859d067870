//go:build unix

package tokens

import (
	"os"
	"syscall"
	"testing"
)

// TestKeepOwner: after a rotation by root the file still belongs to the user of the server.
func TestKeepOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	f := newKeyFile(t, "HS256")
	must(t, os.Chown(f.Path, 1234, 2345))
	_, err := f.Rotate(AccessKeys, "HS256")
	must(t, err)
	info, err := os.Stat(f.Path)
	must(t, err)
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 2345 {
		t.Errorf("got owner %d:%d, want 1234:2345", stat.Uid, stat.Gid)
	}
}
