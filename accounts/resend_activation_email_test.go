package accounts

import (
	"strings"
	"testing"
)

func TestResendActivationEmail(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.unverified(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", Verified: true})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	resend := func(address string) func() error {
		return func() error { return h.ResendActivationEmail(t.Context(), EmailInput{address}) }
	}
	form := map[string]Errors{
		"": {"email": {required}}, "\u2003": {"email": {required}}, "ada": {"email": {badEmail}},
		"a\x00@example.com":                       {"email": {badEmail, nullChars}},
		strings.Repeat("a", 243) + "@example.com": {"email": {maxLength(254, 255)}},
	}
	silent := []string{"nobody@example.com", "bob@example.com", "gone@example.com"}
	for _, address := range silent {
		h.refused(t, nil, resend(address))
	}
	for address, want := range form {
		h.refused(t, want, resend(address))
	}
	h.fillOutbox(t)
	for address, want := range form {
		h.refused(t, want, resend(address))
	}
	for _, address := range append(silent, "ada@example.com") {
		h.refused(t, emailFail, resend(address)) // the same for everybody: it tells nothing
	}
	h.emptyOutbox(t)

	var sent []string
	for _, address := range []string{"ada@example.com", " ADA@EXAMPLE.COM ", "ada2@example.com"} {
		if err := resend(address)(); err != nil {
			t.Fatalf("%q: error %v, want none", address, err)
		}
		sent = append(sent, h.activation(t, "Ada@example.com")) // the stored address, and never the secondary one
	}
	h.happened(t)
	if err := h.VerifyAccount(t.Context(), TokenInput{sent[0]}); err != nil {
		t.Errorf("an older link dies with the account's verification only: error %v, want none", err)
	}
	for _, token := range sent {
		h.refused(t, alreadyVerified, h.verify(t, token))
	}
	h.refused(t, nil, resend("ada@example.com"))
}
