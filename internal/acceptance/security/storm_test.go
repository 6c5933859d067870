//go:build unix

package security_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// TestSecurityLoginStorm: five hundred parallel logins from different addresses need a bounded amount of memory.
// Those beyond the queue get `busy`, and logged-in users keep working.
func TestSecurityLoginStorm(t *testing.T) {
	t.Parallel()
	const (
		logins = 500
		budget = 110 // MiB at any time, of which two hashes take 38
	)
	server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), "ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.1",
		"ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=2")
	o := &outsider{Server: server}
	session, err := o.Register(http.DefaultClient, "ada", outsidersPassword)
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	o.add(t, "bob", outsidersPassword, "--verified") // a user may have so many sessions, and ada is to keep hers
	login, err := json.Marshal(map[string]any{"query": askLogin, "variables": map[string]string{"u": "bob",
		"p": outsidersPassword}})
	if err != nil {
		t.Fatal(err)
	}
	polite := o.as("Authorization", "JWT "+session.Token)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	stop, polled := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var took []time.Duration
		defer func() { polled <- took }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			answer, err := polite.trySend(http.DefaultClient, []byte(`{"query":"{ me { username } }"}`))
			if err != nil || answer.status != http.StatusOK || answer.body != `{"data":{"me":{"username":"ada"}}}`+
				"\n" {
				t.Errorf("me: got %+v, %v; want ada", answer, err)
			}
			took = append(took, time.Since(began))
		}
	}()
	answers := make([]observed, logins)
	var all sync.WaitGroup
	for i := range logins {
		all.Go(func() {
			from := o.as("X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", 113+i/200, 1+i%200))
			answer, err := from.trySend(client, login)
			if err != nil {
				t.Errorf("login %d: got %v, want an answer", i, err)
			}
			answers[i] = answer
		})
	}
	all.Wait()
	close(stop)
	took := <-polled
	in, busy := 0, 0
	for _, answer := range answers {
		switch {
		case answer.status == http.StatusOK && strings.Contains(answer.body, `"success":true`):
			in++
		case answer.status == http.StatusServiceUnavailable && strings.Contains(answer.body, `"code":"busy"`) &&
			answer.header.Get("Retry-After") != "":
			busy++
		default:
			t.Errorf("got status %d, Retry-After %q, %s; want a login or busy", answer.status,
				answer.header.Get("Retry-After"), answer.body)
		}
	}
	if in == 0 || busy == 0 || len(took) == 0 {
		t.Errorf("got %d logins, %d busy, %d answers of me; want some of each", in, busy, len(took))
	}
	slices.Sort(took)
	t.Logf("%d logged in, %d were told to come back; me: %d answers, median %v, 99th percentile %v", in, busy,
		len(took),
		took[len(took)/2], took[len(took)*99/100])
	most, known := highWater(t, server.Cmd.Process.Pid)
	t.Logf("most memory: %d MiB", most)
	if known && most > budget {
		t.Errorf("the server's memory: got %d MiB, want at most %d", most, budget)
	}
	if !o.opens(t, "bob", outsidersPassword) {
		t.Error("afterwards: got a refused login, want a login")
	}
}

// highWater returns the peak resident memory of a process in MiB, where the system reports it.
func highWater(t *testing.T, pid int) (mib int, known bool) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(status)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(kib, &mib); err != nil {
				t.Fatal(err)
			}
			return mib / 1024, true
		}
	}
	t.Fatal("/proc: got no VmHWM, want one")
	return 0, false
}
