package tokens

import (
	"context"
	"errors"
	"testing"
	"time"

	"accountd/internal/store"
)

func shortSettings() Settings {
	s := testSettings
	s.LongRunning = false
	return s
}

// refreshAccess uses a read transaction: nothing may change.
func (f *fixture) refreshAccess(raw string) (Pair, error) {
	var pair Pair
	ctx := context.Background()
	err := f.db.Read(ctx, func(tx *store.Tx) (err error) {
		pair, err = f.RefreshAccess(ctx, tx, raw, func(int64) (Subject, error) { return ada, nil })
		return err
	})
	return pair, err
}

func (f *fixture) revokeAccess(raw string) error {
	return f.db.Write(context.Background(), func(tx *store.Tx) error {
		user, err := f.RevokeAccess(context.Background(), tx, raw)
		if err == nil && user != ada.ID {
			return errors.New("of another user")
		}
		return err
	})
}

func TestRefreshAccess(t *testing.T) {
	t.Parallel()
	f := newFixture(t, shortSettings())
	first := f.start(t)
	week := int64(testSettings.RefreshLifetime / time.Second)
	if first.Refresh != "" || first.RefreshExpiresAt != f.now().Unix()+week {
		t.Errorf("got %+v, want no refresh token and an expiry after %d s", first, week)
	}
	f.advance(time.Minute)
	next, err := f.refreshAccess(first.Access)
	want := first.Claims
	want.IssuedAt, want.ExpiresAt = want.IssuedAt+60, want.ExpiresAt+60
	if err != nil || next.Claims != want || next.Refresh != "" || next.RefreshExpiresAt != first.RefreshExpiresAt ||
		next.Access == first.Access {
		t.Fatalf("%+v, %v, want claims %+v", next, err, want)
	}
	if _, err := f.refreshAccess(first.Access); err != nil {
		t.Errorf("the first token, still live: got %v, want no error", err)
	}
	f.advance(4 * time.Minute)
	for name, raw := range map[string]string{"expired": first.Access, "empty": "", "garbage": "a.b.c",
		"altered": next.Access + "A"} {
		if _, err := f.refreshAccess(raw); !errors.Is(err, ErrInvalid) || errors.Is(err, ErrExpired) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := f.refresh(next.Access); !errors.Is(err, ErrInvalid) {
		t.Errorf("as a refresh token: got %v, want ErrInvalid", err)
	}
}

// chain refreshes every four minutes until the session has the given age, and returns the last token.
func (f *fixture) chain(t *testing.T, pair Pair, age time.Duration) Pair {
	t.Helper()
	end := time.Unix(pair.Claims.OrigIssuedAt, 0).Add(age)
	for f.now().Before(end) {
		f.advance(min(4*time.Minute, end.Sub(f.now())))
		if f.now().Equal(end) {
			return pair
		}
		var err error
		if pair, err = f.refreshAccess(pair.Access); err != nil {
			t.Fatalf("at %v: got %v, want no error", f.now(), err)
		}
	}
	return pair
}

func TestRefreshAccessLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Settings)
		last   time.Duration // age of the session at the last refresh
	}{
		{"refresh_lifetime", func(s *Settings) { s.RefreshLifetime = time.Hour }, time.Hour},
		{"no absolute limit", func(s *Settings) { s.RefreshLifetime, s.SessionLifetime = time.Hour, 0 }, time.Hour},
		{"a shorter session_lifetime", func(s *Settings) { s.SessionLifetime = time.Hour }, time.Hour - time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := shortSettings()
			test.change(&s)
			f := newFixture(t, s)
			pair := f.chain(t, f.start(t), test.last)
			if pair.RefreshExpiresAt != pair.Claims.OrigIssuedAt+3600 {
				t.Errorf("got an end after %d s, want 3600", pair.RefreshExpiresAt-pair.Claims.OrigIssuedAt)
			}
			last, err := f.refreshAccess(pair.Access)
			if err != nil {
				t.Fatalf("at the limit: got %v, want no error", err)
			}
			f.advance(time.Second)
			for _, token := range []string{pair.Access, last.Access} {
				if _, err := f.refreshAccess(token); !errors.Is(err, ErrInvalid) {
					t.Errorf("a second later: got %v, want ErrInvalid", err)
				}
			}
			if test.last == time.Hour {
				f.advance(s.AccessLifetime - 2*time.Second)
				if _, err := f.Verify(last.Access); err != nil || !f.live(t, last.Session) {
					t.Errorf("the last token: got %v, session live %t; want no error, true", err,
						f.live(t, last.Session))
				}
			}
			f.advance(time.Second)
			if f.live(t, last.Session) {
				t.Error("after the last token: got a live session, want an ended one")
			}
		})
	}
}

func TestRefreshAccessRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, shortSettings())
	pair, other := f.start(t), f.start(t)
	refused := errors.New("refused")
	err := f.db.Read(t.Context(), func(tx *store.Tx) error {
		_, err := f.RefreshAccess(t.Context(), tx, pair.Access, func(id int64) (Subject, error) {
			if id != ada.ID {
				t.Errorf("got user %d, want %d", id, ada.ID)
			}
			return Subject{}, refused
		})
		return err
	})
	if !errors.Is(err, refused) {
		t.Errorf("refused user: got %v, want %v", err, refused)
	}
	for _, raw := range []string{"", "a.b.c", pair.Access[:len(pair.Access)-2]} {
		if err := f.revokeAccess(raw); !errors.Is(err, ErrInvalid) {
			t.Errorf("revoke %q: got %v, want ErrInvalid", raw, err)
		}
	}
	f.advance(time.Hour)
	if err := f.revokeAccess(pair.Access); err != nil {
		t.Errorf("an expired token: got %v, want no error", err)
	}
	f.advance(-time.Hour)
	if err := f.revokeAccess(pair.Access); !errors.Is(err, ErrInvalid) {
		t.Errorf("twice: got %v, want ErrInvalid", err)
	}
	if _, err := f.refreshAccess(pair.Access); !errors.Is(err, ErrInvalid) || f.live(t, pair.Session) {
		t.Errorf("revoked: got %v, live %t; want ErrInvalid, false", err, f.live(t, pair.Session))
	}
	if _, err := f.refreshAccess(other.Access); err != nil {
		t.Errorf("another session: got %v, want no error", err)
	}
	f.write(t, func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE sessions SET user_id = 2`)
		return err
	})
	if _, err := f.refreshAccess(other.Access); !errors.Is(err, ErrInvalid) {
		t.Errorf("another user's session: got %v, want ErrInvalid", err)
	}
	if err := f.revokeAccess(other.Access); !errors.Is(err, ErrInvalid) {
		t.Errorf("revoke another user's session: got %v, want ErrInvalid", err)
	}
}

func TestNoRefresh(t *testing.T) {
	t.Parallel()
	for _, longRunning := range []bool{true, false} {
		s := testSettings
		s.AllowRefresh, s.LongRunning, s.Leeway = false, longRunning, 10*time.Second
		f := newFixture(t, s)
		pair := f.start(t)
		if pair.Refresh != "" || pair.RefreshExpiresAt != 0 {
			t.Errorf("long_running %t: got %+v, want no refresh token", longRunning, pair)
		}
		if _, err := f.refreshAccess(pair.Access); !errors.Is(err, ErrInvalid) {
			t.Errorf("long_running %t: got %v, want ErrInvalid", longRunning, err)
		}
		f.advance(s.AccessLifetime + s.Leeway - time.Second)
		if _, err := f.Verify(pair.Access); err != nil || !f.live(t, pair.Session) {
			t.Errorf("before the token expires: got %v, live %t; want no error, true", err, f.live(t, pair.Session))
		}
		f.advance(time.Second)
		if f.live(t, pair.Session) {
			t.Error("after the only token: got a live session, want an ended one")
		}
	}
}
