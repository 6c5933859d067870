//go:build unix

package security_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/servertest"
)

const ownersPassword = "quiet-otter-42"

// behindProxy makes the server trust the proxy's X-Forwarded-For.
const behindProxy = "ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.0/8"

// viaProxy returns a client whose requests have an X-Forwarded-For header.
func viaProxy(header string) *http.Client {
	return &http.Client{Transport: forwarding(header)}
}

type forwarding string

func (f forwarding) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Forwarded-For", string(f))
	return http.DefaultTransport.RoundTrip(r)
}

// addOwner makes a verified account named ada with a secondary address.
func addOwner(t *testing.T, dir string) {
	t.Helper()
	servertest.Run(t, dir, ownersPassword, "user", "add", "--username=ada", "--email=ada@example.com",
		"--secondary-email=ada@home.example", "--verified", "--password-stdin")
}

// askRaw posts a query and returns the raw response.
func askRaw(t *testing.T, client *http.Client, s *servertest.Server, token, query string,
	variables map[string]any) (status int, header http.Header, body string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return postRaw(t, client, s, token, text)
}

func postRaw(t *testing.T, client *http.Client, s *servertest.Server, token string, text []byte) (status int,
	header http.Header, body string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/graphql", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "JWT "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(answer)
}

const (
	byName = `mutation($name: String, $password: String!) { tokenAuth(username: $name, password: $password) { ` +
		`success errors token } }`
	byMail = `mutation($name: String, $password: String!) { tokenAuth(email: $name, password: $password) { success ` +
		`errors token } }`

	loginRefused = `{"data":{"tokenAuth":{"success":false,"errors":{"nonFieldErrors":[{"message":"Please, enter ` +
		`valid credentials.","code":"invalid_credentials"}]},"token":null}}}` + "\n"
	passwordRefused = `{"data":{"archiveAccount":{"success":false,"errors":{"password":[{"message":"Invalid ` +
		`password.","code":"invalid_password"}]}}}}` + "\n"
)

func tryLogin(t *testing.T, s *servertest.Server, query, name, password string) string {
	t.Helper()
	_, _, body := askRaw(t, http.DefaultClient, s, "", query, map[string]any{"name": name, "password": password})
	return body
}

func tryArchive(t *testing.T, s *servertest.Server, token, password string) string {
	t.Helper()
	_, _, body := askRaw(t, http.DefaultClient, s, token,
		`mutation($p: String!) { archiveAccount(password: $p) { success errors } }`, map[string]any{"p": password})
	return body
}

var linkOfMail = regexp.MustCompile(`http://\S+/(activate|password-reset)/(\S+)`)

// newestToken returns the token of the newest mail in the spool whose link has the path.
func newestToken(t *testing.T, dir, path string) string {
	t.Helper()
	files := spooledMails(t, dir)
	for _, file := range slices.Backward(files) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := linkOfMail.FindSubmatch(text); found != nil && string(found[1]) == path {
			return string(found[2])
		}
	}
	t.Fatalf("got no mail with a link to %s among %d, want one", path, len(files))
	return ""
}

