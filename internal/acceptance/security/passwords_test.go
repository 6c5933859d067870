//go:build unix

package security_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"accountd/internal/servertest"

	"github.com/google/go-cmp/cmp"
)

// codes returns the codes of a refused mutation, by argument.
func (a observed) codes(t *testing.T, mutation string) map[string][]string {
	t.Helper()
	var answer struct {
		Data map[string]struct {
			Success bool
			Errors  map[string][]struct{ Code string }
		}
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil {
		t.Fatalf("got %q, want JSON: %v", a.body, err)
	}
	codes := map[string][]string{}
	for _, e := range answer.Errors {
		codes[""] = append(codes[""], e.Extensions.Code)
	}
	for field, problems := range answer.Data[mutation].Errors {
		for _, p := range problems {
			codes[field] = append(codes[field], p.Code)
		}
	}
	return codes
}

// register asks for an account with the address name@example.com.
func (o *outsider) register(t *testing.T, name, password string) map[string][]string {
	t.Helper()
	return o.ask(t, askRegister, map[string]any{"e": name + "@example.com", "u": name, "p": password}).codes(t,
		"register")
}

// opens reports whether a password logs name in.
func (o *outsider) opens(t *testing.T, name, password string) bool {
	t.Helper()
	return len(o.ask(t, askLogin, map[string]any{"u": name, "p": password}).codes(t, "tokenAuth")) == 0
}

// TestSecurityPasswordLengths: the limits are exact, no password is truncated, and a body of ten megabytes is not
// read.
func TestSecurityPasswordLengths(t *testing.T) {
	t.Parallel()
	o := outside(t)
	tooShort, tooLong := map[string][]string{"password2": {"password_too_short"}},
		map[string][]string{"password2": {"password_too_long"}}
	for i, test := range []struct {
		name, password string
		want           map[string][]string
	}{
		{"one short", "zq9-vk7", tooShort},
		{"shortest", "zq9-vk7x", nil},
		{"characters, not bytes", "日本語日本語日", tooShort},
		{"shortest of other characters", "日本語日本語日本", nil},
		{"64", strings.Repeat("zq9-vk7x", 8), nil},
		{"1,024 bytes", strings.Repeat("zq9-vk7x", 128), nil},
		{"1,025 bytes", strings.Repeat("zq9-vk7x", 128) + "y", tooLong},
		{"1,024 bytes of few characters", strings.Repeat("日本語", 113) + "zq9-vk7", nil},
		{"1,025 bytes of few characters", strings.Repeat("日本語", 113) + "zq9-vk7x", tooLong},
		{"a page", strings.Repeat("zq9-vk7x", 6000), tooLong},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("user%d", i)
			if diff := cmp.Diff(test.want, o.register(t, name, test.password), cmp.Comparer(sameCodes)); diff != "" {
				t.Fatalf("%d bytes (-want +got):\n%s", len(test.password), diff)
			}
			if o.opens(t, name, test.password) != (test.want == nil) {
				t.Errorf("a login with it: %t", test.want != nil)
			}
			if cut := test.password[:len(test.password)-1]; o.opens(t, name, cut) ||
				o.opens(t, name, test.password+"x") {
				t.Error("one byte less or more: got a login, want none")
			}
		})
	}
	t.Run("twins for bcrypt", func(t *testing.T) {
		twin := strings.Repeat("zq9-vk7x", 9) // 72 bytes
		if codes := o.register(t, "twin", twin+"one"); len(codes) > 0 {
			t.Fatalf("register: got the problems %q, want none", codes)
		}
		if !o.opens(t, "twin", twin+"one") || o.opens(t, "twin", twin+"two") || o.opens(t, "twin", twin) {
			t.Error("passwords that differ after 72 bytes: got them treated as equal, want one login")
		}
	})
	t.Run("10 MB", func(t *testing.T) {
		body := fmt.Appendf(nil, `{"query":"mutation { tokenAuth(username: \"twin\", password: \"%s\") { success } }"}`,
			strings.Repeat("x", 10<<20))
		// The server may hang up before all is sent.
		if got, err := o.trySend(http.DefaultClient, body); err == nil &&
			got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("got status %d, want 413", got.status)
		}
		if err := o.Cmd.Process.Signal(syscall.Signal(0)); err != nil ||
			!o.opens(t, "twin", strings.Repeat("zq9-vk7x", 9)+
				"one") {
			t.Errorf("afterwards: got %v or no login, want a login", err)
		}
	})
}

