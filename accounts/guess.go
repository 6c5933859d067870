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

// prove compares a password with the hash of an account, and costs one hash. It counts wrong ones, at the account and the
// network. While the account is full no password is the right one; while the network is full, *ThrottledError comes before
// the hash. account is as ofAccount gives it, event the name of a failure.
//
// The right one clears nothing: the caller's transaction does, by clearFailures.
func (s *Service) prove(ctx context.Context, u *User, account bucket, password, encoded, event string) (ok, upgrade bool, err error) {
	g := &guess{account: account, network: s.ofNetwork(ctx, throttleNetwork, s.settings.Throttle.LoginsPerIP)}
	defer s.guesses.end(g)
	ok, upgrade, err = s.hasher.Verify(ctx, clientOf(ctx), password, func() (string, error) {
		if err := s.guesses.begin(ctx, s.db, g); err != nil || g.refused {
			return "", err // the dummy: no password fits
		}
		return encoded, nil
	})
	if err != nil || ok {
		return ok, upgrade, s.tell(ctx, "network_throttled", u, err)
	}
	s.failedEvent(ctx, event, u.id(), slog.Bool("throttled", g.refused))
	return false, false, s.failed(ctx, u, g)
}

// failed counts a wrong password. It is durable before anybody is told, even where whoever asked has gone; and a try that
// was refused is written as well, so that it takes as long.
func (s *Service) failed(ctx context.Context, u *User, g *guess) error {
	buckets := g.buckets()
	if len(buckets) == 0 {
		return nil
	}
	full := false
	err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		if err := s.add(ctx, tx, buckets); err != nil || u == nil || g.refused {
			return err
		}
		t, err := s.throttled(ctx, tx, u)
		full = t != nil
		return err
	})
	if err == nil && full {
		s.event(ctx, "account_throttled", u.id())
	}
	return err
}

// guess is a password that is being looked at. As long as it is, it counts as a wrong one for those that come after it:
// otherwise all that come at once would be looked at.
type guess struct {
	account bucket
	network []bucket
	refused bool // the account is full
}

// buckets are those with a limit.
func (g *guess) buckets() []bucket {
	list := slices.Clone(g.network)
	if g.account.rule.Count > 0 || g.account.rule.inRow > 0 {
		list = append(list, g.account)
	}
	return list
}

// guesses are the passwords that are being looked at, in the order in which they came. There are never more than places at
// the gate.
type guesses struct {
	mu      sync.Mutex
	running []*guess      // guarded by mu
	ended   chan struct{} // closed, and replaced, when one of them has ended; guarded by mu
}

func newGuesses() *guesses { return &guesses{ended: make(chan struct{})} }

// begin returns when g may be looked at, or has been refused because its account is full, and fails with *ThrottledError when
// its network is. end has to be called in any case.
//
// What is full it takes from the database alone. Where those before g may yet fill a bucket, or leave room in it, it
// waits for them: an owner who logs in many times at once is not refused.
func (gs *guesses) begin(ctx context.Context, db *store.DB, g *guess) error {
	buckets := g.buckets()
	if len(buckets) == 0 {
		return nil
	}
	gs.mu.Lock()
	gs.running = append(gs.running, g)
	gs.mu.Unlock()
	for {
		// The order matters: who ends after this look counts twice, who ended before it is in the database. Nobody is missed.
		before, ended := gs.before(g)
		wait := false
		g.refused = false
		err := db.Read(ctx, func(tx *store.Tx) error {
			if err := full(ctx, tx, g.network); err != nil {
				return err
			}
			for _, b := range buckets {
				t, err := loadTally(ctx, tx, b)
				if err != nil {
					return err
				}
				room, _ := b.rule.room(t, tx.Now.Unix())
				g.refused = g.refused || room == 0
				wait = wait || room > 0 && room <= before[b.at()]
			}
			return nil
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

// before counts, for each bucket, the guesses that came before g, and returns what is closed when one has ended.
func (gs *guesses) before(g *guess) (map[string]int, <-chan struct{}) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	counts := map[string]int{}
	for _, other := range gs.running {
		if other == g {
			break
		}
		for _, b := range other.buckets() {
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
// they come from; when that is full, *ThrottledError comes instead. A good one is never refused: whoever guesses one from the
// owner's network must not keep the owner out, and 256 bits are not guessed.
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
		return action, s.tell(ctx, "mail_token_throttled", nil, counted)
	}
	if counted := count(s.db.Write, s.count); counted != nil {
		return action, s.tell(ctx, "mail_token_throttled", nil, counted)
	}
	s.event(ctx, "mail_token_rejected", 0)
	return action, tokenProblem(err)
}
