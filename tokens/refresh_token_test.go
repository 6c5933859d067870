package tokens

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"accountd/internal/store"
)

func TestRefreshPlace(t *testing.T) {
	t.Parallel()
	for _, place := range [][2]int64{{1, 1}, {127, 128}, {2_000_000, 2016}, {math.MaxInt64, math.MaxInt64}} {
		raw := newRefresh(place[0], place[1], 16)
		if session, generation := refreshPlace(raw); session != place[0] || generation != place[1] {
			t.Errorf("%v: got session %d, generation %d; want the same", place, session, generation)
		}
		if again := newRefresh(place[0], place[1], 16); again == raw {
			t.Errorf("%v: got %q twice, want two tokens", place, raw)
		}
		bytes, err := base64.RawURLEncoding.DecodeString(raw)
		if err != nil || len(bytes) < 2+16 {
			t.Errorf("%v: got %q, %v; want base64 of at least 18 bytes", place, raw, err)
		}
	}
	for _, raw := range []string{"", "AQE", "A===", "a.b.c", "AQ\u00e4E", strings.Repeat("_", 24), "AYCA"} {
		if session, generation := refreshPlace(raw); session != 0 || generation != 0 {
			t.Errorf("%q: got session %d, generation %d; want 0, 0", raw, session, generation)
		}
	}
}

// TestRefreshFromBefore: a refresh token from before migration 0010 has no place, or seems to name another one. It
// still works, and its successor has a place.
func TestRefreshFromBefore(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(other Pair) string{
		"no base64":       func(Pair) string { return "!" },
		"no place":        func(Pair) string { return strings.Repeat("_", 24) },
		"nobody's place":  func(Pair) string { return "fwE" },
		"another's place": func(other Pair) string { return other.Refresh[:4] },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, testSettings)
			other, first := f.start(t), f.start(t)
			old := begin(other) + strings.Repeat("o", 40)
			f.write(t, func(tx *store.Tx) error {
				_, err := tx.ExecContext(t.Context(),
					`UPDATE refresh_tokens SET hash = ?, located = 0 WHERE session_id = ?`,
					hash(old), first.Session)
				return err
			})
			if _, err := f.refresh(first.Refresh); err == nil {
				t.Error("a token that is not in the file: got no error, want one")
			}
			next, err := f.refresh(old)
			if err != nil || next.Session != first.Session {
				t.Fatalf("got %+v, %v; want session %d", next, err, first.Session)
			}
			if session, generation := refreshPlace(next.Refresh); session != first.Session || generation != 2 {
				t.Errorf("its successor: got session %d, generation %d; want %d, 2", session, generation, first.Session)
			}
			if again, err := f.refresh(old); err != nil || again.Refresh != next.Refresh {
				t.Errorf("within its grace period: %+v, %v; want the live leaf", again, err)
			}
			last, err := f.refresh(next.Refresh)
			must(t, err)
			f.advance(testSettings.RotationGrace + 1e9)
			if _, err := f.refresh(old); !reused(err) {
				t.Errorf("after its grace period: got %v, want *ReuseError", err)
			}
			if _, err := f.refresh(last.Refresh); err == nil {
				t.Error("the last token after reuse: got no error, want one")
			}
			if _, err := f.refresh(other.Refresh); err != nil {
				t.Errorf("the other session: got %v, want no error", err)
			}
		})
	}
}

// FuzzRefreshToken: the only accepted refresh tokens are the issued ones, byte for byte, whatever place they name.
func FuzzRefreshToken(f *testing.F) {
	x := newFixture(f, testSettings)
	live, old := x.start(f), x.start(f)
	x.write(f, func(tx *store.Tx) error {
		_, err := tx.ExecContext(f.Context(), `UPDATE refresh_tokens SET located = 0 WHERE session_id = ?`, old.Session)
		return err
	})
	for _, seed := range []string{"", ".", live.Refresh, old.Refresh, live.Refresh + "=", live.Refresh + "\n",
		live.Refresh[:len(live.Refresh)-1], live.Refresh[:4], live.Access,
		old.Refresh[:4] + live.Refresh[4:], "\n\n\n\n" + live.Refresh, strings.ToUpper(live.Refresh)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var lives bool
		err := x.db.Read(t.Context(), func(tx *store.Tx) (err error) {
			lives, err = x.LiveRefresh(t.Context(), tx, raw)
			return err
		})
		if want := raw == live.Refresh || raw == old.Refresh; err != nil || lives != want {
			t.Errorf("%q: %t, %v, want %t", raw, lives, err, want)
		}
	})
}
