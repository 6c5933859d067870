package tokens

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
)

// clear runs batches until no session is due and adds up the rows. No batch may exceed most rows.
func (f *fixture) clear(
	t *testing.T, batch func(context.Context, *store.Tx, time.Duration, int) (Cleared, bool, error), keep time.Duration,
) Cleared {
	t.Helper()
	const most = 2 * ClearRows
	var all Cleared
	for {
		var one Cleared
		var more bool
		f.write(t, func(tx *store.Tx) (err error) {
			one, more, err = batch(t.Context(), tx, keep, ClearRows)
			return err
		})
		if !more {
			if one != (Cleared{}) {
				t.Errorf("got %+v with no more to clear, want nothing cleared", one)
			}
			return all
		}
		if one.Sessions+one.RefreshTokens > most {
			t.Errorf("got %+v in one transaction, want at most %d rows", one, most)
		}
		all.Add(one)
	}
}

func (f *fixture) cleared(t *testing.T, got, want Cleared) {
	t.Helper()
	if got != want {
		t.Errorf("got %+v cleared, want %+v", got, want)
	}
}

func (f *fixture) end(t *testing.T, session int64) {
	t.Helper()
	f.write(t, func(tx *store.Tx) error { return endSession(t.Context(), tx, ada.ID, session, "test") })
}

func TestClearExpired(t *testing.T) {
	t.Parallel()
	s := testSettings
	s.Leeway, s.SessionsPerUser = 10*time.Second, 100
	f := newFixture(t, s)
	idle, alive, ended := f.start(t), f.start(t), f.start(t)
	f.end(t, ended.Session)
	f.advance(6 * 24 * time.Hour)
	next, err := f.refresh(alive.Refresh)
	must(t, err)
	f.advance(24*time.Hour + s.AccessLifetime + s.Leeway - time.Second)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{}) // an access token may have been given out at the last moment
	f.advance(time.Second)
	f.cleared(t, f.clear(t, f.ClearExpired, time.Second), Cleared{})
	// These are idle, ended, and the first token of alive.
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{Sessions: 2, RefreshTokens: 3})
	if f.live(t, idle.Session) || !f.live(t, next.Session) {
		t.Errorf("got idle live %t, next live %t; want false, true", f.live(t, idle.Session), f.live(t, next.Session))
	}
	for _, raw := range []string{idle.Refresh, ended.Refresh, alive.Refresh} {
		if _, err := f.refresh(raw); !errors.Is(err, ErrInvalid) || reused(err) {
			t.Errorf("a deleted token: got %v, want ErrInvalid", err)
		}
	}
	if _, err := f.refresh(next.Refresh); err != nil {
		t.Errorf("the newest token of a live session: got %v, want no error", err)
	}
}

// TestClearKeepsWhatIsNeeded: a rotated token is kept as long as its reuse can be detected.
func TestClearKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	second, err := f.refresh(first.Refresh)
	must(t, err)
	_, err = f.refresh(second.Refresh)
	must(t, err)
	f.advance(7*24*time.Hour - time.Second)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{})
	f.cleared(t, f.clear(t, f.ClearEnded, 0), Cleared{})
	if _, err := f.refresh(first.Refresh); !reused(err) {
		t.Errorf("a stolen token: got %v, want *ReuseError", err)
	}
}

func TestClearEnded(t *testing.T) {
	t.Parallel()
	s := testSettings
	s.SessionsPerUser = 100
	f := newFixture(t, s)
	first, other := f.start(t), f.start(t)
	second, err := f.refresh(first.Refresh)
	must(t, err)
	f.end(t, first.Session)
	f.advance(time.Hour)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{})
	f.cleared(t, f.clear(t, f.ClearEnded, time.Hour+time.Second), Cleared{})
	f.cleared(t, f.clear(t, f.ClearEnded, time.Hour), Cleared{Sessions: 1, RefreshTokens: 2})
	for _, raw := range []string{first.Refresh, second.Refresh} {
		if _, err := f.refresh(raw); !errors.Is(err, ErrInvalid) || reused(err) {
			t.Errorf("a deleted token: got %v, want ErrInvalid", err)
		}
	}
	if _, err := f.refresh(other.Refresh); err != nil {
		t.Errorf("the other session: got %v, want no error", err)
	}
}

