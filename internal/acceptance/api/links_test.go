package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/cli"
)

// printed runs a command and returns its output.
func (s *script) printed(args ...string) string {
	s.Helper()
	var out bytes.Buffer
	if code := cli.Run(s.Context(), s.program(&out, &out, strings.NewReader(""), args...)); code != 0 {
		s.fail("%q exits with %d: %s", args, code, out.String())
	}
	return out.String()
}

// tokenTakers returns the token argument of each mutation that has one.
func (s *script) tokenTakers() map[string]string {
	s.start()
	var schema struct {
		Schema struct {
			MutationType struct {
				Fields []struct {
					Name string
					Args []struct {
						Name string
						Type struct {
							InputFields []struct{ Name string }
							OfType      struct{ InputFields []struct{ Name string } }
						}
					}
				}
			}
		} `json:"__schema"`
	}
	answer := s.post(`{ __schema { mutationType { fields { name args { name type { inputFields { name } ofType { ` +
		`inputFields { name } } } } } } } }`)
	if err := json.Unmarshal(answer.Data, &schema); err != nil {
		s.fail("introspection: %v", err)
	}
	takers := map[string]string{}
	for _, m := range schema.Schema.MutationType.Fields {
		for _, argument := range m.Args {
			names := append(argument.Type.InputFields, argument.Type.OfType.InputFields...)
			for _, name := range append(names, struct{ Name string }{argument.Name}) {
				if strings.Contains(strings.ToLower(name.Name), "token") {
					takers[m.Name] = name.Name
				}
			}
		}
	}
	return takers
}

// TestSecurityTokenPurposes sends every kind of token to every mutation with a token argument, and as the header.
// Each works for its own purpose only, and a refusal changes nothing.
func TestSecurityTokenPurposes(t *testing.T) {
	t.Parallel()
	kinds := []string{"activation", "password_reset", "password_set", "secondary_email", "access", "refresh"}
	own := map[string]string{
		"verifyAccount": "activation", "passwordReset": "password_reset", "passwordSet": "password_set",
		"verifySecondaryEmail": "secondary_email",
		"verifyToken":          "access", "refreshToken": "refresh", "revokeToken": "refresh",
	}
	// In this order none spoils the next.
	order := []string{"verifyAccount", "verifySecondaryEmail", "passwordSet", "verifyToken", "refreshToken",
		"revokeToken",
		"passwordReset"}
	for _, flavour := range []string{"plain", "relay"} {
		t.Run(flavour, func(t *testing.T) {
			s := newScript(t, flavour == "relay")
			defer func() { s.stop() }()
			s.play("preparation", `
config
  [email]
  notices = false
run user add --username ada --email ada@example.com --verified --password-stdin
  < quiet-otter-42
run user add --username new --email new@example.com --no-password
tokenAuth(username: "ada", password: "quiet-otter-42")
  -> ok {"token":"$access","refreshToken":"$refresh"}
run user link activation new
  $ activation token: (\S+)
run user link password_set new
  $ password_set token: (\S+)
run user link password_reset ada
  $ password_reset token: (\S+)
run user link secondary_email ada --email ada2@example.com
  $ secondary_email token: (\S+)
`)
			takers := s.tokenTakers()
			if diff := cmp.Diff(slices.Sorted(maps.Keys(own)), slices.Sorted(maps.Keys(takers))); diff != "" {
				t.Fatalf("every mutation that takes a token is here (-here +schema):\n%s", diff)
			}
			call := func(mutation, kind, answer string) {
				password := ""
				if strings.HasPrefix(mutation, "password") {
					password = `, newPassword1: "better-otter-43", newPassword2: "better-otter-43"`
				}
				s.play(kind+" in "+mutation, fmt.Sprintf("%s(%s: \"$%s\"%s)\n  -> %s\n", mutation, takers[mutation],
					kind, password,
					answer))
			}
			state := func() string {
				return s.printed("user", "list", "--json") + s.printed("user", "sessions", "ada",
					"--json") + s.printed("user",
					"sessions", "new", "--json")
			}
			before := state()
			for mutation := range takers {
				for _, kind := range kinds {
					if own[mutation] != kind {
						call(mutation, kind, "INV")
					}
				}
			}
			for _, kind := range kinds {
				me := `{"me":null}`
				if kind == "access" {
					me = `{"me":{"username":"ada"}}`
				}
				s.play(kind+" in the header", "as "+kind+"\nquery { me { username } }\n  -> "+me+"\nas nobody\n")
			}
			if diff := cmp.Diff(before, state()); diff != "" {
				t.Errorf("a token for something else has changed (-before +after):\n%s", diff)
			}
			for _, mutation := range order {
				call(mutation, own[mutation], "ok")
			}
		})
	}
}

