package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	passwords "accountd/internal/password"
	"accountd/internal/ratelimit"
	"accountd/tokens"
)

// standard are the limits of the default settings.
func standard(s *Settings, _ *tokens.Settings) {
	s.Throttle = ThrottleSettings{
		LoginsPerAccount:    ratelimit.Rate{Count: 10, Per: 15 * time.Minute},
		ConsecutiveFailures: 100,
		LoginsPerIP:         []ratelimit.Rate{{Count: 60, Per: time.Hour}},
		RegistrationsPerIP:  []ratelimit.Rate{{Count: 30, Per: time.Hour}},
		MailsPerRecipient:   []ratelimit.Rate{{Count: 3, Per: time.Hour}, {Count: 10, Per: 24 * time.Hour}},
		MailsPerIP:          []ratelimit.Rate{{Count: 60, Per: time.Hour}},
		Keys:                100_000,
	}
}

// from is a request of somebody on a network.
func from(t *testing.T, addr string) context.Context {
	t.Helper()
	return WithClient(t.Context(), addr, nil)
}

// failLogin makes a login that has to be refused as one with a wrong password.
func (h *harness) failLogin(t *testing.T, ctx context.Context, in LoginInput) {
	t.Helper()
	if _, err := h.Login(ctx, in); !cmp.Equal(err, error(invalidCredentials)) {
		t.Fatalf("got %v, want %v", err, invalidCredentials)
	}
}

// failLogins gives ada's account n wrong passwords.
func (h *harness) failLogins(t *testing.T, n int) {
	t.Helper()
	h.failLoginsFrom(t, "", n)
}

// mayLogIn reports whether ada can log in. If not, nothing has changed.
func (h *harness) mayLogIn(t *testing.T) bool {
	t.Helper()
	return h.mayLogInFrom(t, "")
}

// TestAccountLimit: every name of an account, and every operation that asks for its password, count in one counter.
// When that is full, the right password is answered like a wrong one, wherever it is given.
func TestAccountLimit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	token := h.login(t).Token
	type try struct {
		name string
		try  func(password string) error
		want error
	}
	var tries []try
	for name, in := range map[string]LoginInput{
		"username": byUsername("ada", ""), "username in another case": byUsername("ADA", ""),
		"address": byEmail("ada@EXAMPLE.com", ""), "secondary address": byEmail("ada2@example.com", ""),
	} {
		login := func(p string) error {
			in.Password = p
			return h.tryLogin(t, in)()
		}
		tries = append(tries, try{name, login, invalidCredentials})
	}
	for _, op := range ownOperations {
		wrong := Errors{op.field: wrongPassword}
		tries = append(tries, try{op.name, func(p string) error { return h.own(t, op, token, p)() }, wrong})
	}
	if len(tries) != 10 {
		t.Fatalf("%d ways to give a password, want 10: add the new one to the test", len(tries))
	}
	for _, try := range tries {
		if err := try.try("wrong"); !cmp.Equal(err, try.want) {
			t.Errorf("%s: got %v, want %v", try.name, err, try.want)
		}
	}
	for _, try := range tries {
		h.refused(t, try.want, func() error { return try.try(password) })
	}
	if _, err := h.Login(t.Context(), byUsername("bob", password)); err != nil {
		t.Errorf("another user: got %v, want no error", err)
	}
	want := &Throttled{Failures: 10, Refused: 10, Until: h.now().Add(15 * time.Minute).UTC()}
	if diff := cmp.Diff(want, h.user(t, "ada").Throttled); diff != "" {
		t.Errorf("throttled (-want +got):\n%s", diff)
	}
	h.advance(15*time.Minute - time.Second)
	if h.mayLogIn(t) {
		t.Error("a second before the end: got a login, want a refusal")
	}
	h.advance(time.Second)
	if !h.mayLogIn(t) {
		t.Error("after the delay: got a refusal, want a login")
	}
	if n := h.failures(t, ada.ID); n != 0 {
		t.Errorf("a login leaves %d failures, want 0", n)
	}
	token = h.login(t).Token
	h.failLogins(t, 9)
	h.succeed(t, "SendSecondaryEmailActivation", token)
	h.failLogins(t, 9)
	if !h.mayLogIn(t) {
		t.Error("after the right password for another operation: got a refusal, want a login")
	}
}