func spooledMails(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "spool", "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSecurityAccountLimit: after ten wrong passwords, by any name and in any operation, the right one is refused
// as well, also after a kill. A reset by mail lets the owner in at once.
func TestSecurityAccountLimit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir)
	session, err := s.Login(http.DefaultClient, "ada", ownersPassword)
	if err != nil || session.Token == "" {
		t.Fatalf("got %+v, %v; want a token", session, err)
	}
	names := []struct{ query, name string }{{byName, "ada"}, {byName, "ADA"}, {byMail, "ada@example.com"},
		{byMail, "ADA@home.example"}}
	for i := range 8 {
		if body := tryLogin(t, s, names[i%4].query, names[i%4].name, "wrong"); body != loginRefused {
			t.Fatalf("attempt %d: got %s, want a refused login", i, body)
		}
	}
	for range 2 {
		if body := tryArchive(t, s, session.Token, "wrong"); body != passwordRefused {
			t.Fatalf("archiveAccount: got %s, want a refused password", body)
		}
	}
	unknown := tryLogin(t, s, byName, "nobody", "wrong")
	refuses := func(when string) {
		t.Helper()
		for _, n := range names {
			if body := tryLogin(t, s, n.query, n.name, ownersPassword); body != unknown || body != loginRefused {
				t.Errorf("%s, %s: got %s, want a refused login", when, n.name, body)
			}
		}
	}
	refuses("full")
	if body := tryArchive(t, s, session.Token, ownersPassword); body != passwordRefused {
		t.Errorf("archiveAccount of a locked account: got %s, want a refused password", body)
	}
	s.Kill()
	s = servertest.Cheap(t, dir)
	refuses("after a power cut")
	if out := servertest.Run(t, dir, "", "user", "show", "ada", "--json"); !strings.Contains(out,
		`"throttled":{"failures":10,"refused":9,"until":"`) {
		t.Errorf("user show: got %s, want 10 failures, 9 refused and a time", out)
	}

	askRaw(t, http.DefaultClient, s, "", `mutation { sendPasswordResetEmail(email: "ada@home.example") { success } }`,
		nil)
	_, _, body := askRaw(t, http.DefaultClient, s, "",
		`mutation($t: String!) { passwordReset(token: $t, newPassword1: "brisk-heron-71", newPassword2: `+
			`"brisk-heron-71") `+
			`{ success } }`,
		map[string]any{"t": newestToken(t, dir, "password-reset")})
	if !strings.Contains(body, `"success":true`) {
		t.Fatalf("passwordReset: got %s, want success", body)
	}
	if body := tryLogin(t, s, byName, "ada", "brisk-heron-71"); !strings.Contains(body, `"success":true`) {
		t.Errorf("after the reset: got %s, want a login", body)
	}
}

// TestSecurityReauthentication: eleven wrong passwords in archiveAccount limit logins, too.
func TestSecurityReauthentication(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir)
	session, err := s.Login(http.DefaultClient, "ada", ownersPassword)
	if err != nil {
		t.Fatal(err)
	}
	for range 11 {
		if body := tryArchive(t, s, session.Token, "wrong"); body != passwordRefused {
			t.Fatalf("archiveAccount: got %s, want a refused password", body)
		}
	}
	if body := tryArchive(t, s, session.Token, ownersPassword); body != passwordRefused {
		t.Errorf("the right password: got %s, want a refused password", body)
	}
	if body := tryLogin(t, s, byName, "ada", ownersPassword); body != loginRefused {
		t.Errorf("the right login: got %s, want a refused login", body)
	}
}

// TestSecurityParallelAttempts: of 64 parallel wrong passwords ten are checked. 64 parallel right ones all succeed.
func TestSecurityParallelAttempts(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir, "ACCOUNTD_PASSWORDS_ARGON2_CONCURRENT=16")
	storm := func(password string) (in int) {
		var mu sync.Mutex
		var group sync.WaitGroup
		for range 64 {
			group.Go(func() {
				session, err := s.Login(http.DefaultClient, "ada", password)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if session.Success {
					in++
				}
			})
		}
		group.Wait()
		return in
	}
	if in := storm(ownersPassword); in != 64 {
		t.Errorf("the right password: got %d logins, want 64", in)
	}
	if in := storm("wrong"); in != 0 {
		t.Errorf("a wrong password: got %d logins, want 0", in)
	}
	if out := servertest.Run(t, dir, "", "user", "show", "ada", "--json"); !strings.Contains(out,
		`"throttled":{"failures":10,"refused":54,"until":"`) {
		t.Errorf("user show: got %s, want 10 failures, 54 refused and a time", out)
	}
	if got := strings.Count(s.Log(), `"event":"login_failed","user":1,"throttled":false`); got != 10 {
		t.Errorf("got %d passwords checked, want 10\n%s", got, s.Log())
	}
}

