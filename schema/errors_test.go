package schema_test

import (
	"strings"
	"testing"

	"accountd/schema"
)

// TestErrorList: the shape list has the same problems in the same order.
func TestErrorList(t *testing.T) {
	t.Parallel()
	for i, f := range flavours {
		s := newSite(t, func(o *options) { o.schema = func(s *schema.Settings) { s.ErrorShape = "list" } })
		s.session(t, f, "register", registration("taken"))
		for _, test := range []struct{ name, args, want string }{
			{"register", `email: "", username: "taken", password1: "1234567", password2: "1234567"`,
				`{"success":false,"errors":[{"field":"email","message":"This field is required.","code":"required"},` +
					`{"field":"username","message":"A user with that username already exists.","code":"unique"},` +
					`{"field":"password2","message":"This password is too short. It must contain at least 8 ` +
					`characters.","code":"password_too_short"},` +
					`{"field":"password2","message":"This password is too common.","code":"password_too_common"},` +
					`{"field":"password2","message":"This password is entirely numeric.",` +
					`"code":"password_entirely_numeric"}]}`},
			{"tokenAuth", `username: "taken", password: "x"`,
				`{"success":false,"errors":[{"field":"nonFieldErrors","message":"Please, enter valid credentials.",` +
					`"code":"invalid_credentials"}]}`},
			{"tokenAuth", `username: "taken", password: "` + goodPassword + `"`, `{"success":true,"errors":null}`},
		} {
			if got := s.run(t, f, test.name, test.args, "success errors"); got != test.want {
				t.Errorf("%s %s:\n got %s\nwant %s", f.name, test.name, got, test.want)
			}
		}
		sdl := s.api.SDL([]schema.Flavour{schema.Plain, schema.Relay}[i])
		if !strings.Contains(sdl, "scalar ExpectedErrorType") || !strings.Contains(sdl,
			"a list of {field, message, code}") {
			t.Errorf("%s: got %s, want the shape list described", f.name, sdl)
		}
	}
}
