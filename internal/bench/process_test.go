//go:build linux

package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// userHZ is the unit of CPU times in /proc, on every architecture of Go.
const userHZ = 100

// cpuTime returns the user and system time of a process so far.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPUTime(string(stat))
}

// parseCPUTime reads the fields 14 and 15 of proc_pid_stat(5). The second, a name in parentheses, may have blanks.
func parseCPUTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat of a process is %q", stat)
	}
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}

// memory returns a line of /proc/PID/status in MiB, such as VmRSS or VmHWM (its peak).
func memory(pid int, name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseMemory(string(status), name)
}

func parseMemory(status, name string) (float64, error) {
	for line := range strings.Lines(status) {
		var kib float64
		if n, _ := fmt.Sscanf(line, name+": %g kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("status of a process has no %s", name)
}

func TestProcess(t *testing.T) {
	used, err := parseCPUTime("4711 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 250 50 7 8 9 10\n")
	if err != nil || used != 3*time.Second {
		t.Errorf("got %v, %v; want 3 s", used, err)
	}
	for _, stat := range []string{"", "1 (x) S 1", "1 (x) S 1 2 3 4 5 6 7 8 9 10 many 50"} {
		if _, err := parseCPUTime(stat); err == nil {
			t.Errorf("%q: got no error, want one", stat)
		}
	}
	status := "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1536 kB\n"
	for name, want := range map[string]float64{"VmHWM": 2, "VmRSS": 1.5} {
		if got, err := parseMemory(status, name); err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := parseMemory(status, "VmPeak"); err == nil {
		t.Error("VmPeak: got no error, want one")
	}
	begin, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for end := begin; end < begin+20*time.Millisecond; { // it counts, or the test never ends
		if end, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	if peak, err := memory(os.Getpid(), "VmHWM"); err != nil || peak < 1 {
		t.Errorf("got %v, %v; want at least 1 MiB", peak, err)
	}
}
