package tokens

import (
	"errors"
	"sync"
	"testing"
	"time"
)

func keepSettings() Settings {
	s := testSettings
	s.Rotation = "keep"
	return s
}

// TestKeep: without rotation the same token is refreshed repeatedly, for another week each time, until the limit of
// the session.
func TestKeep(t *testing.T) {
	t.Parallel()
	f := newFixture(t, keepSettings())
	first := f.start(t)
	for range 14 {
		f.advance(6 * 24 * time.Hour)
		next, err := f.refresh(first.Refresh)
		if err != nil {
			t.Fatal(err)
		}
		until := min(f.now().Add(7*24*time.Hour).Unix(), first.Claims.IssuedAt+90*24*3600)
		if next.Refresh != first.Refresh || next.RefreshExpiresAt != until || next.Session != first.Session ||
			next.Claims.OrigIssuedAt != first.Claims.OrigIssuedAt {
			t.Fatalf("%+v, want until %d", next, until)
		}
	}
	f.advance(6*24*time.Hour - time.Second)
	if _, err := f.refresh(first.Refresh); err != nil {
		t.Errorf("a second before 90 days: got %v, want no error", err)
	}
	f.advance(time.Second)
	if _, err := f.refresh(first.Refresh); !errors.Is(err, ErrInvalid) {
		t.Errorf("after 90 days: got %v, want ErrInvalid", err)
	}
}

func TestKeepIdle(t *testing.T) {
	t.Parallel()
	f := newFixture(t, keepSettings())
	first := f.start(t)
	f.advance(time.Hour)
	if _, err := f.refresh(first.Refresh); err != nil {
		t.Fatal(err)
	}
	f.advance(7*24*time.Hour - time.Second)
	if _, err := f.refresh(first.Refresh); err != nil {
		t.Errorf("a second before an idle week: got %v, want no error", err)
	}
	f.advance(7 * 24 * time.Hour)
	if _, err := f.refresh(first.Refresh); !errors.Is(err, ErrInvalid) {
		t.Errorf("after an idle week: got %v, want ErrInvalid", err)
	}
}

func TestKeepAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, keepSettings())
	first := f.start(t)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if pair, err := f.refresh(first.Refresh); err != nil || pair.Refresh != first.Refresh {
				t.Errorf("got %+v, %v; want the same refresh token", pair, err)
			}
		})
	}
	wg.Wait()
}

// TestRotationChanges: sessions survive a change of the setting in both directions, and the reuse of tokens rotated
// before is still detected.
func TestRotationChanges(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	second, err := f.refresh(first.Refresh)
	must(t, err)
	f.settings.Rotation = "keep"
	if again, err := f.refresh(first.Refresh); err != nil || again.Refresh != second.Refresh {
		t.Errorf("a rotated token after the change: got %q, %v; want %q", again.Refresh, err, second.Refresh)
	}
	if kept, err := f.refresh(second.Refresh); err != nil || kept.Refresh != second.Refresh {
		t.Errorf("the newest token: got %q, %v; want %q", kept.Refresh, err, second.Refresh)
	}
	f.settings.Rotation = "rotate"
	third, err := f.refresh(second.Refresh)
	if err != nil || third.Refresh == second.Refresh {
		t.Errorf("back to rotation: got %+v, %v; want another refresh token", third, err)
	}
	f.settings.Rotation = "keep"
	f.advance(time.Minute)
	if _, err := f.refresh(first.Refresh); !reused(err) {
		t.Errorf("a stolen token: got %v, want *ReuseError", err)
	}
}
