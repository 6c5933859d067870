package accounts

import "testing"

func TestSwapEmails(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	other, caller := h.login(t), h.login(t)
	h.events(t)
	h.fillOutbox(t)
	want := h.user(t, "ada")
	for range 2 {
		h.succeed(t, "SwapEmails", caller.Token)
		h.happened(t, "emails_swapped 1")
		h.sent(t, notice("Ada@example.com", swappedNotice), notice("Ada2@example.com", swappedNotice))
		want.Email, want.SecondaryEmail, want.canonical, want.secondary = want.SecondaryEmail, want.Email,
			want.secondary, want.canonical
		got := h.user(t, "ada")
		leapt(t, want, got, true, true)
		sameUser(t, want, got)
		h.dead(t, other)
		h.happened(t, "refresh_failed 0")
		if u, err := h.Caller(caller.Token).User(t.Context()); u == nil || err != nil || h.live(t, 1) != 1 {
			t.Errorf("caller %+v, error %v, want this session alone live", u, err)
		}
	}
	if n := h.count(t, `SELECT count(*) FROM sessions WHERE end_reason = 'emails swapped'`); n != 1 {
		t.Errorf("%d sessions ended by it, want 1", n)
	}
}