// sameCodes treats nil and an empty map as equal.
func sameCodes(a, b map[string][]string) bool {
	return len(a) == 0 && len(b) == 0 || cmp.Equal(a, b)
}

// TestSecurityPasswordRules: no rule requires kinds of characters. Common passwords and the user's own data are
// refused, with the reason.
func TestSecurityPasswordRules(t *testing.T) {
	t.Parallel()
	o := outside(t)
	for i, test := range []struct {
		password string
		codes    string // of password2; "": taken
	}{
		{"correct horse battery staple", ""}, {"kwijyzhbqx", ""}, {"KWIJYZHBQX", ""}, {"!?#!?#+!", ""},
		{"        ", ""},
		{"ωμεγαλφα", ""}, {"zzzzzzzzzzzz", ""},
		{"password", "password_too_common"}, {"Password", "password_too_common"}, {"PASSWORD", "password_too_common"},
		{"password1", "password_too_common"},
		{" password ", "password_too_common"}, {"password123", "password_too_common"},
		{"qwertyuiop", "password_too_common"},
		{"p@ssw0rd", "password_too_common"},
		{"12345678", "password_too_common password_entirely_numeric"}, {"80412957361", "password_entirely_numeric"},
		{"٨٠٤١٢٩٥٧٣٦١", "password_entirely_numeric"},
		{"user$", "password_too_similar password_too_short"}, {"$resu$resu", "password_too_similar"},
		{"$@mail.test", "password_too_similar"},
	} {
		name := fmt.Sprintf("kestrel%d", i)
		password := test.password
		if strings.Contains(password, "$") {
			password = strings.NewReplacer("user$", name[1:6], "$resu$resu", "X"+name, "$@mail.test",
				name+"@example").Replace(password)
		}
		want := map[string][]string{}
		if test.codes != "" {
			want["password2"] = strings.Fields(test.codes)
		}
		if diff := cmp.Diff(want, o.register(t, name, password)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", password, diff)
		}
	}
}

