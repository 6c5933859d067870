//go:build unix

package security_test

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

const (
	outsidersPassword = "quiet-otter-42"

	askLogin = `mutation L($u: String, $e: String, $p: String!) { tokenAuth(username: $u, email: $e, password: $p) ` +
		`{ success errors token refreshToken unarchiving user { id } payload refreshExpiresIn } }`
	askResend   = `mutation R($e: String!) { resendActivationEmail(email: $e) { success errors } }`
	askReset    = `mutation R($e: String!) { sendPasswordResetEmail(email: $e) { success errors } }`
	askRegister = `mutation R($e: String!, $u: String!, $p: String!) { register(email: $e, username: $u, password1: ` +
		`$p, password2: $p) { success errors token refreshToken } }`
	askSecondary = `mutation S($e: String!, $p: String!) { sendSecondaryEmailActivation(email: $e, password: $p) { ` +
		`success errors } }`
)

// crowd adds one user of each state. They differ in nothing else.
func crowd(t *testing.T, o *outsider) {
	t.Helper()
	o.add(t, "verified", outsidersPassword, "--verified", "--secondary-email", "secondary@example.com")
	o.add(t, "unverified", outsidersPassword)
	o.add(t, "archived", outsidersPassword, "--verified", "--archived")
	o.add(t, "inactive", outsidersPassword, "--verified", "--inactive")
	o.add(t, "locked", outsidersPassword, "--verified")
	o.add(t, "nopassword", "", "--verified", "--no-password")
	o.add(t, "unusable", outsidersPassword, "--verified")
	o.Exec(t, `UPDATE users SET password = '!Kq0hG0l1vB' WHERE username = 'unusable'`) // as Django writes none
}

// refusedLogin is a kind of failed login whose response must not differ from the others.
type refusedLogin struct {
	name, user, password string
	before               func(t *testing.T, o *outsider) // what makes it so; nil: crowd does
}

// refusedLogins are all kinds; user is the username, and user@example.com the address.
var refusedLogins = []refusedLogin{
	{name: "unknown", user: "nobody", password: outsidersPassword},
	{name: "wrong password", user: "verified", password: "wrong"},
	{name: "unverified and wrong", user: "unverified", password: "wrong"},
	{name: "inactive", user: "inactive", password: outsidersPassword},
	{name: "inactive and wrong", user: "inactive", password: "wrong"},
	{name: "archived and wrong", user: "archived", password: "wrong"},
	{name: "passwordless", user: "nopassword", password: outsidersPassword},
	{name: "unusable password", user: "unusable", password: "!Kq0hG0l1vB"},
	{name: "locked", user: "locked", password: outsidersPassword, before: func(t *testing.T, o *outsider) {
		for range 10 { // limits.logins_per_account
			o.ask(t, askLogin, map[string]any{"u": "locked", "p": "wrong"})
		}
	}},
	{name: "NUL", user: "verified", password: "a\x00b"},
	{name: "more than a password can have", user: "verified", password: strings.Repeat("x", 1025)},
}

// TestSecurityLoginRefusals: all failed logins, by username and by address, have the same status, headers and body,
// and change nothing.
func TestSecurityLoginRefusals(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"register", "nothing", "all"} {
		t.Run(mode, func(t *testing.T) {
			o := outside(t, "ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS="+mode)
			crowd(t, o)
			const want = `{"data":{"tokenAuth":{"success":false,"errors":{"nonFieldErrors":[{"message":"Please, ` +
				`enter valid ` +
				`credentials.","code":"invalid_credentials"}]},` +
				`"token":null,"refreshToken":null,"unarchiving":false,"user":null,"payload":null,` +
				`"refreshExpiresIn":null}}}` + "\n"
			var first *observed
			for _, class := range refusedLogins {
				if class.before != nil {
					class.before(t, o)
				}
				for _, variables := range []map[string]any{
					{"u": class.user, "p": class.password}, {"e": class.user + "@example.com", "p": class.password},
				} {
					got := o.ask(t, askLogin, variables)
					if first == nil {
						first = &got
					}
					if diff := cmp.Diff(*first, got, cmp.AllowUnexported(observed{})); diff != "" || got.body != want {
						t.Errorf("%s differs (-%s +this):\n%s%s", class.name, refusedLogins[0].name, diff,
							got.body)
					}
				}
			}
			if users := o.Run(t, "", "user", "show", "archived", "--json"); !strings.Contains(users,
				`"archived":true`) {
				t.Errorf("after a wrong password: got %s, want an archived account", users)
			}
			if sent := o.mails(t); len(sent) > 0 {
				t.Errorf("got the mails %v, want none", sent)
			}
		})
	}
}

