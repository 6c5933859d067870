//go:build !purego

package argon2

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// withoutAVX2 is the setting of GODEBUG that lets Go see a processor without AVX2.
const withoutAVX2 = "cpu.avx2=off"

// TestWithoutAVX2 runs the tests of keys again in a process that does not use AVX2.
func TestWithoutAVX2(t *testing.T) {
	if strings.Contains(os.Getenv("GODEBUG"), withoutAVX2) {
		if cpu.X86.HasAVX2 {
			t.Error("AVX2 is used in spite of " + withoutAVX2)
		}
		return
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const tests = "^(TestWithoutAVX2|TestVector|TestRandomKeys|TestCompression)$"
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", tests, "-keys", "200")
	cmd.Env = append(os.Environ(), "GODEBUG="+withoutAVX2)
	out, err := cmd.CombinedOutput()
	if passed := strings.Count(string(out), "--- PASS: "); err != nil || passed != 4 {
		t.Errorf("%v, %d tests passed, want 4:\n%s", err, passed, out)
	}
}
