package durable

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOrder holds the system calls of Create and Replace against the order that a power cut needs. It traces itself
// with strace, and skips where that is not installed or not allowed.
func TestOrder(t *testing.T) {
	if dir := os.Getenv("DURABLE_TEST_DIR"); dir != "" {
		path := filepath.Join(dir, "a")
		if err := Create(path, filepath.Join(dir, "tmp"), []byte("one")); err != nil {
			t.Error(err)
		}
		if err := Replace(path, []byte("two")); err != nil {
			t.Error(err)
		}
		return
	}
	if out, err := exec.Command("strace", "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace cannot trace here: %v: %s", err, out)
	}
	dir := t.TempDir()
	log := filepath.Join(t.TempDir(), "strace")
	cmd := exec.Command("strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=write,fsync,linkat,renameat,renameat2",
		os.Args[0], "-test.run=^TestOrder$")
	cmd.Env = append(os.Environ(), "DURABLE_TEST_DIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	call := regexp.MustCompile(`\b(write|fsync|link|rename)(?:at2?)?\(.*?` + regexp.QuoteMeta(dir) + `(/[a-z.]+)?`)
	for line := range strings.Lines(string(text)) {
		if found := call.FindStringSubmatch(line); found != nil {
			got = append(got, found[1]+" "+found[2])
		}
	}
	want := []string{
		"write /tmp", "fsync /tmp", "link /tmp", "fsync ",
		"write /a.new", "fsync /a.new", "rename /a.new", "fsync ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of the system calls (-want +got):\n%s\n%s", diff, text)
	}
}