// TestSecurityReveal: what the three values of reveal_accounts reveal, for every state of the account that an
// address belongs to. All other responses are the same to the byte, headers included, and the expected mails are
// sent.
func TestSecurityReveal(t *testing.T) {
	t.Parallel()
	addresses := []string{"nobody", "verified", "secondary", "unverified", "archived", "inactive", "caller"}
	const (
		activate = " Activate your account on accountd"
		reset    = " Reset your password on accountd"
		have     = " You already have an account on accountd"
	)
	for _, mode := range []string{"nothing", "register", "all"} {
		for _, op := range []struct {
			name, query string
			reveals     map[string]string // code by address; "": the response for an unknown address
			mails       map[string]string // by address; "-": none
		}{
			{"resend", askResend,
				map[string]map[string]string{"all": {"verified": "already_verified", "secondary": "already_verified",
					"archived": "already_verified", "caller": "already_verified"}}[mode],
				map[string]string{"unverified": "unverified@example.com" + activate}},
			{"reset", askReset,
				map[string]map[string]string{"all": {"unverified": "not_verified"}}[mode],
				map[string]string{
					"verified": "verified@example.com" + reset, "secondary": "secondary@example.com" + reset,
					"unverified": "unverified@example.com" + activate,
					"archived":   "archived@example.com" + reset, "caller": "caller@example.com" + reset,
				}},
			{"register", askRegister, takenIn(mode, addresses[1:]), map[string]map[string]string{"nothing": {
				"verified": "verified@example.com" + have, "secondary": "secondary@example.com" + have,
				"unverified": "unverified@example.com" + have,
				"archived":   "archived@example.com" + have, "caller": "caller@example.com" + have,
				"nobody": "nobody@example.com" +
					activate,
			}, "register": {"nobody": "nobody@example.com" + activate}, "all": {"nobody": "nobody@example.com" +
				activate}}[mode]},
			{"secondary", askSecondary, secondaryIn(mode, addresses[1:]), map[string]map[string]string{"nothing": {
				"verified": "verified@example.com" + have, "secondary": "secondary@example.com" + have,
				"unverified": "unverified@example.com" + have,
				"archived":   "archived@example.com" + have, "nobody": "nobody@example.com" + activate,
			}, "register": {"nobody": "nobody@example.com" + activate}, "all": {"nobody": "nobody@example.com" +
				activate}}[mode]},
		} {
			t.Run(mode+"/"+op.name, func(t *testing.T) {
				t.Parallel()
				o := outside(t, "ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS="+mode)
				crowd(t, o)
				o.add(t, "caller", outsidersPassword, "--verified")
				if op.query == askSecondary {
					o = o.logIn(t, "caller", outsidersPassword)
				}
				var nobody observed
				for i, address := range addresses {
					got := o.ask(t, op.query, map[string]any{"e": address + "@example.com", "u": fmt.Sprintf("new%d",
						i),
						"p": outsidersPassword})
					if address == "nobody" {
						if nobody = got; !strings.Contains(got.body, `"success":true,"errors":null`) {
							t.Fatalf("%s of an unknown address: got %s, want success", op.name, got.body)
						}
						hasTokens := strings.Contains(got.body, `"token":"`)
						if hasTokens != (op.query == askRegister && mode != "nothing") {
							t.Errorf("tokens for a free address: got %t, want %t", hasTokens, !hasTokens)
						}
					}
					if code := op.reveals[address]; code != "" {
						if !strings.Contains(got.body, `"success":false`) || !strings.Contains(got.body, `"code":"`+
							code+`"`) {
							t.Errorf("%s: %s, want %s", address, got.body, code)
						}
					} else if diff := cmp.Diff(nobody, got, cmp.AllowUnexported(observed{})); diff != "" {
						t.Errorf("%s differs (-nobody +this):\n%s", address, diff)
					}
					want := []string{}
					if m := op.mails[address]; m != "" {
						want = append(want, m)
					}
					if diff := cmp.Diff(want, o.mails(t)); diff != "" {
						t.Errorf("%s: mails (-want +got):\n%s", address, diff)
					}
				}
			})
		}
	}
}

// takenIn returns what register reveals: a taken address, except under "nothing".
func takenIn(mode string, addresses []string) map[string]string {
	revealed := map[string]string{}
	for _, address := range addresses {
		if mode != "nothing" {
			revealed[address] = "unique"
		}
	}
	return revealed
}

// secondaryIn returns what sendSecondaryEmailActivation reveals: the same, and always the caller's own address.
func secondaryIn(mode string, addresses []string) map[string]string {
	revealed := takenIn(mode, addresses)
	revealed["caller"] = "unique"
	return revealed
}

