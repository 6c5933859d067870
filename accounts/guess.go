package accounts

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"accountd/internal/store"
	"accountd/tokens"
)

// verifyPassword compares a password with the hash of an account, and costs one hash. It counts wrong passwords, for
// the account and the network. While the account is full no password is the right one; while the network is full,
// *ThrottledError comes before the hash. u is nil for nobody. name is what was typed, or stands for the caller's
// account. event names a failure.
//
// Guesses of one typed name run one at a time, be it somebody's name or nobody's: so parallel guesses get no more tries
// than sequential ones. Names do not wait for each other: that would tell which belong to one account.
//
// The right password clears nothing: the caller's transaction does, by clearOwnFailures.
func (s *Service) verifyPassword(
	ctx context.Context, u *User, name, password, encoded, event string,
) (ok, upgrade bool, err error) {
	g := &guess{network: s.ofNetwork(ctx, throttleNetwork, s.settings.Throttle.LoginsPerIP)}
	defer s.guesses.end(g)
	v := s.visit(ctx, name)
	defer s.hasher.gate.release(v)
	verdict, err := s.hasher.Verify(ctx, v, password, func() (string, error) {
		if err := s.begin(ctx, g, u, name); err != nil || g.refused {
			return "", err // the dummy: no password fits
		}
		return encoded, nil
	})
	if err != nil || verdict.fits {
		return verdict.fits, verdict.upgrade, s.logThrottled(ctx, "network_throttled", u, err)
	}
	s.failedEvent(ctx, event, u.id(), slog.Bool("throttled", g.refused))
	if err := s.failed(ctx, u, g); err != nil {
		return false, false, err
	}
	s.guesses.end(g) // from here on the database counts it
	// The name is held meanwhile: when the next guess begins must not tell what kind of hash this one was compared
	// with.
	s.hasher.delayRefusal(ctx, verdict)
	return false, false, nil
}

// failed counts a wrong password. It is durable before anybody is told, even where whoever asked has gone; and a try
// that was refused is written as well, so that it takes as long.
func (s *Service) failed(ctx context.Context, u *User, g *guess) error {
	buckets := g.buckets()
	if len(buckets) == 0 {
		return nil
	}
	full := false
	err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := s.add(ctx, tx, buckets, g.refused); err != nil || u == nil || g.refused {
			return err
		}
		t, err := loadTally(ctx, tx, g.account)
		room, _ := g.account.rule.room(t, tx.Now.Unix())
		full = room == 0
		return err
	})
	if err == nil && full {
		s.event(ctx, "account_throttled", u.id())
	}
	return err
}

// guess is a password that is being looked at. Meanwhile it counts as a wrong one of its network for those that come
// after it: otherwise all that come at once would be looked at.
type guess struct {
	account bucket // begin's
	network []bucket
	refused bool // the account is full
}

// buckets are those with a limit.
func (g *guess) buckets() []bucket {
	if !g.account.rule.limited() {
		return g.network
	}
	return append(slices.Clone(g.network), g.account)
}

// guesses are the passwords that are being looked at, in the order in which they came. There are never more than
// places at the gate.
type guesses struct {
	mu      sync.Mutex
	running []*guess      // guarded by mu
	ended   chan struct{} // closed, and replaced, when one of them has ended; guarded by mu
}

func newGuesses() *guesses { return &guesses{ended: make(chan struct{})} }

// begin returns when g may be looked at, or has been refused because its account is full. It fails with
// *ThrottledError when its network is full. guesses.end has to be called in any case.
//
// What is full, the database alone says. Where guesses before g may yet fill the network, or leave room in it, begin
// waits for them: a network from which many log in at once is not refused.
func (s *Service) begin(ctx context.Context, g *guess, u *User, name string) error {
	s.guesses.add(g)
	for {
		// The order matters: a guess that ends after this look counts twice, one that ended before it is in the
		// database.
		before, ended := s.guesses.before(g)
		wait := false
		err := s.db.Read(ctx, func(tx *store.Tx) error {
			if err := full(ctx, tx, g.network); err != nil {
				return err
			}
			network, err := holding(ctx, tx, g.network)
			if err != nil {
				return err
			}
			for _, b := range network {
				t, err := loadTally(ctx, tx, b)
				if err != nil {
					return err
				}
				room, _ := b.rule.room(t, tx.Now.Unix())
				wait = wait || room <= before[b.at()]
			}
			if g.account, err = s.accountBucket(ctx, tx, u, name); err != nil || !g.account.rule.limited() {
				return err
			}
			t, err := loadTally(ctx, tx, g.account)
			room, _ := g.account.rule.room(t, tx.Now.Unix())
			g.refused = room == 0
			return err
		})
		if err != nil || !wait {
			return err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// at names a bucket.
func (b bucket) at() string { return string(b.kind) + "\x00" + b.key }

// add puts g behind those that are running.
func (gs *guesses) add(g *guess) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.running = append(gs.running, g)
}

// before counts, for each bucket of a network, the guesses that came before g, and returns what is closed when one
// has ended.
func (gs *guesses) before(g *guess) (map[string]int, <-chan struct{}) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	counts := map[string]int{}
	for _, other := range gs.running {
		if other == g {
			break
		}
		for _, b := range other.network {
			counts[b.at()]++
		}
	}
	return counts, gs.ended
}

// end lets those after g go on. It may come twice, or without begin.
func (gs *guesses) end(g *guess) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if i := slices.Index(gs.running, g); i >= 0 {
		gs.running = slices.Delete(gs.running, i, i+1)
		close(gs.ended)
		gs.ended = make(chan struct{})
	}
}

// verifyAction is what a token of a mail stands for, or what the user is told. Wrong ones are counted for the network
// they come from; when that is full, *ThrottledError comes instead. A good one is never refused: whoever guesses one
// from the owner's network must not keep the owner out, and 256 bits are not guessed.
func (s *Service) verifyAction(ctx context.Context, token string, purpose tokens.Purpose) (tokens.Action, error) {
	action, err := s.tokens.VerifyAction(token, purpose)
	if err == nil || !errors.Is(err, tokens.ErrInvalid) {
		return action, tokenProblem(err)
	}
	network := s.ofNetwork(ctx, throttleToken, s.settings.Throttle.LoginsPerIP)
	if len(network) == 0 {
		return action, tokenProblem(err)
	}
	count := func(in func(context.Context, func(*store.Tx) error) error, fn func(context.Context, *store.Tx, []bucket) error) error {
		return in(context.WithoutCancel(ctx), func(tx *store.Tx) error { return fn(ctx, tx, network) })
	}
	if counted := count(s.db.Read, full); counted != nil { // a flood writes nothing
		return action, s.logThrottled(ctx, "mail_token_throttled", nil, counted)
	}
	if counted := count(s.db.Write, s.count); counted != nil {
		return action, s.logThrottled(ctx, "mail_token_throttled", nil, counted)
	}
	s.event(ctx, "mail_token_rejected", 0)
	return action, tokenProblem(err)
}