// failures is how many wrong passwords in a row are counted of a user.
func (h *harness) failures(t *testing.T, id int64) int {
	t.Helper()
	return h.count(t, `SELECT coalesce((SELECT failures FROM throttles WHERE kind = 'account' AND key = ?), 0)`,
		fmt.Sprint(id))
}

// TestLockoutGrows: after each lockout ten more passwords are tried, and the next lockout is twice as long. After a
// hundred wrong passwords in a row only a new password helps.
func TestLockoutGrows(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	delay := 15 * time.Minute
	for range 9 {
		h.failLogins(t, 10)
		h.advance(delay - time.Second)
		if h.mayLogIn(t) {
			t.Fatalf("a second before %v: got a login, want a refusal", delay)
		}
		h.advance(time.Second)
		if got := h.user(t, "ada").Throttled; got != nil {
			t.Fatalf("after %v: got the throttle %+v, want none", delay, got)
		}
		delay = min(2*delay, 24*time.Hour)
	}
	h.failLogins(t, 10)
	h.advance(10 * 365 * 24 * time.Hour)
	if h.mayLogIn(t) {
		t.Error("ten years after a hundred failures in a row: got a login, want a refusal")
	}
	if got := h.user(t, "ada").Throttled; got == nil || got.Failures != 100 || !got.Until.IsZero() {
		t.Errorf("got the throttle %+v, want 100 failures and no end", got)
	}
}

// TestThrottleClock: a clock that is set back by a day neither ends a lockout nor prolongs it by that day.
func TestThrottleClock(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	h.failLogins(t, 10)
	h.advance(-24 * time.Hour)
	if h.mayLogIn(t) {
		t.Error("right after the clock was set back: got a login, want a refusal")
	}
	h.advance(15*time.Minute - time.Second)
	if h.mayLogIn(t) {
		t.Error("a second before the lockout ends: got a login, want a refusal")
	}
	h.advance(time.Second)
	if !h.mayLogIn(t) {
		t.Error("after the lockout: got a refusal, want a login")
	}
}

// TestWaysBackIn: the events that end the lockout of an account.
func TestWaysBackIn(t *testing.T) {
	t.Parallel()
	ways := map[string]func(h *harness, u *account) error{
		"reset by mail": func(h *harness, _ *account) error {
			if err := h.sendReset(t, "ada@example.com")(); err != nil {
				return err
			}
			return h.ResetPassword(t.Context(), NewPasswordInput{h.mails(t)[0].Token, password, password})
		},
		"a password by an operator": func(h *harness, _ *account) error {
			_, err := h.SetUserPassword(t.Context(), "ada", password)
			return err
		},
		"unlocked": func(h *harness, _ *account) error {
			_, err := h.SetUser(t.Context(), "ada", SetUserInput{Unlock: true})
			return err
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
				s.Throttle.LoginsPerAccount, s.Throttle.ConsecutiveFailures = ratelimit.Rate{}, 3
			})
			u := h.ada(t)
			h.failLogins(t, 3)
			if h.mayLogIn(t) {
				t.Fatal("got a login, want locked")
			}
			if err := way(h, u); err != nil {
				t.Fatal(err)
			}
			if !h.mayLogIn(t) {
				t.Error("got locked, want a login")
			}
		})
	}
}

// TestThrottledLoginCosts: a throttled attempt waits for a place like any other, and is written, so that it takes as
// long. So is one with a name that has no account.
func TestThrottledLoginCosts(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, oneHashAtATime, func(s *Settings, _ *tokens.Settings) { s.Passwords.Argon2.Queue = 0 })
	ada := h.ada(t)
	for _, in := range []LoginInput{
		byUsername("ada", "wrong"), byUsername("nobody", "wrong"),
		byEmail("nobody@example.com", "wrong"), byEmail("no address", "wrong"),
	} {
		for range 10 {
			h.failLogin(t, t.Context(), in)
		}
		refused := func() int { return h.count(t, `SELECT sum(refused) FROM throttles`) }
		before := refused()
		h.failLogin(t, t.Context(), in)
		if got := refused() - before; got != 1 {
			t.Errorf("%+v: %d refused attempts are written, want 1", in, got)
		}
		place := h.takePlace(t)
		var busy *BusyError
		if _, err := h.Login(t.Context(), in); !errors.As(err, &busy) {
			t.Errorf("%+v: got %v while no place is free, want %T", in, err, busy)
		}
		place.Release()
	}
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'name'`); got != 3 {
		t.Errorf("%d names without an account are counted, want 3", got)
	}
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE key LIKE '%nobody%' OR key LIKE '%address%'`); got != 0 {
		t.Errorf("the throttles: got %d keys with a readable name, want none", got)
	}
	if got := h.failures(t, ada.ID); got != 10 {
		t.Errorf("%d failures of ada are counted, want 10", got)
	}
}