// event is a change of the account $user between the making and the use of a link.
type event struct {
	name, script string
	answers      string // of the mutation that takes the link, for each kind of it
}

// TestSecurityLinksDie applies each event to an account while each kind of link is unused, and then uses the link. A
// link that has become invalid stays invalid when the account is back in its old state.
func TestSecurityLinksDie(t *testing.T) {
	t.Parallel()
	const (
		login = "tokenAuth(username: \"$user\", password: \"quiet-otter-42\")\n  -> ok\n"
		swap  = "swapEmails(password: \"quiet-otter-42\")\n  -> ok\n"
		reset = "run user link password_reset $user\n  $ more token: (\\S+)\npasswordReset(token: \"$more\", " +
			"newPassword1: \"better-otter-43\", newPassword2: \"better-otter-43\")\n  -> ok\n"
		setByHand = "run user set-password $user --password-stdin\n  < better-otter-43\n"
		away      = "run user set $user --email $user.away@example.com\n"
		back      = "run user set $user --email $user@example.com\n"
		off       = "run user set $user --no-active\n"
		on        = "run user set $user --active\n"
		archived  = "run user set $user --archived\n"
	)
	owner := []event{ // of a verified account with two addresses, logged in
		{"nothing", "", "reset ok, secondary ok"},
		{"an hour", "pass 1h\n", "reset ok, secondary ok"},
		{"wrong password", "tokenAuth(username: \"$user\", password: \"wrong\")\n  -> CREDENTIALS\n",
			"reset ok, secondary ok"},
		{"another reset link", "run user link password_reset $user\n", "reset ok, secondary ok"},
		{"reset mail", "sendPasswordResetEmail(email: \"$user@example.com\")\n  -> ok\nmail $user@example.com " +
			"\"Reset your password on accountd\" $more\n", "reset ok, secondary ok"},
		{"secondary mail", "sendSecondaryEmailActivation(email: \"$user.third@example.com\", password: " +
			"\"quiet-otter-42\")\n  -> ok\nmail $user.third@example.com \"Activate your account on accountd\" $more\n",
			"reset ok, secondary ok"},
		{"updateAccount", "updateAccount(firstName: \"Ada\")\n  -> ok\n", "reset ok, secondary ok"},
		{"refreshToken", "refreshToken(refreshToken: \"$refresh\")\n  -> ok\n", "reset ok, secondary ok"},
		{"revokeToken", "revokeToken(refreshToken: \"$refresh\")\n  -> ok\n", "reset ok, secondary ok"},
		{"login", login, "reset INV, secondary ok"},
		{"passwordChange", "passwordChange(oldPassword: \"quiet-otter-42\", newPassword1: \"better-otter-43\", " +
			"newPassword2: \"better-otter-43\")\n  -> ok\n", "reset INV, secondary INV"},
		{"passwordReset", reset, "reset INV, secondary INV"},
		{"set-password", setByHand, "reset INV, secondary INV"},
		{"swapEmails", swap, "reset INV, secondary INV"},
		{"swapEmails and back", swap + swap, "reset INV, secondary INV"},
		{"removeSecondaryEmail", "removeSecondaryEmail(password: \"quiet-otter-42\")\n  -> ok\n",
			"reset INV, secondary INV"},
		{"another verified", "run user link secondary_email $user --email $user.third@example.com\n  $ more token: " +
			"(\\S+)\nverifySecondaryEmail(token: \"$more\")\n  -> ok\n", "reset INV, secondary INV"},
		{"another, by command", "run user set $user --secondary-email $user.third@example.com\n",
			"reset INV, secondary INV"},
		{"archiveAccount", "archiveAccount(password: \"quiet-otter-42\")\n  -> ok\n", "reset INV, secondary ok"},
		{"archived and taken back", archived + login, "reset INV, secondary ok"},
		{"deleteAccount", "deleteAccount(password: \"quiet-otter-42\")\n  -> ok\n", "reset INV, secondary INV"},
		{"deleted and taken back", "deleteAccount(password: \"quiet-otter-42\")\n  -> ok\n" + on,
			"reset INV, secondary INV"},
		{"moved and back", away + back, "reset INV, secondary INV"},
	}
	newcomer := []event{ // of an unverified account with a password
		{"nothing", "", "activation ok"},
		{"login", login, "activation ok"},
		{"another mail", "resendActivationEmail(email: \"$user@example.com\")\n  -> ok\nmail $user@example.com " +
			"\"Activate " +
			"your account on accountd\" $more\n", "activation ok"},
		{"archived", archived, "activation ok"},
		{"verified", "run user set $user --verified\n", "activation ALREADY"},
		{"verified and no more", "run user set $user --verified\nrun user set $user --no-verified\n", "activation INV"},
		{"passwordReset", reset, "activation ALREADY"},
		{"set-password", setByHand, "activation INV"},
		{"moved", away, "activation INV"},
		{"moved and back", away + back, "activation INV"},
		{"deactivated", off, "activation INV"},
		{"deactivated and back", off + on, "activation INV"},
	}
	passwordless := []event{
		{"nothing", "", "set ok"},
		{"verified", "run user set $user --verified\n", "set ok"},
		{"set once", "run user link password_set $user\n  $ more token: (\\S+)\npasswordSet(token: \"$more\", " +
			"newPassword1: \"better-otter-43\", newPassword2: \"better-otter-43\")\n  -> ok\n", "set PASSWORDISSET"},
		{"passwordReset", reset, "set PASSWORDISSET"},
		{"set-password", setByHand, "set PASSWORDISSET"},
		{"archived", archived, "set INV"},
		{"moved", away, "set INV"},
		{"moved and back", away + back, "set INV"},
		{"another secondary address", "run user set $user --secondary-email $user.third@example.com\n", "set INV"},
		{"deactivated", off, "set INV"},
		{"deactivated and back", off + on, "set INV"},
	}
	const (
		add  = "run user add --username $user --email $user@example.com "
		with = "--password-stdin\n  < quiet-otter-42\n"
	)
	uses := map[string]struct{ make, use string }{
		"activation": {"activation $user", `verifyAccount(token: "$link")`},
		"reset": {"password_reset $user",
			`passwordReset(token: "$link", newPassword1: "brisk-heron-71", newPassword2: "brisk-heron-71")`},
		"set": {"password_set $user", `passwordSet(token: "$link", newPassword1: "brisk-heron-71", newPassword2: ` +
			`"brisk-heron-71")`},
		"secondary": {"secondary_email $user --email $user.new@example.com", `verifySecondaryEmail(token: "$link")`},
	}
	s := newScript(t, false)
	defer func() { s.stop() }()
	s.play("preparation", "config\n  [email]\n  notices = false\n  [tokens]\n  access_lifetime = \"30d\"\n")
	n := 0
	for _, group := range []struct {
		add    string
		events []event
	}{
		{add + "--secondary-email $user.2@example.com --verified " + with + strings.Replace(login, "-> ok",
			`-> ok {"token":"$access","refreshToken":"$refresh"}`, 1) + "as access\n", owner},
		{add + with, newcomer},
		{add + "--secondary-email $user.2@example.com --no-password\n", passwordless},
	} {
		for _, e := range group.events {
			for answer := range strings.SplitSeq(e.answers, ", ") {
				kind, want, _ := strings.Cut(answer, " ")
				n++
				t.Run(kind+"/"+e.name, func(t *testing.T) {
					defer func(outer *testing.T) { s.T = outer }(s.T)
					s.T = t
					delete(s.vars, "access")
					delete(s.vars, "refresh")
					play := func(part, text string) {
						t.Helper()
						s.play(part, strings.ReplaceAll(text, "$user", fmt.Sprintf("user%d", n)))
					}
					play("preparation", group.add+"run user link "+uses[kind].make+"\n  $ link token: (\\S+)\n")
					play("event", e.script)
					play("use", "as nobody\n"+uses[kind].use+"\n  -> "+want+"\n")
				})
			}
		}
	}
}
