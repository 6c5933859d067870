package accounts

import "testing"

const (
	archivedNotice = "Your account on Acme has been archived"
	deletedNotice  = "Your account on Acme has been deleted"
)

func TestArchive(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	other, caller := h.login(t), h.login(t)
	h.events(t)
	h.fillOutbox(t)
	before := h.user(t, "ada")
	h.succeed(t, "Archive", caller.Token)
	h.happened(t, "account_archived 1")
	h.sent(t, notice("Ada@example.com", archivedNotice), notice("Ada2@example.com", archivedNotice))
	after := h.user(t, "ada")
	before.Archived = true
	leapt(t, before, after, true, false)
	sameUser(t, before, after)
	h.dead(t, other)
	h.dead(t, caller)
	if out := h.login(t); !out.Unarchived {
		t.Error("a login: got unarchived false, want true")
	}
}

// TestArchiveMeetsLogin: in every order, an archived account has no session, and an unarchived one has that of the
// login.
func TestArchiveMeetsLogin(t *testing.T) {
	t.Parallel()
	for range 20 {
		h := newHarness(t)
		h.ada(t)
		token := h.login(t).Token
		archive := h.own(t, operation(t, "Archive"), token, password)
		for i, err := range atOnce(2, func(i int) error {
			return []func() error{archive,
				h.tryLogin(t, byUsername("ada", password))}[i]()
		}) {
			if err != nil {
				t.Errorf("%d: error %v, want none", i, err)
			}
		}
		if archived, live := h.user(t, "ada").Archived, h.live(t, 1); archived != (live == 0) || live > 1 {
			t.Errorf("archived %t with %d sessions, want none if and only if it is archived", archived, live)
		}
	}
}
