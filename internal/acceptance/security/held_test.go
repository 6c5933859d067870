//go:build unix

package security_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// TestSecurityRevealNames: under "nothing" no sequence of registrations reveals whether an address was taken:
// neither by usernames, similar usernames, unique fields nor the ids of later accounts.
func TestSecurityRevealNames(t *testing.T) {
	t.Parallel()
	const config = `[accounts]
reveal_accounts = "nothing"
register_fields = ["email", "username", "phone"]
update_fields = ["username", "phone"]
passwordless_registration = %t
[[accounts.fields]]
name = "phone"
type = "String"
unique = true
[limits]
uniform_time = "0s" # other tests look at it
`
	const update = `mutation U($u: String, $f: String) { updateAccount(username: $u, phone: $f) { success errors } }`
	for _, passwordless := range []bool{false, true} {
		t.Run(fmt.Sprintf("passwordless %t", passwordless), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.toml"), fmt.Appendf(nil, config, passwordless),
				0o600); err != nil {
				t.Fatal(err)
			}
			o := &outsider{Server: servertest.Cheap(t, filepath.Join(dir, "data"))}
			o.add(t, "holder", outsidersPassword, "--verified")
			o.Run(t, "", "user", "add", "--username", "named@example.com", "--email",
				"named@example.com",
				"--no-password")
			o.add(t, "caller", outsidersPassword, "--verified")
			caller := o.logIn(t, "caller", outsidersPassword)
			register := `mutation R($e: String!, $u: String!, $f: String!) {
				register(email: $e, username: $u, phone: $f, password1: "quiet-otter-42", password2: "quiet-otter-42") {
					success errors token } }`
			if passwordless {
				register = `mutation R($e: String!, $u: String!, $f: String!) { register(email: $e, username: $u, ` +
					`phone: $f) { ` +
					`success errors } }`
			}
			id := func(name string) int {
				var u struct{ ID int }
				if err := json.Unmarshal([]byte(o.Run(t, "", "user", "show", name, "--json")),
					&u); err != nil {
					t.Fatal(err)
				}
				return u.ID
			}
			// outcomes asks about an address, with names of its own, and returns what it is answered.
			outcomes := func(address, own string) (list []observed, ids int) {
				for _, step := range []struct {
					email, username, phone string
					want                   string // field that is taken
				}{
					{own + "@example.net", own, own + "0", ""},
					{address, own + "l", own + "1", ""},
					{address, own + "l", own + "2", "username"},
					{own + "x@example.net", own + "L", own + "2", "username"},
					{own + "x@example.net", own + "1", own + "2", "username"},
					{address, own + "ri", own + "7", ""},
					// the same without case, looks different
					{own + "x@example.net", own + "rI", own + "6", "username"},
					{address, own + "b", own + "1", "phone"},
					{own + "x@example.net", own + "b", own + "1", "phone"},
					{address, own + "b", own + "2", ""},
					{address, own + "b", own + "2", "username phone"},
					{address, address, own + "3", ""}, // one's own address, by which its holder may be called
					{address, address, own + "4", ""},
					{own + "x@example.net", own + "c", own + "4", "phone"},
					{own + "x@example.net", own + "c", own + "5", ""},
				} {
					got := o.ask(t, register, map[string]any{"e": step.email, "u": step.username, "f": step.phone})
					for _, field := range []string{"username", "phone"} {
						if taken := strings.Contains(got.body, `"`+field+`":[{`); taken != strings.Contains(step.want,
							field) {
							t.Errorf("got %[2]s, want the problems of %+[1]v", step, got.body)
						}
					}
					list = append(list, got)
				}
				list = append(list, caller.ask(t, update, map[string]any{"u": own + "l"}),
					caller.ask(t, update, map[string]any{"f": own + "1"}))
				if passwordless { // who has given a password learns by it: the program says so at start
					list = append(list, o.ask(t, askLogin, map[string]any{"u": own + "l", "p": outsidersPassword}))
				}
				return list, id(own+"c") - id(own)
			}
			free, freeIDs := outcomes("nobody@example.com", "one")
			for address, own := range map[string]string{"holder@example.com": "two", "named@example.com": "six"} {
				claimed, claimedIDs := outcomes(address, own)
				if !slices.EqualFunc(free, claimed, func(a, b observed) bool {
					return cmp.Equal(a, b,
						cmp.AllowUnexported(observed{}))
				}) {
					t.Errorf("%s differs (-free +claimed):\n%s", address, cmp.Diff(free, claimed,
						cmp.AllowUnexported(observed{})))
				}
				if claimedIDs != freeIDs {
					t.Errorf("%s: got ids that grow by %d, want %d as for a free address", address, claimedIDs, freeIDs)
				}
			}
			// An operator gives a held name, and is the only one who can.
			o.Run(t, "", "user", "set", "caller", "--username", "twol")
			if got := o.ask(t, register, map[string]any{"e": "y@example.net", "u": "twol",
				"f": "9"}); !strings.Contains(got.body, `"code":"unique"`) {
				t.Errorf("got %s, want unique", got.body)
			}
		})
	}
}