// TestClearWithoutRefreshTokens: sessions without refresh tokens are cleared after their limit.
func TestClearWithoutRefreshTokens(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Settings){
		"long_running":  func(s *Settings) { s.LongRunning, s.RefreshLifetime = false, 10*time.Minute },
		"allow_refresh": func(s *Settings) { s.AllowRefresh, s.SessionLifetime = false, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings
			change(&s)
			f := newFixture(t, s)
			pair := f.start(t)
			lasts := s.AccessLifetime
			if s.AllowRefresh {
				lasts += s.RefreshLifetime
			}
			f.advance(lasts + s.AccessLifetime - time.Second)
			f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{})
			f.advance(time.Second)
			f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{Sessions: 1})
			if f.live(t, pair.Session) {
				t.Error("session: got live, want ended")
			}
		})
	}
}

// TestClearMany clears more sessions than a batch has, and a session with more tokens than a batch.
func TestClearMany(t *testing.T) {
	t.Parallel()
	fill := func(t *testing.T, f *fixture) {
		f.write(t, func(tx *store.Tx) error {
			for _, query := range []string{
				`INSERT INTO sessions (id, user_id, created_at, expires_at, ended_at, clear_at)
				 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i, 1, 0, 2, 1, 1 FROM n`,
				`INSERT INTO refresh_tokens (hash, located, session_id, generation, issued_at, expires_at)
				 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT randomblob(32), 1, max(1, i - 1000), i, 0, 1 FROM n`,
			} {
				if _, err := tx.ExecContext(t.Context(), query); err != nil {
					return err
				}
			}
			return nil
		})
	}
	want := Cleared{Sessions: 1000, RefreshTokens: 2000}
	f := newFixture(t, testSettings)
	fill(t, f)
	f.cleared(t, f.clear(t, f.ClearEnded, 0), want)
	fill(t, f)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), want)
}

// TestClearExtended: a token that was extended expires later than clear_at says. A batch of such sessions does not
// stop the clearing of expired ones.
func TestClearExtended(t *testing.T) {
	t.Parallel()
	s := testSettings
	s.Rotation, s.SessionsPerUser = "keep", 100
	f := newFixture(t, s)
	var pairs []Pair
	for range ClearRows + 1 {
		pairs = append(pairs, f.start(t))
	}
	idle := f.start(t)
	f.advance(time.Second)
	for _, pair := range pairs {
		if _, err := f.refresh(pair.Refresh); err != nil {
			t.Fatal(err)
		}
	}
	f.advance(s.RefreshLifetime + f.accessMargin() - time.Second)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{Sessions: 1, RefreshTokens: 1})
	if f.live(t, idle.Session) || !f.live(t, pairs[0].Session) {
		t.Errorf("got idle live %t, other live %t; want false, true", f.live(t, idle.Session),
			f.live(t, pairs[0].Session))
	}
	f.advance(time.Second)
	all := int64(len(pairs))
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{Sessions: all, RefreshTokens: all})
}

// TestClearOldestFirst: of a session with more tokens than a batch, the oldest are cleared first, and the live leaf
// stays valid.
func TestClearOldestFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	pair := f.start(t)
	first := pair.Refresh
	for range 2 * ClearRows {
		var err error
		if pair, err = f.refresh(pair.Refresh); err != nil {
			t.Fatal(err)
		}
		f.advance(time.Second)
	}
	f.advance(testSettings.RefreshLifetime + f.accessMargin() - 2*time.Second)
	f.write(t, func(tx *store.Tx) error {
		one, more, err := f.ClearExpired(t.Context(), tx, 0, ClearRows)
		if one != (Cleared{RefreshTokens: ClearRows}) || !more {
			t.Errorf("got %+v cleared, more %t; want %d refresh tokens, more true", one, more, ClearRows)
		}
		return err
	})
	if _, err := f.refresh(first); !errors.Is(err, ErrInvalid) || reused(err) {
		t.Errorf("the first token: got %v, want ErrInvalid", err)
	}
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{RefreshTokens: ClearRows})
	f.advance(time.Second)
	f.cleared(t, f.clear(t, f.ClearExpired, 0), Cleared{Sessions: 1, RefreshTokens: 1})
	if f.live(t, pair.Session) {
		t.Error("session: got live, want ended")
	}
}

// TestClearPlans: no statement scans a table.
func TestClearPlans(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	for _, query := range []string{clearDue, clearEnded, clearRefresh, clearEmptySession, clearLater} {
		must(t, f.db.Read(t.Context(), func(tx *store.Tx) error {
			args := make([]any, strings.Count(query, "?"))
			for i := range args {
				args[i] = 1
			}
			rows, err := tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
			if err != nil {
				return err
			}
			defer rows.Close()
			steps := 0
			for ; rows.Next(); steps++ {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					return err
				}
				if strings.Contains(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") {
					t.Errorf("%s: got the step %s, want an index and no sorting", query, step)
				}
			}
			if steps == 0 {
				t.Errorf("%s: got no plan, want one", query)
			}
			return rows.Err()
		}))
	}
}