// TestSecurityUnicodePasswords: a password works in every Unicode form and encoding. Passwords that only a careless
// parser would confuse stay different.
func TestSecurityUnicodePasswords(t *testing.T) {
	t.Parallel()
	o := outside(t)
	const (
		composed, decomposed = "caf\u00e9-au-lait", "cafe\u0301-au-lait"
		emoji, otherEmoji    = "😀😀😀😀😀😀😀😀", "🐙🐙🐙🐙🐙🐙🐙🐙"
		escaped              = `\ud83d\ude00`
	)
	if codes := o.register(t, "ada", composed); len(codes) > 0 {
		t.Fatalf("register: got the problems %q, want none", codes)
	}
	if codes := o.register(t, "eve", emoji); len(codes) > 0 {
		t.Fatalf("register: got the problems %q, want none", codes)
	}
	// login sends JSON as it stands: by is the password as a literal of the query, var as the JSON of a variable.
	login := func(t *testing.T, name, literal, variable string) string {
		t.Helper()
		query := fmt.Sprintf(`mutation L($p: String!) { tokenAuth(username: "%s", password: $p) { success } }`, name)
		if literal != "" {
			query = fmt.Sprintf(`mutation { tokenAuth(username: "%s", password: %s) { success } }`, name, literal)
			variable = `""`
		}
		quoted, err := json.Marshal(query)
		if err != nil {
			t.Fatal(err)
		}
		got := o.send(t, fmt.Appendf(nil, `{"query":%s,"variables":{"p":%s}}`, quoted, variable))
		switch {
		case strings.Contains(got.body, `"success":true`):
			return "in"
		case strings.Contains(got.body, `"success":false`):
			return "out"
		default:
			return fmt.Sprint(got.codes(t, "tokenAuth")[""])
		}
	}
	for _, test := range []struct{ name, user, literal, variable, want string }{
		{"composed", "ada", "", `"` + composed + `"`, "in"},
		{"decomposed", "ada", "", `"` + decomposed + `"`, "in"},
		{"composed literal", "ada", `"` + composed + `"`, "", "in"},
		{"decomposed literal", "ada", `"` + decomposed + `"`, "", "in"},
		{"escaped literal", "ada", `"cafe\u0301-au-lait"`, "", "in"},
		{"block string", "ada", `"""` + composed + `"""`, "", "in"},
		{"without the accent", "ada", "", `"cafe-au-lait"`, "out"},
		{"emoji", "eve", "", `"` + emoji + `"`, "in"},
		{"emoji literal", "eve", `"` + emoji + `"`, "", "in"},
		{"emoji in a block string", "eve", `"""` + emoji + `"""`, "", "in"},
		{"pairs in a variable", "eve", "", `"` + strings.Repeat(escaped, 8) + `"`, "in"},
		{"pairs in a literal", "eve", `"` + strings.Repeat(escaped, 8) + `"`, "", "in"},
		{"braces in a literal", "eve", `"` + strings.Repeat(`\u{1F600}`, 8) + `"`, "", "in"},
		{"other emoji", "eve", "", `"` + otherEmoji + `"`, "out"},
		{"other emoji in a literal", "eve", `"` + otherEmoji + `"`, "", "out"},
		{"other pairs in a literal", "eve", `"` + strings.Repeat(`\ud83d\udc19`, 8) + `"`, "", "out"},
		{"replacement characters", "eve", "", `"` + strings.Repeat("\ufffd", 16) + `"`, "out"},
		{"half a pair in a variable", "eve", "", `"` + strings.Repeat(`\ud83d`, 8) + `"`, "[bad_string]"},
		{"half a pair in a literal", "eve", `"` + strings.Repeat(`\ud83d`, 8) + `"`, "", "[bad_string]"},
		{"NUL", "ada", "", `"` + composed + `\u0000"`, "out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := login(t, test.user, test.literal, test.variable); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
	for password, code := range map[string]string{"quiet\x00otter-42": "null_characters_not_allowed",
		"quiet\ufffdotter-42": "invalid"} {
		want := map[string][]string{"password1": {code}, "password2": {code}}
		if diff := cmp.Diff(want, o.register(t, "bob", password)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", password, diff)
		}
	}
}

// TestSecurityPasswordSetOnce: of parallel uses of one link with different passwords exactly one succeeds, and its
// password opens the account.
func TestSecurityPasswordSetOnce(t *testing.T) {
	t.Parallel()
	const rounds, tries = 5, 4
	o := outside(t)
	for round := range rounds {
		name := fmt.Sprintf("user%d", round)
		o.add(t, name, "", "--verified", "--no-password")
		link := servertest.LinkToken(t, o.DataDir, "password_set", name)
		answers := make([]map[string][]string, tries)
		var all sync.WaitGroup
		for i := range tries {
			all.Go(func() {
				password := fmt.Sprintf("brisk-heron-%d", i)
				answers[i] = o.ask(t, `mutation S($t: String!, $p: String!) { passwordSet(token: $t, newPassword1: `+
					`$p, newPassword2: $p) { success errors } }`,
					map[string]any{"t": link, "p": password}).codes(t, "passwordSet")
			})
		}
		all.Wait()
		won := 0
		for i, codes := range answers {
			if len(codes) == 0 {
				won++
			} else if diff := cmp.Diff(map[string][]string{"nonFieldErrors": {"password_already_set"}},
				codes); diff != "" {
				t.Errorf("who loses (-want +got):\n%s", diff)
			}
			if password := fmt.Sprintf("brisk-heron-%d", i); o.opens(t, name, password) != (len(codes) == 0) {
				t.Errorf("%q: got a login %t, want %t after the answer %v", password, len(codes) > 0, len(codes) == 0,
					codes)
			}
		}
		if won != 1 {
			t.Errorf("got %d of %d that win, want 1", won, tries)
		}
	}
}

// TestSecurityPasswordChangeNeedsTheOldOne: only the right old password changes the password.
func TestSecurityPasswordChangeNeedsTheOldOne(t *testing.T) {
	t.Parallel()
	o := outside(t)
	o.add(t, "ada", outsidersPassword, "--verified")
	ada := o.logIn(t, "ada", outsidersPassword)
	const change = `mutation C($o: String!, $p: String!) { passwordChange(oldPassword: $o, newPassword1: $p, ` +
		`newPassword2: $p) { success errors token } }`
	for _, old := range []string{"", "wrong", " " + outsidersPassword, strings.ToUpper(outsidersPassword),
		"brisk-heron-17"} {
		want := map[string][]string{"oldPassword": {"invalid_password"}}
		if diff := cmp.Diff(want, ada.ask(t, change, map[string]any{"o": old, "p": "brisk-heron-17"}).codes(t,
			"passwordChange")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", old, diff)
		}
	}
	if o.opens(t, "ada", "brisk-heron-17") || !o.opens(t, "ada", outsidersPassword) {
		t.Error("got a new password, want the old one")
	}
	if codes := ada.ask(t, change, map[string]any{"o": outsidersPassword, "p": "brisk-heron-17"}).codes(t,
		"passwordChange"); len(codes) > 0 {
		t.Errorf("passwordChange: got the problems %q, want none", codes)
	}
	if !o.opens(t, "ada", "brisk-heron-17") || o.opens(t, "ada", outsidersPassword) {
		t.Error("got the old password, want the new one")
	}
}

// TestSecurityPasswordsLeaveNoTrace: no password, right or wrong, of a good or a failing request, is in the debug
// log, a file, a response or the list of processes.
func TestSecurityPasswordsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	const canary, wrong, next = "Canary-quiet-otter-42", "Canary-of-a-wrong-login", "Canary-brisk-heron-17"
	o := outside(t, "ACCOUNTD_LOG_LEVEL=debug")
	o.add(t, "eve", canary, "--verified")
	answers := ""
	send := func(o *outsider, body string) { answers += o.send(t, []byte(body)).body }
	o.register(t, "ada", canary)
	eve := o.logIn(t, "eve", canary)
	for _, password := range []string{canary, wrong} {
		for _, body := range []string{
			`{"query":"mutation { tokenAuth(username: \"ada\", password: \"%s\") { success errors } }"}`,
			`{"query":"mutation { tokenAuth(username: \"nobody\", password: \"%s\") { success errors } }"}`,
			`{"query":"mutation { tokenAuth(username: \"ada\", email: \"ada@example.com\", password: \"%s\") { ` +
				`success } }"}`,
			`{"query":"mutation { tokenAuth(username: \"ada\", password: \"%s\") { success"}`,
			`{"query":"mutation { tokenAuth(username: \"ada\", password: %s) { success } }"}`,
			`{"query":"mutation { tokenAuth(username: 4, password: \"%s\") { success } }"}`,
			`{"query":"mutation { tokenAuth(user: \"ada\", password: \"%s\") { success } }"}`,
			`{"query":"mutation { tokenAuth(username: \"ada\", password: \"%s\\ud83d\") { success } }"}`,
			`{"query":"mutation L($p: Int!) { tokenAuth(username: \"ada\", password: $p) { success } ` +
				`}","variables":{"p":"%s"}}`,
			`{"query":"mutation L($p: String!) { tokenAuth(username: \"ada\", password: $p) { success } ` +
				`}","variables":{"p":["%s"]}}`,
			`{"query":"{ me { id } }","variables":{"%s":1}}`, `"%s"`, `{"%s"`,
			`{"query":"mutation { archiveAccount(password: \"x%s\") { success errors } }"}`,
			`{"query":"mutation { register(email: \"a b\", username: \"\", password1: \"%s\", password2: \"x\") { ` +
				`success ` +
				`errors } }"}`,
		} {
			send(eve, fmt.Sprintf(body, password))
		}
	}
	send(eve, fmt.Sprintf(`{"query":"mutation { passwordChange(oldPassword: \"%s\", newPassword1: \"%s\", `+
		`newPassword2: \"%s\") { success } }"}`, canary, next, next))
	resp, err := http.Get(o.URL + "/graphql?query=%7Bme%7Bid%7D%7D&variables=" + wrong)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	places := map[string][]byte{"users": []byte(o.Run(t, "", "user", "list", "--json")),
		"settings": []byte(o.Run(t, "", "config", "show"))}
	for _, file := range []string{"cmdline", "environ"} {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", o.Cmd.Process.Pid, file)); err == nil { // Linux has it
			places[file] = text
		}
	}
	if err := o.Stop(); err != nil {
		t.Fatal(err)
	}
	places["log"] = []byte(o.Log())
	err = filepath.WalkDir(o.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(places["log"], []byte("request")) || len(places) < 6 {
		t.Fatalf("got %d places, want at least 6 and a log with requests:\n%s", len(places), places["log"])
	}
	for place, text := range places {
		for _, password := range []string{"Canary", "canary"} {
			if bytes.Contains(text, []byte(password)) {
				t.Errorf("%s: got a password in it, want none", place)
			}
		}
	}
	if strings.Contains(answers, "Canary") {
		t.Errorf("got the answers %s, want no password in them", answers)
	}
}
