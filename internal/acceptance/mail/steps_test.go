//go:build linux

package mail_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"accountd/internal/servertest"
)

var everyStep = flag.Bool("everystep", false, "TestSecurityMailSteps kills at each write and each opened file, too")

// TestSecurityMailSteps kills the built program (SIGKILL) at its first system call of a kind, its second and so on,
// until it survives from a registration to the delivered mail and its own end. It logs each place and its outcome.
// The calls are those of the outbox row, the file in tmp, the rename to new, fsync, SMTP and the deletion. It needs
// strace. All kinds of calls take a few minutes:
//
//	go test -count=1 -run '^TestSecurityMailSteps$' -v -timeout 30m . -everystep
func TestSecurityMailSteps(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: no process can be killed at a given system call")
	}
	if out, err := exec.Command("strace", "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace may not trace here: %v: %s", err, out)
	}
	first := filepath.Join(t.TempDir(), "data") // what the first start makes is not the mail's
	if err := servertest.Cheap(t, first).Stop(); err != nil {
		t.Fatal(err)
	}
	steps := []mailStep{
		{"renameat", "", "spool/tmp"}, {"unlinkat", "", "spool/new"},
		{"fsync", "accountd.db-wal", "accountd.db-wal"}, {"fsync", "", "spool/tmp"}, {"fsync", "spool/new",
			"spool/new"},
	}
	if *everyStep {
		steps = append(steps, mailStep{"pwrite64", "", "accountd.db-wal"}, mailStep{"openat", "", "spool/tmp"},
			mailStep{"write", "", "spool/tmp"}, mailStep{"write", "", "socket"})
	}
	var mu sync.Mutex
	outcomes := map[string]map[mailOutcome]int{}
	t.Run("kill at", func(t *testing.T) {
		for _, step := range steps {
			t.Run(step.call+" "+step.must, func(t *testing.T) {
				t.Parallel()
				hit := false
				for round := 0; round < 10 && !hit; round++ { // each thread counts for itself, so one round may miss it
					for k := 1; ; k++ {
						place, out, died := killAt(t, first, step, k)
						if !died {
							break
						}
						hit = hit || place == step.must
						mu.Lock()
						if outcomes[step.call+" "+place] == nil {
							outcomes[step.call+" "+place] = map[mailOutcome]int{}
						}
						outcomes[step.call+" "+place][out]++
						mu.Unlock()
					}
				}
				if !hit {
					t.Error("got no kill at this step, want at least one")
				}
			})
		}
	})
	kills, lost, unfounded, duplicated := 0, 0, 0, 0
	for _, step := range slices.Sorted(maps.Keys(outcomes)) {
		for out, n := range outcomes[step] {
			t.Logf("%-28s %2d × acknowledged %t, registered %t, mails %d", step, n, out.acknowledged, out.committed,
				out.mails)
			kills += n
			switch {
			case out.committed && out.mails == 0:
				lost += n
			case !out.committed && out.mails > 0:
				unfounded += n
			case out.mails > 1:
				duplicated += n
			}
		}
	}
	t.Logf("kills %d, duplicated %d, lost %d, unfounded %d", kills, duplicated, lost, unfounded)
}

// mailStep is a kind of system call, on any file or on a path in the data directory, and where at least one kill has
// to hit.
type mailStep struct{ call, on, must string }

// killAt starts the server over a copy of a directory, kills it at the k-th system call of a kind, and checks what
// afterKill checks. died is false if the server ended before.
func killAt(t *testing.T, first string, step mailStep, k int) (place string, out mailOutcome, died bool) {
	t.Helper()
	dir := t.TempDir()
	dataDir, log := filepath.Join(dir, "data"), filepath.Join(dir, "strace")
	if err := os.CopyFS(dataDir, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(dataDir, func(path string, entry os.DirEntry, err error) error { // CopyFS widens modes
		if err == nil && entry.IsDir() {
			return os.Chmod(path, 0o700)
		}
		if err == nil {
			return os.Chmod(path, 0o600)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sink := newMailSink(t)
	server := servertest.Start(t, dataDir, append(sink.env(), "GOMAXPROCS=1")...)
	pid := server.Cmd.Process.Pid
	args := []string{"-f", "-qq", "-y", "-o", log, "-e", "trace=" + step.call, "-e",
		fmt.Sprintf("inject=%s:signal=KILL:when=%d", step.call, k), "-p", strconv.Itoa(pid)}
	if step.on != "" {
		args = append(args, "-P", filepath.Join(dataDir, step.on))
	}
	tracer := exec.Command("strace", args...)
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	server.Await(t, func() bool { return traced(pid) })
	session, err := server.Register(http.DefaultClient, "ada", mailSpell)
	acknowledged := err == nil && session.Success
	if acknowledged {
		// What is refused makes no mail. If this one dies, there is no answer.
		_, _ = server.Ask(http.DefaultClient, "",
			`mutation { register(email: "eve@example.com", username: "ada", password1: "quiet-otter-42", password2: `+
				`"quiet-otter-42") { success } }`, nil)
		gone := make(chan struct{})
		go func() {
			_ = server.Wait()
			close(gone)
		}()
		server.Await(t, func() bool {
			select {
			case <-gone:
				return true
			default:
			}
			ids, _ := sink.of(mailedTo)
			return len(ids) > 0 && len(filesIn(t, dataDir, "new")) == 0
		})
		err = server.Stop()
	}
	died = err != nil
	server.Kill()
	_ = tracer.Wait() // it ends with what it traces, by the same signal
	if died {
		place = killedAt(t, log, step.call)
	}
	return place, afterKill(t, sink, dataDir, acknowledged), died
}

var places = regexp.MustCompile(`spool/(?:tmp|new|retry|failed)|accountd\.db(?:-wal|-shm)?|socket|pipe|eventfd`)

// killedAt returns the file or socket of the last system call in strace's log, the one that never returned.
func killedAt(t *testing.T, log, call string) string {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line, " "+call+"(") && (strings.HasSuffix(line, "= ?") ||
			strings.HasSuffix(line, "<unfinished ...>")) {
			return cmp.Or(places.FindString(line), "elsewhere")
		}
	}
	return "elsewhere"
}

// traced reports whether all threads of a process are traced.
func traced(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	return !slices.ContainsFunc(threads, func(path string) bool {
		status, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(status), "TracerPid:\t0\n")
	})
}
