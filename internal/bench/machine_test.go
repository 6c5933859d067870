//go:build linux

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// describe returns the description of a run; dir is on the measured disk.
func describe(dir string) (Run, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	fileSystem, err := fileSystem(dir)
	if err != nil {
		return Run{}, err
	}
	memory := 0.0
	if _, err := fmt.Sscanf(first("/proc/meminfo", `MemTotal: +(\d+) kB`), "%g", &memory); err != nil {
		return Run{}, fmt.Errorf("/proc/meminfo: %w", err)
	}
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output() // not everybody has a clone
	return Run{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Machine: fmt.Sprintf("%s, %d cores, %.0f GiB", first("/proc/cpuinfo", `model name\s*: (.*)`), runtime.NumCPU(),
			memory/(1<<20)),
		System: fmt.Sprintf("%s, Linux %s, %s", first("/etc/os-release", `PRETTY_NAME="?([^"\n]*)`),
			first("/proc/sys/kernel/osrelease", `(.*)`), fileSystem),
		Go:         runtime.Version() + " " + runtime.GOARCH,
		Commit:     strings.TrimSpace(string(commit)),
		Command:    *commandFlag,
		Settings:   changed(os.Environ()),
		LoadBefore: first("/proc/loadavg", `(\S+ \S+ \S+)`),
	}, nil
}

// first returns what a pattern finds in a file, or "unknown".
func first(file, pattern string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	found := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
	if found == nil {
		return "unknown"
	}
	return strings.TrimSpace(found[1])
}

// fileSystem names the file system of a directory. It refuses memory, where nothing is durable and fsync costs
// nothing.
func fileSystem(dir string) (string, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	const tmpfs = 0x01021994
	names := map[int64]string{0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x2FC12FC1: "zfs",
		0x794C7630: "overlayfs", 0xF2F52010: "f2fs"}
	switch name := names[int64(stat.Type)]; {
	case stat.Type == tmpfs:
		return "", fmt.Errorf("%s is in memory, where writing costs nothing: name a directory on a disk with -dir", dir)
	case name == "":
		return fmt.Sprintf("file system %#x", stat.Type), nil
	default:
		return name, nil
	}
}

// changed returns the variables that change what is measured.
func changed(environ []string) string {
	settings := regexp.MustCompile(`^(ACCOUNTD_|GOGC=|GOMEMLIMIT=|GOMAXPROCS=|GODEBUG=)`)
	list := slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return !settings.MatchString(v) })
	if len(list) == 0 {
		return "none"
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestMachine(t *testing.T) {
	if got := changed([]string{"HOME=/", "ACCOUNTD_LOG_LEVEL=debug", "GOGC=off",
		"MYACCOUNTD_X=1"}); got != "ACCOUNTD_LOG_LEVEL=debug GOGC=off" {
		t.Errorf("got %s, want ACCOUNTD_LOG_LEVEL=debug GOGC=off", got)
	}
	if got := changed([]string{"HOME=/"}); got != "none" {
		t.Errorf("got %s, want none", got)
	}
	if _, err := fileSystem("/proc/nowhere"); err == nil {
		t.Error("the file system of a directory that does not exist: got no error, want one")
	}
	if _, err := os.Stat("/dev/shm"); err == nil {
		if _, err := fileSystem("/dev/shm"); err == nil || !strings.Contains(err.Error(), "-dir") {
			t.Errorf("/dev/shm: got %v, want an error that names -dir", err)
		}
	}
	about, err := describe(t.TempDir())
	if err != nil {
		if strings.Contains(err.Error(), "-dir") {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	if strings.Contains(about.Machine, "unknown") || about.Date == "" || about.LoadBefore == "unknown" {
		t.Errorf("got %+v, want a machine, a date and a load", about)
	}
}

func TestSchedule(t *testing.T) {
	for p, ok := range map[schedule]bool{
		{3, time.Second}: true, {1, time.Millisecond}: true, {0, time.Second}: false, {1, 0}: false,
		{60, 3 * time.Second}: false,
	} {
		if err := p.check(); (err == nil) != ok {
			t.Errorf("%+v: got %v, want valid %t", p, err, ok)
		}
	}
}
