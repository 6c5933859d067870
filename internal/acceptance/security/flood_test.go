//go:build unix

package security_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"accountd/internal/servertest"
)

// TestSecurityLoginsBesideFlood: 90 clients that try wrong passwords from ever new networks block hardly any login
// of the owner. The networks of one site share one turn in the queue; against many sites, half of the queue is
// reserved for networks with a good login.
func TestSecurityLoginsBesideFlood(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, network string // %x: random
		honest        string
		known         bool
	}{
		{"one site of IPv6", "2001:db8:1:%[1]x::1", "2001:db8:2:1::1", false},
		{"one site of IPv4", "198.51.100.%[2]d", "203.0.113.7", false},
		{"many sites", "2001:db8:%[1]x:1::1", "2001:db9:2:1::1", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			addOwner(t, dir)
			s := servertest.Start(t, dir, behindProxy, "ACCOUNTD_LIMITS_LOGINS_PER_IP=off",
				"ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=1", "ACCOUNTD_PASSWORDS_ARGON2_MEMORY=4MiB")
			login := func() bool {
				_, _, body := askRaw(t, viaProxy(test.honest), s, "", byName, map[string]any{"name": "ada",
					"password": ownersPassword})
				return strings.Contains(body, `"success":true`)
			}
			if test.known && !login() {
				t.Fatal("the owner before the flood: got a refusal, want a login")
			}
			const logins = 40
			var rounds [logins + 1]chan struct{} // closed as the owner's logins are sent, and at the end
			for i := range rounds {
				rounds[i] = make(chan struct{})
			}
			var flood sync.WaitGroup
			var round atomic.Int32
			full := make(chan struct{})
			queueIsFull := sync.OnceFunc(func() { close(full) })
			for worker := range 90 {
				flood.Go(func() {
					for i := 0; round.Load() < logins; i++ {
						now := round.Load()
						status, _, _ := askRaw(t, viaProxy(fmt.Sprintf(test.network, rand.N(1<<16), rand.N(250))), s,
							"", byName,
							map[string]any{"name": fmt.Sprint("nobody", worker, "-", i), "password": "wrong"})
						if status == http.StatusServiceUnavailable {
							queueIsFull()
							<-rounds[now] // it comes again beside the next login
						}
					}
				})
			}
			<-full
			in := 0
			for i := range logins {
				close(rounds[i])
				round.Store(int32(i) + 1)
				if login() {
					in++
				}
			}
			close(rounds[logins])
			flood.Wait()
			if in < 38 {
				t.Errorf("beside a flood: got %d of 40 logins, want at least 38", in)
			}
		})
	}
}

// TestSecurityOwnerBesideAttempts: an owner who has reset the password by mail can log in from that network during
// attacks from other networks. From any other network even the right password is refused.
func TestSecurityOwnerBesideAttempts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir, behindProxy)
	owner := viaProxy("192.0.2.7")
	client := 0
	failLogins := func(times int) {
		t.Helper()
		for range times {
			client++
			_, _, body := askRaw(t, viaProxy(fmt.Sprintf("2001:db8:%x::1", client)), s, "", byName,
				map[string]any{"name": "ada", "password": "wrong"})
			if body != loginRefused {
				t.Fatalf("got %s, want a refused login", body)
			}
		}
	}
	for reset, password := range []string{"brisk-heron-71", "brisk-heron-72", "brisk-heron-73"} {
		failLogins(25)
		askRaw(t, owner, s, "", `mutation { sendPasswordResetEmail(email: "ada@example.com") { success } }`, nil)
		_, _, body := askRaw(t, owner, s, "", `mutation($t: String!, $p: String!) { passwordReset(token: $t, `+
			`newPassword1: $p, newPassword2: $p) { success errors } }`,
			map[string]any{"t": newestToken(t, dir, "password-reset"), "p": password})
		if !strings.Contains(body, `"success":true`) {
			t.Fatalf("got %s, want success", body)
		}
		failLogins(77)
		in := 0
		for range 10 {
			failLogins(2)
			if _, _, body := askRaw(t, owner, s, "", byName, map[string]any{"name": "ada",
				"password": password}); strings.Contains(body, `"success":true`) {
				in++
			}
		}
		if in != 10 {
			t.Errorf("after reset %d: got %d logins, want 10", reset+1, in)
		}
		if _, _, body := askRaw(t, viaProxy("198.51.100.7"), s, "", byName, map[string]any{"name": "ada",
			"password": password}); body != loginRefused {
			t.Errorf("elsewhere: got %s, want a refused login", body)
		}
	}
}
