package schema

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
)

// TestNeeds has the needs of each mutation, so that a lost guard shows in review.
func TestNeeds(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"passwordChange":               "login, verified, password",
		"archiveAccount":               "login, verified, password",
		"deleteAccount":                "login, verified, password",
		"sendSecondaryEmailActivation": "login, verified, password",
		"swapEmails":                   "login, verified, secondary, password",
		"removeSecondaryEmail":         "login, verified, secondary, password",
		"updateAccount":                "login, verified",
	}
	public := map[string]bool{
		"register": true, "verifyAccount": true, "resendActivationEmail": true, "sendPasswordResetEmail": true,
		"passwordReset": true,
		"passwordSet":   true, "verifySecondaryEmail": true, "tokenAuth": true, "verifyToken": true,
		"refreshToken":      true,
		"revokeToken":       true,
		"deleteTokenCookie": true, "deleteRefreshTokenCookie": true,
	}
	got := map[string]string{}
	s := Settings{Accounts: accounts.Settings{UpdateFields: []string{"first_name"}}}
	for _, m := range mutations(nil, s, newUserNode(s)) {
		if m.needs == 0 {
			if !public[m.name] {
				t.Errorf("%s: got no needs, want some", m.name)
			}
			continue
		}
		got[m.name] = "login"
		for _, need := range []struct {
			bit  accounts.Needs
			word string
		}{{verified, "verified"}, {secondary, "secondary"}, {password, "password"}} {
			if m.needs&need.bit != 0 {
				got[m.name] += ", " + need.word
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRowsThatCannotBe: open and guarded panic for a row that contradicts itself.
func TestRowsThatCannotBe(t *testing.T) {
	t.Parallel()
	type plain struct {
		Name string `arg:"name"`
	}
	type proof struct {
		Password string `arg:"password,proof"`
	}
	type unknown struct {
		Name string `arg:"name,often"`
	}
	do := func(context.Context, accounts.Owner, plain) error { return nil }
	doProof := func(context.Context, accounts.Owner, proof) error { return nil }
	for name, row := range map[string]func(){
		"guarded without needs": func() { guardedErr(mutation{name: "m"}, do) },
		"guarded by the password without one": func() {
			guardedErr(mutation{name: "m", needs: verified | password}, do)
		},
		"a password without the need": func() { guardedErr(mutation{name: "m", needs: verified}, doProof) },
		"an unknown option": func() {
			openErr(mutation{name: "m"}, func(context.Context, unknown) error { return nil })
		},
		"open with needs": func() {
			openErr(mutation{name: "m", needs: verified}, func(context.Context, plain) error { return nil })
		},
		"open with a password as proof": func() {
			openErr(mutation{name: "m"}, func(context.Context, proof) error { return nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("got no panic, want one")
				}
			}()
			row()
		})
	}
	guardedErr(mutation{name: "m", needs: verified}, do)
	guardedErr(mutation{name: "m", needs: password}, doProof)
}