// TestSecurityThrottledTime: a rate-limited login takes as long as one whose password is checked.
func TestSecurityThrottledTime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	servertest.Run(t, dir, ownersPassword, "user", "add", "--username=bob", "--email=bob@example.com",
		"--password-stdin")
	s := servertest.Start(t, dir, "ACCOUNTD_LIMITS_CONSECUTIVE_FAILURES=1", "ACCOUNTD_LIMITS_LOGINS_PER_ACCOUNT=off")
	tryLogin(t, s, byName, "ada", "wrong") // which is her last
	var closed, open []time.Duration
	for i := range 12 {
		start := time.Now()
		tryLogin(t, s, byName, "ada", ownersPassword)
		closed = append(closed, time.Since(start))
		start = time.Now()
		tryLogin(t, s, byName, fmt.Sprint("nobody", i), "wrong")
		open = append(open, time.Since(start))
	}
	slices.Sort(closed)
	slices.Sort(open)
	if a, b := closed[6], open[6]; 2*a < b || 2*b < a {
		t.Errorf("a throttled login: got %v, want about the time of another, %v", a, b)
	}
}

// throttledAnswer reports whether a response is the complete one of a rate-limited network.
func throttledAnswer(t *testing.T, status int, header http.Header, body string) bool {
	t.Helper()
	if status != http.StatusTooManyRequests {
		return false
	}
	if !strings.Contains(body, `"code":"throttled"`) || !strings.Contains(body, `"retryAfter":`+
		header.Get("Retry-After")) || header.Get("Retry-After") == "" {
		t.Errorf("got status %d, Retry-After %q, %s; want throttled with that time", status, header.Get("Retry-After"),
			body)
	}
	return true
}

// TestSecurityNetworkLimit: wrong passwords count for the network that the trusted proxy names, for IPv6 its first
// 64 bits. Addresses that the client writes into the header do not count. A proxy on this machine that names no
// valid client is counted itself; a back end without the header is exempt.
func TestSecurityNetworkLimit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir, behindProxy)
	n := 0
	fail := func(header string, times int) (throttled int) {
		t.Helper()
		client := viaProxy(header)
		if header == "" {
			client = http.DefaultClient
		}
		for range times {
			n++
			status, answer, body := askRaw(t, client, s, "", byName, map[string]any{"name": fmt.Sprint("nobody", n),
				"password": "wrong"})
			if throttledAnswer(t, status, answer, body) {
				throttled++
			} else if body != loginRefused {
				t.Fatalf("got %s, want a refused login", body)
			}
		}
		return throttled
	}
	throttled := 0
	for i := range 100 {
		throttled += fail(fmt.Sprintf("2001:db8:1:2:%x::%x", i, i+1), 1)
	}
	if throttled != 40 {
		t.Errorf("%d of 100 addresses of one network were throttled, want 40", throttled)
	}
	if status, _, body := askRaw(t, viaProxy("2001:db8:1:2::99"), s, "", byName, map[string]any{"name": "ada",
		"password": ownersPassword}); status != 429 {
		t.Errorf("a right password from there: got %d %s, want 429", status, body)
	}
	if got := fail("2001:db8:1:3::1", 1); got != 0 {
		t.Errorf("the next network: got %d throttled, want 0", got)
	}
	for i := range 70 { // the client writes another address each time
		throttled = fail(fmt.Sprintf("198.51.100.%d, 203.0.113.9", i), 1)
	}
	if throttled != 1 {
		t.Errorf("with addresses that the client wrote itself: got %d throttled, want 1", throttled)
	}
	if got := fail("198.51.100.1, 203.0.113.10", 1); got != 0 {
		t.Errorf("another client of the proxy: got %d throttled, want 0", got)
	}
	if got := fail("", 70); got != 0 {
		t.Errorf("a back end that names no client: got %d throttled, want 0", got)
	}
	if got := fail("not an address", 70); got != 10 {
		t.Errorf("%d of 70 requests of a proxy that names no client were throttled, want 10", got)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s = servertest.Cheap(t, dir, behindProxy)
	if got := fail("203.0.113.9", 1); got != 1 {
		t.Errorf("after a restart: got %d throttled, want 1", got)
	}
	other := filepath.Join(t.TempDir(), "data")
	s = servertest.Cheap(t, other)
	if got := fail("", 70); got != 0 {
		t.Errorf("this machine: got %d throttled, want 0", got)
	}
	if got := fail("203.0.113.9", 61); got != 1 {
		t.Errorf("61 requests of an untrusted proxy: got %d throttled, want 1", got)
	}
}

