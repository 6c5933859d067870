package accounts

import "testing"

func TestChangePassword(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	first, caller := h.login(t), h.login(t)
	h.events(t)
	h.fillOutbox(t)
	change := func(old, p1, p2 string, out **Session) func() error {
		return func() error {
			needs := NeedsVerified | NeedsPassword
			return h.Caller(caller.Token).AsOwner(t.Context(), needs, "oldPassword", old,
				func(owner Owner) (err error) {
					*out, err = h.ChangePassword(t.Context(), owner, ChangePasswordInput{old, p1, p2})
					return err
				})
		}
	}
	var out *Session
	h.refused(t, Errors{"oldPassword": wrongPassword}, change("wrong", "", "", &out)) // before the form
	for _, test := range []struct {
		p1, p2 string
		want   Errors
	}{
		{"", "", Errors{"newPassword1": {required}, "newPassword2": {required}}},
		{newPassword, password, Errors{"newPassword2": {mismatch}}},
		{"12345", "12345", Errors{"newPassword2": {tooShort, tooCommon, allNumeric}}},
		{"a\x00", "b\x00", Errors{"newPassword1": {nullChars}, "newPassword2": {nullChars}}},
	} {
		h.refused(t, test.want, change(password, test.p1, test.p2, &out))
		if out != nil {
			t.Errorf("got %+v beside an error, want nothing", out)
		}
	}
	before := h.user(t, "ada")
	if err := change(password, newPassword, newPassword, &out)(); err != nil {
		t.Fatal(err)
	}
	h.happened(t, "password_changed 1")
	h.sent(t, notice("Ada@example.com", passwordNotice), notice("Ada2@example.com", passwordNotice))
	after := h.user(t, "ada")
	before.password = after.password
	leapt(t, before, after, true, true)
	sameUser(t, before, after)
	sameShown(t, before, out.User)
	h.dead(t, first)
	h.dead(t, caller)
	if u, err := h.Caller(out.Token).User(t.Context()); u == nil || err != nil || h.live(t, 1) != 1 {
		t.Errorf("new session of %+v, %v, %d live, want ada's alone", u, err, h.live(t, 1))
	}
	h.emptyOutbox(t)
	if _, err := h.RefreshToken(t.Context(), RefreshTokenInput{out.RefreshToken}); err != nil {
		t.Error(err)
	}
	h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
	if _, err := h.Login(t.Context(), byUsername("ada", newPassword)); err != nil {
		t.Error(err)
	}
}