// TestSecurityResetWithoutSpool: with an unwritable spool the responses are unchanged, and readiness is red.
func TestSecurityResetWithoutSpool(t *testing.T) {
	t.Parallel()
	o := outside(t)
	crowd(t, o)
	want := o.ask(t, askReset, map[string]any{"e": "nobody@example.com"})
	spool := filepath.Join(o.DataDir, "spool")
	if err := os.Rename(spool, spool+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spool, nil, 0o600); err != nil { // modes do not keep root out
		t.Fatal(err)
	}
	for _, query := range []string{askReset, askResend} {
		for _, address := range []string{"nobody", "verified", "unverified", "archived", "secondary", "inactive"} {
			got := o.ask(t, query, map[string]any{"e": address + "@example.com"})
			got.body = strings.Replace(got.body, "resendActivationEmail", "sendPasswordResetEmail", 1)
			got.header.Set("Content-Length", want.header.Get("Content-Length")) // the names differ in length
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(observed{})); diff != "" {
				t.Errorf("%s differs (-nobody before +this):\n%s", address, diff)
			}
		}
	}
	resp, err := http.Get(o.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readiness: got %s, want 503", resp.Status)
	}
}

// TestSecurityUniformTime: no constant-time response is sent before its time. TestTiming shows that the work fits
// into that time.
func TestSecurityUniformTime(t *testing.T) {
	t.Parallel()
	const due = 300 * time.Millisecond
	o := outside(t, "ACCOUNTD_LIMITS_UNIFORM_TIME="+due.String(), "ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS=nothing")
	crowd(t, o)
	o.add(t, "caller", outsidersPassword, "--verified")
	caller := o.logIn(t, "caller", outsidersPassword)
	var all sync.WaitGroup
	for i, address := range []string{"nobody", "verified", "secondary", "unverified", "archived", "inactive"} {
		for _, query := range []string{askResend, askReset, askRegister, askSecondary} {
			all.Go(func() {
				began := time.Now()
				caller.ask(t, query, map[string]any{"e": address + "@example.com", "u": fmt.Sprintf("new%d", i),
					"p": outsidersPassword})
				if took := time.Since(began); took < due {
					t.Errorf("%s, %s: got an answer after %v, want at least %v", query, address, took, due)
				}
			})
		}
	}
	all.Wait()
}

// TestSecurityUniformTimeEnds: delayed responses do not delay the end of the server.
func TestSecurityUniformTimeEnds(t *testing.T) {
	o := outside(t, "ACCOUNTD_LIMITS_UNIFORM_TIME=5s")
	o.add(t, "verified", outsidersPassword, "--verified")
	began := time.Now()
	answer := make(chan observed, 1)
	go func() { answer <- o.ask(t, askReset, map[string]any{"e": "verified@example.com"}) }()
	for len(o.mails(t)) == 0 {
		if time.Since(began) > 4*time.Second {
			t.Fatal("got no mail within 4 s, want one before the answer")
		}
	}
	if err := o.Stop(); err != nil {
		t.Error(err)
	}
	if got := <-answer; !strings.Contains(got.body, `"success":true`) {
		t.Errorf("got %s, want success", got.body)
	}
	if took := time.Since(began); took >= 5*time.Second {
		t.Errorf("the server: got an end after %v, want less than 5 s", took)
	}
}

// TestSecurityDearestHash: if one user has an imported hash that takes a thousand times as long as the others, every
// wrong password takes that long.
func TestSecurityDearestHash(t *testing.T) {
	const iterations = 1_000_000
	o := outside(t)
	crowd(t, o)
	o.Exec(t, `UPDATE users SET password = ? WHERE username = 'unverified'`, fmt.Sprintf("pbkdf2_sha256$%d$salt$%s",
		iterations, strings.Repeat("A", 43)+"="))
	if err := o.Stop(); err != nil {
		t.Fatal(err)
	}
	fastest := time.Hour
	for range 3 { // other programs cost time as well
		began := time.Now()
		if _, err := pbkdf2.Key(sha256.New, "wrong", []byte("salt"), iterations, 32); err != nil {
			t.Fatal(err)
		}
		fastest = min(fastest, time.Since(began))
	}
	o.Server = servertest.Cheap(t, o.DataDir)
	var all sync.WaitGroup
	for _, class := range refusedLogins {
		if class.before != nil {
			continue // it would be some seconds more
		}
		all.Go(func() {
			began := time.Now()
			o.ask(t, askLogin, map[string]any{"u": class.user, "p": class.password})
			if took := time.Since(began); took < fastest/2 {
				t.Errorf("%s: got an answer after %v, want at least half of Django's hash, %v", class.name, took,
					fastest)
			}
		})
	}
	all.Wait()
}