// TestSecurityThrottleBound: made-up names need a bounded amount of disk.
func TestSecurityThrottleBound(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	size := func(from, to int) int64 {
		t.Helper()
		s := servertest.Cheap(t, dir, "ACCOUNTD_LIMITS_THROTTLE_KEYS=200")
		var group sync.WaitGroup
		for worker := range 8 {
			group.Go(func() {
				for i := from + worker; i < to; i += 8 {
					if _, err := s.Login(http.DefaultClient, fmt.Sprint("nobody", i), "wrong"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, "accountd.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if first, second := size(0, 400), size(400, 2400); second > first+first/10 {
		t.Errorf("the file: got %d bytes more, want at most a tenth above %d", second, first)
	}
}

// TestSecurityOneCredentialMutation: a request with several passwords is refused before any of them is checked.
func TestSecurityOneCredentialMutation(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir, "ACCOUNTD_LIMITS_CONSECUTIVE_FAILURES=1")
	const try = `tokenAuth(username: "ada", password: "wrong") { success }`
	for name, query := range map[string]string{
		"aliases":    `mutation { a: ` + try + ` b: ` + try + ` }`,
		"a fragment": `mutation { ...F } fragment F on Mutation { a: ` + try + ` b: ` + try + ` }`,
		"two fragments": `mutation { ...F ...G } fragment F on Mutation { a: ` + try +
			` } fragment G on Mutation { b: ` + try + ` }`,
		"an inline fragment": `mutation { a: ` + try + ` ... on Mutation { b: ` + try + ` } }`,
		"different ones": `mutation { ` + try +
			` passwordReset(token: "x", newPassword1: "y", newPassword2: "y") { success } }`,
	} {
		if _, _, body := askRaw(t, http.DefaultClient, s, "", query, nil); !strings.Contains(body,
			`"code":"one_credential_mutation"`) || strings.Contains(body, `"data"`) {
			t.Errorf("%s: got %s, want one_credential_mutation without data", name, body)
		}
	}
	if body := tryLogin(t, s, byName, "ada", ownersPassword); !strings.Contains(body, `"success":true`) {
		t.Errorf("afterwards: got %s, want a login, since no password was checked", body)
	}
}

// TestSecurityArrayBatch: an array of requests is refused.
func TestSecurityArrayBatch(t *testing.T) {
	t.Parallel()
	s := servertest.New(t)
	for _, text := range []string{`[]`, `[{"query":"{ me { id } }"}]`,
		`[{"query":"{ me { id } }"},{"query":"{ me { id } }"}]`} {
		if status, _, body := postRaw(t, http.DefaultClient, s, "", []byte(text)); status != http.StatusBadRequest ||
			strings.Contains(body, `"data"`) {
			t.Errorf("%s: got %d %s, want 400", text, status, body)
		}
	}
}

// TestSecurityMailedTokens: action tokens are long and unique, and wrong ones are rate-limited; a valid one is
// accepted.
func TestSecurityMailedTokens(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	addOwner(t, dir)
	s := servertest.Cheap(t, dir, behindProxy)
	client := viaProxy("203.0.113.9")
	ask := func() string {
		t.Helper()
		askRaw(t, http.DefaultClient, s, "",
			`mutation { sendPasswordResetEmail(email: "ada@example.com") { success } }`, nil)
		return newestToken(t, dir, "password-reset")
	}
	first, second := ask(), ask()
	for _, token := range []string{first, second} {
		if len(token) < 64 || len(token) > 1024 || !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(token) {
			t.Errorf("got the token %q, want 64 to 1024 characters of base64url", token)
		}
	}
	if n := len(first); first == second || first[n-43:] == second[n-43:] { // the signature, 256 bits
		t.Errorf("got the tokens %q and %q, want different ones with different signatures", first, second)
	}
	mutations := []string{
		`mutation($t: String!) { verifyAccount(token: $t) { success errors } }`,
		`mutation($t: String!) { verifySecondaryEmail(token: $t) { success errors } }`,
		`mutation($t: String!) { passwordReset(token: $t, newPassword1: "brisk-heron-71", newPassword2: ` +
			`"brisk-heron-71") ` +
			`{ success errors } }`,
		`mutation($t: String!) { passwordSet(token: $t, newPassword1: "brisk-heron-71", newPassword2: ` +
			`"brisk-heron-71") { ` +
			`success errors } }`,
	}
	throttled := 0
	for i := range 1000 {
		token := first[:len(first)-4] + fmt.Sprintf("%04d", i)
		status, header, body := askRaw(t, client, s, "", mutations[i%4], map[string]any{"t": token})
		if throttledAnswer(t, status, header, body) {
			throttled++
		} else if !strings.Contains(body, `"invalid_token"`) {
			t.Fatalf("got %s, want invalid_token", body)
		}
	}
	if throttled != 940 {
		t.Errorf("%d of 1000 wrong tokens were throttled, want 940", throttled)
	}
	if _, _, body := askRaw(t, client, s, "", mutations[2], map[string]any{"t": second}); !strings.Contains(body,
		`"success":true`) {
		t.Errorf("the valid token: got %s, want success", body)
	}
}

// TestSecurityMailBombing: fifty requests for an address, in any spelling, send three mails of a kind.
func TestSecurityMailBombing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Cheap(t, dir, behindProxy)
	if _, err := s.Register(http.DefaultClient, "ada", ownersPassword); err != nil {
		t.Fatal(err)
	}
	before := len(spooledMails(t, dir))
	spellings := []string{"ada@example.com", "ADA@example.com", " ada@Example.COM ", "aDa@example.com"}
	// which is an activation mail to the unverified
	for _, mutation := range []string{"resendActivationEmail", "sendPasswordResetEmail"} {
		for i := range 50 {
			_, _, body := askRaw(t, viaProxy(fmt.Sprintf("203.0.113.%d", i)), s, "", `mutation($e: String!) { `+
				mutation+
				`(email: $e) { success errors } }`,
				map[string]any{"e": spellings[i%len(spellings)]})
			if body != `{"data":{"`+mutation+`":{"success":true,"errors":null}}}`+"\n" {
				t.Fatalf("%s: got %s, want success", mutation, body)
			}
		}
	}
	if got := len(spooledMails(t, dir)) - before; got != 3 {
		t.Errorf("%d mails, want 3", got)
	}
}

// TestSecurityMailBudget: how many mails a network may still ask for does not reveal whether its earlier requests
// sent any.
func TestSecurityMailBudget(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Cheap(t, dir, behindProxy, "ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS=nothing",
		"ACCOUNTD_LIMITS_MAILS_PER_IP=5/h", "ACCOUNTD_LIMITS_UNIFORM_TIME=0s")
	add := func(name string, flags ...string) {
		t.Helper()
		servertest.Run(t, dir, ownersPassword, append([]string{"user", "add", "--username", name, "--email", name +
			"@example.com", "--password-stdin"}, flags...)...)
	}
	add("verified", "--verified")
	add("unverified")
	add("inactive", "--inactive")
	add("caller", "--verified")
	session, err := s.Login(http.DefaultClient, "caller", ownersPassword)
	if err != nil {
		t.Fatal(err)
	}
	const register = `mutation($e: String!, $u: String!, $p: String!) { register(email: $e, username: $u, password1: ` +
		`$p, password2: $p) { success errors } }`
	network := 0
	for _, query := range []string{askResend, askReset, askSecondary, register} {
		for _, target := range []string{"nobody", "verified", "unverified", "inactive"} {
			network++
			client := viaProxy(fmt.Sprintf("203.0.113.%d", network))
			ask := func(query, address string, i int) {
				t.Helper()
				token, variables := "", map[string]any{"e": address}
				switch query {
				case register:
					variables["u"], variables["p"] = fmt.Sprintf("n%dx%d", network, i), ownersPassword
				case askSecondary:
					token, variables["p"] = session.Token, ownersPassword
				}
				if _, _, body := askRaw(t, client, s, token, query, variables); !strings.Contains(body,
					`"success":true`) {
					t.Fatalf("got %s, want success", body)
				}
			}
			for i := range 4 {
				ask(query, target+"@example.com", i)
			}
			before := len(spooledMails(t, dir))
			for i := range 2 {
				own := fmt.Sprintf("own%dx%d", network, i)
				add(own, "--verified")
				ask(askReset, own+"@example.com", 0)
			}
			if got := len(spooledMails(t, dir)) - before; got != 1 {
				t.Errorf("after four of %s for %s the network is sent %d mails, want 1", query[:10], target, got)
			}
		}
	}
}

// TestSecurityRegistrationFlood: one network can register thirty times an hour, and registrations of taken addresses
// count.
func TestSecurityRegistrationFlood(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Cheap(t, dir, behindProxy)
	client := viaProxy("203.0.113.9")
	throttled := 0
	for i := range 40 {
		email := fmt.Sprintf("user%d@example.com", i)
		if i%4 == 3 {
			email = "user0@example.com"
		}
		status, header, body := askRaw(t, client, s, "",
			`mutation($e: String!, $u: String!, $p: String!) { register(email: $e, username: $u, password1: $p, `+
				`password2: `+
				`$p) { success errors } }`,
			map[string]any{"e": email, "u": fmt.Sprint("user", i), "p": ownersPassword})
		if throttledAnswer(t, status, header, body) {
			throttled++
		}
	}
	accounts := strings.Count(servertest.Run(t, dir, "", "user", "list", "--json"), "\n")
	if throttled != 10 || accounts != 23 { // seven of thirty were for a taken address
		t.Errorf("%d of 40 were throttled, want 10; there are %d accounts, want 23", throttled, accounts)
	}
}

// TestSecurityPurgeRefused: the server refuses to start with purge_unverified if unverified users may log in or
// cannot verify.
func TestSecurityPurgeRefused(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{
		"unverified users may log in": {"ACCOUNTD_ACCOUNTS_PURGE_UNVERIFIED=30d"},
		"no activation mails": {"ACCOUNTD_ACCOUNTS_PURGE_UNVERIFIED=30d",
			"ACCOUNTD_ACCOUNTS_ALLOW_LOGIN_NOT_VERIFIED=false", "ACCOUNTD_ACCOUNTS_SEND_ACTIVATION_EMAIL=false"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		cmd := exec.Command(servertest.Binary(t), "serve", "--listen=127.0.0.1:0", "--data-dir", dir)
		cmd.Dir, cmd.Env = filepath.Dir(dir), append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "accounts.purge_unverified") {
			t.Errorf("%s: got %v\n%s\nwant a refusal of accounts.purge_unverified", name, err, out)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s: got %v for the data directory, want none", name, err)
		}
	}
}