// TestParallelAttempts: of 64 wrong passwords at once with one name as many are compared as in sequence. With several
// names of one account at most one more is compared for each further name: names do not wait for each other.
func TestParallelAttempts(t *testing.T) {
	t.Parallel()
	three := []LoginInput{byUsername("ada", ""), byEmail("ada@example.com", ""), byEmail("ada2@example.com", "")}
	for _, test := range []struct {
		name        string
		names       []LoginInput
		concurrent  int
		least, most int
	}{
		{"one name", three[:1], 16, 10, 10},
		{"a name without an account", []LoginInput{byUsername("nobody", "")}, 16, 10, 10},
		{"three names", three, 16, 10, 12},
		{"three names, one hash at a time", three, 1, 10, 12},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, standard, hashesAtOnce(test.concurrent))
			h.ada(t)
			var group sync.WaitGroup
			for i := range 64 {
				in := test.names[i%len(test.names)]
				in.Password = fmt.Sprint("wrong", i)
				group.Go(func() {
					_, err := h.Login(from(t, "192.0.2.1"), in)
					if !cmp.Equal(err, error(invalidCredentials)) && !isThrottled(err) {
						t.Errorf("got %v, want %v or throttled", err, invalidCredentials)
					}
				})
			}
			group.Wait()
			logged := func(text string) int { return strings.Count(h.log.String(), text) }
			compared := logged(`"event":"login_failed"`) - logged(`"throttled":true`)
			if compared < test.least || compared > test.most {
				t.Errorf("%d passwords were compared, want %d to %d", compared, test.least, test.most)
			}
			counted := h.count(t, `SELECT max(failures) FROM throttles WHERE kind IN ('account', 'name')`)
			if counted != compared {
				t.Errorf("%d failures are counted, want the %d that were compared", counted, compared)
			}
			if got := h.count(t, `SELECT max(count) FROM throttles WHERE kind = 'network'`); got != 60 {
				t.Errorf("%d failures of the network, want 60", got)
			}
			if got := logged(`"event":"network_throttled"`); got != 4 {
				t.Errorf("%d attempts were refused because of their network, want 4", got)
			}
		})
	}
}

func hashesAtOnce(n int) func(*Settings, *tokens.Settings) {
	return func(s *Settings, _ *tokens.Settings) { s.Passwords.Argon2.Concurrent = n }
}

func isThrottled(err error) bool {
	var throttled *ThrottledError
	return errors.As(err, &throttled)
}

// TestOwnersStorm: of many correct passwords at once none is refused, not even if one more wrong password would reach
// the limit.
func TestOwnersStorm(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, hashesAtOnce(16))
	h.ada(t)
	h.failLogins(t, 9)
	var group sync.WaitGroup
	var failed atomic.Int32
	for range 64 {
		group.Go(func() {
			if _, err := h.Login(t.Context(), byUsername("ada", password)); err != nil {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("got %d of 64 refused, want none", n)
	}
}

// TestWaitingAttempt: an attempt that waits for another one, of the same name or the same network, ends with its
// request and leaves nothing behind.
func TestWaitingAttempt(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, hashesAtOnce(2))
	h.ada(t)
	waits := func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan error)
		go func() {
			_, err := h.Login(ctx, byUsername("ada", password))
			done <- err
		}()
		cancel()
		return <-done
	}
	named, err := h.hasher.Enter(t.Context(), passwords.Client{}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := waits(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("behind the same name got %v, want %v", err, context.Canceled)
	}
	named.Release()

	for i := range 59 {
		h.failLogin(t, from(t, "192.0.2.1"), byUsername(fmt.Sprint("nobody", i), "wrong"))
	}
	limits := h.limits(limitNetwork, "192.0.2.1", h.settings.Throttle.LoginsPerIP)
	end, err := h.attempts.Reserve(t.Context(), h.db, limits)
	if err != nil {
		t.Fatal(err)
	}
	if err := waits(from(t, "192.0.2.1")); !errors.Is(err, context.Canceled) {
		t.Errorf("behind the same network got %v, want %v", err, context.Canceled)
	}
	end()
	if _, err := h.Login(from(t, "192.0.2.1"), byUsername("ada", password)); err != nil {
		t.Errorf("after both have ended: got %v, want no error", err)
	}
	if usage := h.hasher.Usage(); usage.Running > 0 || usage.Names > 0 {
		t.Errorf("usage %+v, want no place and no name taken", usage)
	}
}

