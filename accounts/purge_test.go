package accounts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

// TestPurgeUnverified: the hourly run deletes old accounts that were never verified, and nothing else. Their names are
// free then.
func TestPurgeUnverified(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(s *Settings, _ *tokens.Settings) {
		s.AllowLoginNotVerified, s.PurgeUnverified = false, 30*24*time.Hour
	})
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range purgeBatch + 1 {
			if _, err := insertUser(t.Context(), tx, named(fmt.Sprint("u", i)), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []AddUserInput{
		{Username: "verified", Email: "verified@example.com", Verified: true},
		{Username: "inactive", Email: "inactive@example.com", Inactive: true},
		{Username: "staff", Email: "staff@example.com", Staff: true},
		{Username: "superuser", Email: "superuser@example.com", Superuser: true},
		{Username: "used", Email: "used@example.com"},
	} {
		h.add(t, in)
	}
	h.set(t, h.user(t, "used").ID, "last_login", h.now().Unix())
	h.advance(24 * time.Hour)
	h.add(t, AddUserInput{Username: "younger", Email: "younger@example.com"})
	all := h.count(t, `SELECT count(*) FROM users`)

	run := func() int {
		h.clearOld(t.Context(), h.now().Add(-clearInterval))
		return all - h.count(t, `SELECT count(*) FROM users`)
	}
	h.advance(29*24*time.Hour - time.Second)
	if gone := run(); gone != 0 {
		t.Errorf("%d are gone a second too early, want 0", gone)
	}
	h.advance(time.Second)
	h.log.Reset()
	if gone := run(); gone != purgeBatch+1 {
		t.Errorf("%d are gone, want %d", gone, purgeBatch+1)
	}
	if got := strings.Count(h.log.String(), `"event":"unverified_account_deleted"`); got != purgeBatch+1 {
		t.Errorf("%d are logged, want %d", got, purgeBatch+1)
	}
	var left []string
	if err := h.EachUser(t.Context(), func(u *User) error { left = append(left, u.Username); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"verified", "inactive", "staff", "superuser", "used", "younger"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	if _, err := h.Register(t.Context(), registration("u1@example.com", "u1", password, password)); err != nil {
		t.Errorf("the name is not free: error %v, want none", err)
	}
}

// TestPurgeMeetsVerification: an account that is verified during the run stays.
func TestPurgeMeetsVerification(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(s *Settings, _ *tokens.Settings) {
		s.AllowLoginNotVerified, s.PurgeUnverified = false,
			time.Hour
	})
	h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com"})
	h.advance(2 * time.Hour)
	h.exec(t, `UPDATE user_status SET verified = 1`)
	id := h.user(t, "ada").ID
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		deleted, err := deleteUnverified(t.Context(), tx, id)
		if deleted {
			t.Error("got a verified account deleted, want it kept")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.user(t, "ada")
}

// TestPurgeIsOff: without the setting no account is deleted, however old.
func TestPurgeIsOff(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com"})
	h.advance(10 * 365 * 24 * time.Hour)
	h.clearOld(t.Context(), h.now().Add(-clearInterval))
	h.user(t, "ada")
}

// TestClearThrottles: the hourly run deletes counters that no limit needs. Counters of accounts stay.
func TestClearThrottles(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	ada := h.ada(t)
	h.failLogins(t, 3)
	for _, name := range []string{"old", "young"} {
		if _, err := h.Login(from(t, "192.0.2.1"), byUsername(name, "wrong")); err == nil {
			t.Fatal("a wrong password: got a login, want an error")
		}
		h.advance(clearAfter)
	}
	h.clearOld(t.Context(), h.now().Add(-clearInterval))
	if got := h.count(t, `SELECT count(*) FROM throttles WHERE kind = 'name'`); got != 1 {
		t.Errorf("%d names are left, want 1", got)
	}
	if got := h.failures(t, ada.ID); got != 3 {
		t.Errorf("%d failures of ada are left, want 3", got)
	}
}
