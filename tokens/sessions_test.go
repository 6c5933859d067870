package tokens

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
)

func (f *fixture) sessions(t *testing.T, user int64) (list []SessionState) {
	t.Helper()
	err := f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		list, err = f.Sessions(t.Context(), tx, user)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestSessionIDs: an id begins with the time and ends with random bits. No clock produces an id that an earlier
// session had.
func TestSessionIDs(t *testing.T) {
	t.Parallel()
	const newest = 1<<sessionTimeBits - 1
	for at, want := range map[time.Time]int64{
		time.Unix(-1<<40, 0): 1, time.Unix(0, 0): 1, time.Unix(1<<40, 0): newest, time.UnixMilli(newest): newest,
		time.Unix(1_800_000_000, 0): 1_800_000_000_000, time.Unix(1_800_000_000, 999_999): 1_800_000_000_000,
	} {
		ids := map[int64]bool{}
		for range 100 {
			id := newSessionID(at)
			ids[id] = true
			if got := id >> sessionRandomBits; got != want {
				t.Errorf("%s: %d begins with %d, want %d", at, id, got, want)
			}
		}
		if len(ids) < 90 {
			t.Errorf("%s: got %d different ids of 100, want at least 90", at, len(ids))
		}
	}
}

// TestSessionIDTaken: among thousands of sessions of one millisecond some draw the same id, and each still gets a
// unique one.
func TestSessionIDTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	const sessions = 8000 // none of them draws another's id once in four million runs
	ids := map[int64]bool{}
	f.write(t, func(tx *store.Tx) error {
		for range sessions {
			id, err := insertSession(t.Context(), tx, ada.ID, nil, nil)
			if err != nil {
				return err
			}
			ids[id] = true
		}
		return nil
	})
	if len(ids) != sessions || len(f.sessions(t, ada.ID)) != sessions {
		t.Errorf("got %d ids and %d sessions, want %d", len(ids), len(f.sessions(t, ada.ID)), sessions)
	}
}

// TestSessionsOfUser: the expiry of a session follows from its refresh token, its absolute limit, or its access
// token.
func TestSessionsOfUser(t *testing.T) {
	t.Parallel()
	const start, day = int64(1_800_000_000), 24 * 3600
	at := func(unix int64) *int64 { return &unix }
	for name, test := range map[string]struct {
		refresh      bool
		limit        time.Duration
		idle, limits *int64
	}{
		"refresh token":             {true, 90 * day * time.Second, at(start + 7*day), at(start + 90*day)},
		"refresh token, near limit": {true, day * time.Second, at(start + day), at(start + day)},
		"refresh token, no limit":   {true, 0, at(start + 7*day), nil},
		"access token only":         {false, day * time.Second, nil, at(start + 300)},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSettings
			s.AllowRefresh, s.SessionLifetime = test.refresh, test.limit
			f := newFixture(t, s)
			var pair Pair
			f.write(t, func(tx *store.Tx) (err error) {
				pair, err = f.Start(t.Context(), tx, Subject{ID: 2})
				return err
			})
			want := SessionState{ID: pair.Session, CreatedAt: start, RefreshedAt: start, ExpiresAt: test.limits,
				IdleUntil: test.idle}
			if diff := cmp.Diff([]SessionState{want}, f.sessions(t, 2)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if end := want.Ends(); !want.Live(*end-1) || want.Live(*end) || test.idle != nil && end != test.idle {
				t.Errorf("a second before %d and at it: got live %t, %t; want true, false", *end, want.Live(*end-1),
					want.Live(*end))
			}
			if others := f.sessions(t, 1); len(others) != 0 {
				t.Errorf("another user: got the sessions %+v, want none", others)
			}
			end := func(user, session int64) (err error) {
				return f.db.Write(t.Context(),
					func(tx *store.Tx) error { return f.End(t.Context(), tx, user, session, "because") })
			}
			for _, wrong := range [][2]int64{{1, pair.Session}, {2, pair.Session + 1}, {2, 0}} {
				if err := end(wrong[0], wrong[1]); !errors.Is(err, ErrInvalid) {
					t.Errorf("user and session %v: got %v, want ErrInvalid", wrong, err)
				}
			}
			f.advance(time.Second)
			if err := end(2, pair.Session); err != nil {
				t.Fatal(err)
			}
			want.EndedAt, want.EndReason = at(start+1), "because"
			if diff := cmp.Diff([]SessionState{want}, f.sessions(t, 2)); diff != "" || want.Live(start) {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := end(2, pair.Session); !errors.Is(err, ErrInvalid) {
				t.Errorf("ended twice: got %v, want ErrInvalid", err)
			}
		})
	}
}

// TestCountLive: ended and expired sessions are not counted, with and without refresh tokens.
func TestCountLive(t *testing.T) {
	t.Parallel()
	for _, refreshes := range []bool{true, false} {
		s := testSettings
		s.AllowRefresh = refreshes
		f := newFixture(t, s)
		count := func(want int64) {
			t.Helper()
			err := f.db.Read(t.Context(), func(tx *store.Tx) error {
				n, err := CountLive(t.Context(), tx)
				if n != want {
					t.Errorf("refresh tokens %t: %d live sessions, want %d", refreshes, n, want)
				}
				return err
			})
			must(t, err)
		}
		count(0)
		f.start(t)
		ended := f.start(t)
		count(2)
		f.write(t, func(tx *store.Tx) error { return f.End(t.Context(), tx, ada.ID, ended.Session, "test") })
		count(1)
		f.advance(8 * 24 * time.Hour) // nobody has refreshed it
		count(0)
		f.start(t)
		count(1)
		f.advance(91 * 24 * time.Hour)
		count(0)
	}
}

// TestAccessTokenEndsWithItsSession: no access token outlives the absolute limit of its session.
func TestAccessTokenEndsWithItsSession(t *testing.T) {
	t.Parallel()
	s := testSettings
	s.SessionLifetime, s.RefreshLifetime = 10*time.Minute, 10*time.Minute
	f := newFixture(t, s)
	pair := f.start(t)
	end := pair.Claims.IssuedAt + 600
	for _, want := range []int64{pair.Claims.IssuedAt + 300, pair.Claims.IssuedAt + 480, end} {
		if pair.Claims.ExpiresAt != want {
			t.Errorf("issued at %d it expires at %d, want %d", pair.Claims.IssuedAt, pair.Claims.ExpiresAt, want)
		}
		f.advance(3 * time.Minute)
		var err error
		if pair, err = f.refresh(pair.Refresh); err != nil {
			t.Fatal(err)
		}
	}
}