// TestNetworkLimit: wrong passwords from one network are counted, whichever accounts they are for. Beyond the limit
// the answer says so, before anything is hashed.
func TestNetworkLimit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	for i := range 60 {
		h.failLogin(t, from(t, "192.0.2.1"), byUsername(fmt.Sprint("nobody", i), "wrong"))
		if _, err := h.Login(from(t, "192.0.2.1"), byUsername("ada", password)); err != nil && i < 59 {
			t.Fatalf("attempt %d: got %v, want no error", i, err) // neither counts nor clears
		}
	}
	h.advance(10 * time.Minute)
	h.refused(t, &ThrottledError{RetryAfter: 50 * time.Minute}, func() error {
		_, err := h.Login(from(t, "192.0.2.1"), byUsername("ada", password))
		if isThrottled(err) {
			h.log.Reset() // its line is checked below
		}
		return err
	})
	for name, ctx := range map[string]context.Context{
		"another network": from(t, "192.0.2.2"),
		"a back end":      WithClient(t.Context(), "192.0.2.1", func(context.Context) bool { return true }),
		"a command":       t.Context(),
	} {
		if _, err := h.Login(ctx, byUsername("ada", password)); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE key LIKE '%192.0.2%'`); got != 0 {
		t.Errorf("the throttles: got %d keys with a readable address, want none", got)
	}
	h.log.Reset()
	if _, err := h.Login(from(t, "192.0.2.1"), byUsername("ada", password)); !isThrottled(err) {
		t.Errorf("got %v, want throttled", err)
	}
	h.happened(t, "network_throttled 1")
	h.advance(50 * time.Minute)
	if _, err := h.Login(from(t, "192.0.2.1"), byUsername("ada", password)); err != nil {
		t.Errorf("after the hour: got %v, want no error", err)
	}
}

// TestMailTokenLimit: wrong tokens from one network are counted, whichever mutation they are for. A good one is taken
// all the same.
func TestMailTokenLimit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	ctx := from(t, "192.0.2.1")
	tries := []func(token string) error{
		func(token string) error { return h.VerifyAccount(ctx, TokenInput{token}) },
		func(token string) error { return h.VerifySecondaryEmail(ctx, TokenInput{token}) },
		func(token string) error {
			return h.ResetPassword(ctx, NewPasswordInput{token, newPassword, newPassword})
		},
		func(token string) error { return h.SetPassword(ctx, NewPasswordInput{token, newPassword, newPassword}) },
	}
	for i := range 60 {
		if err := tries[i%4](fmt.Sprint("wrong", i)); !cmp.Equal(err, error(invalidToken)) {
			t.Fatalf("got %v, want %v", err, invalidToken)
		}
	}
	for _, try := range tries {
		if err, want := try("wrong"), error(&ThrottledError{RetryAfter: time.Hour}); !cmp.Equal(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := h.VerifyAccount(from(t, "192.0.2.2"), TokenInput{"wrong"}); !cmp.Equal(err, error(invalidToken)) {
		t.Errorf("another network: got %v, want %v", err, invalidToken)
	}
	if _, err := h.Login(ctx, byUsername("ada", password)); err != nil {
		t.Errorf("a login: got %v, want no error", err)
	}
	if err := h.SendPasswordResetEmail(ctx, EmailInput{"ada@example.com"}); err != nil {
		t.Fatal(err)
	}
	if err := tries[2](h.mails(t)[0].Token); err != nil {
		t.Errorf("a good token: got %v, want no error", err)
	}
}

// TestThrottleBound: of names without an account as many are counted as the settings say, the most recently used ones.
// They do not displace the counters of accounts.
func TestThrottleBound(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) { s.Throttle.Keys = 100 })
	h.ada(t)
	h.failLogins(t, 10)
	fail := func(name string) {
		t.Helper()
		h.failLogin(t, t.Context(), byUsername(name, "wrong"))
	}
	fail("kept")
	for i := range 250 {
		h.advance(time.Millisecond * 100)
		fail(fmt.Sprint("name", i))
		if i%20 == 0 {
			h.advance(time.Second)
			fail("kept")
		}
	}
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'name'`); got != 100 {
		t.Errorf("%d names, want 100", got)
	}
	if got := h.count(t, `SELECT keys FROM throttle_sizes WHERE kind = 'name'`); got != 100 {
		t.Errorf("throttle_sizes says %d, want 100", got)
	}
	if got := h.count(t, `SELECT max(failures) FROM throttles WHERE kind = 'name'`); got != 10 {
		t.Errorf("the name that was used again and again has %d failures, want 10", got)
	}
	if h.mayLogIn(t) {
		t.Error("ada's failures after many others: got a login, want a refusal")
	}
	h.Service.settings.Throttle.Keys = 50
	fail("one more")
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'name'`); got != 50 {
		t.Errorf("%d names once the limit is lower, want 50", got)
	}
}

// TestDeletedUserThrottle: no counter is left of a deleted user.
func TestDeletedUserThrottle(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	h.failLogins(t, 1)
	if _, err := h.DeleteUser(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	if got := h.count(t, `SELECT count(*) + (SELECT sum(keys) FROM throttle_sizes) FROM throttles`); got != 0 {
		t.Errorf("%d rows and counts are left, want 0", got)
	}
}

// TestFailureIsWritten: a wrong password counts even if its client has gone. Where it cannot be counted, the answer
// does not say that it was wrong.
func TestFailureIsWritten(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	ada := h.ada(t)
	ctx, cancel := context.WithCancel(t.Context())
	log := h.Service.log
	h.Service.log = slog.New(slog.NewTextHandler(callOnWrite(cancel), nil)) // the client goes before the failure counts
	if _, err := h.Login(ctx, byUsername("ada", "wrong")); err == nil || ctx.Err() == nil {
		t.Errorf("got %v and the request's %v, want both", err, ctx.Err())
	}
	h.Service.log = log
	if got := h.failures(t, ada.ID); got != 1 {
		t.Errorf("%d failures are counted, want 1", got)
	}
	h.exec(t, `CREATE TRIGGER full BEFORE UPDATE ON throttles BEGIN SELECT raise(ABORT, 'no room'); END`)
	_, err := h.Login(t.Context(), byUsername("ada", "wrong"))
	if err == nil || cmp.Equal(err, error(invalidCredentials)) {
		t.Errorf("got %v, want an error of the database", err)
	}
}

// callOnWrite is a writer that calls itself.
type callOnWrite func()

func (f callOnWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// TestNamesDoNotWait: while the answer to a wrong password of one name is delayed, another name of the account and its
// session are answered. Waiting would reveal that they belong together.
func TestNamesDoNotWait(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, hashesAtOnce(2))
	h.ada(t)
	token := h.login(t).Token
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a name that waits must not hang
	defer cancel()
	imported := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	h.set(t, imported.ID, "password", djangoHash(t, password)) // so that a refusal is delayed
	h.delay.Now = time.Now                                     // by the harness's clock a hash takes no time
	if err := h.MeasureHashes(ctx); err != nil {
		t.Fatal(err)
	}
	late, due := make(chan struct{}), make(chan time.Time)
	h.delay.Timer = func(time.Duration) <-chan time.Time {
		close(late)
		return due
	}
	first := make(chan error)
	go func() {
		_, err := h.Login(ctx, byEmail("ada@example.com", "wrong"))
		first <- err
	}()
	<-late
	for _, in := range []LoginInput{byUsername("ada", password), byEmail("ada2@example.com", password)} {
		if _, err := h.Login(ctx, in); err != nil {
			t.Errorf("%+v: got %v, want no error", in, err)
		}
	}
	h.succeed(t, "SendSecondaryEmailActivation", token)
	close(due)
	if err := <-first; !cmp.Equal(err, error(invalidCredentials)) {
		t.Error(err)
	}
}
