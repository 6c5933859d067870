package cli

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

func TestUserCommands(t *testing.T) {
	w := newWorld(t)
	w.fails(exitFailure, "accountd: no accounts here: stat PATH/data/accountd.db: no such file or directory: name "+
		"the server's directory with --data-dir\n", "user", "list")

	w.stdin = "quiet-otter-42\r\nthis is ignored\n"
	equal(t, w.ok("user", "add", "--username=ada", "--email=Ada@Example.com", "--secondary-email=ada@home.example",
		"--password-stdin",
		"--first-name=Ada", "--last-name=Lovelace", "--verified", "--staff"),
		`id:        1
username:  ada
email:     Ada@example.com
secondary: ada@home.example
name:      Ada Lovelace
state:     verified, staff
joined:    2027-01-15 08:00:00 UTC
`)
	w.stdin = ""
	equal(t, w.ok("user", "add", "--username=bob", "--email=bob@example.com", "--no-password", "--archived",
		"--inactive", "--superuser", "--json"),
		`{"id":2,"username":"bob","email":"bob@example.com","verified":false,"archived":true,"is_active":false,`+
			`"is_staff":false,"secondary_email":null}`+"\n")
	for _, ref := range []string{"1", "ADA", "ada@EXAMPLE.com", "ada@home.example"} {
		equal(t, w.ok("user", "show", ref, "--json"),
			`{"id":1,"username":"ada","email":"Ada@example.com","verified":true,"archived":false,"is_active":true,`+
				`"is_staff":true,"secondary_email":"ada@home.example"}`+"\n")
	}
	equal(t, w.ok("user", "show", "bob"),
		"id:        2\nusername:  bob\nemail:     bob@example.com\nsecondary: -\nname:      -\nstate:     "+
			"unverified, archived, inactive, superuser\njoined:    2027-01-15 08:00:00 UTC\n")
	equal(t, w.ok("user", "list"), `ID  USERNAME  EMAIL            STATE
1   ada       Ada@example.com  verified, staff
2   bob       bob@example.com  unverified, archived, inactive, superuser
`)
	if lines := strings.Split(strings.TrimSpace(w.ok("user", "list", "--json")), "\n"); len(lines) != 2 ||
		lines[0] != strings.TrimSpace(w.ok("user", "show", "ada", "--json")) {
		t.Errorf("got %q, want 2 users as user show prints them", lines)
	}
	w.fails(exitFailure, "accountd: there is no such user: \"nobody\" is no id, username or address\n", "user", "show",
		"nobody")
	w.fails(exitFailure, `accountd: email: Enter a valid email address.
accountd: password: This field is required.
accountd: username: Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.
`, "user", "add", "--username=a b", "--email=a", "--password-stdin")
	w.fails(exitFailure, "accountd: secondary email: A user with that email already exists.\n",
		"user", "add", "--username=eve", "--email=eve@example.com", "--secondary-email=ADA@home.example",
		"--no-password")
}

func TestUserLink(t *testing.T) {
	w := newWorld(t)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	for kind, path := range map[string]string{"activation": "activate", "password_reset": "password-reset",
		"password_set": "password-set"} {
		want := regexp.MustCompile(`^token: (\S+)\nlink:  http://127\.0\.0\.1:8080/` + path +
			`/\S+\nuser:  1, ada, \S+\n$`)
		if out := w.ok("user", "link", kind, "ada"); !want.MatchString(out) {
			t.Errorf("%s: got %q, want token, link and user", kind, out)
		}
	}
	var link struct {
		Token, Link, Username string
		ID                    int
	}
	if err := json.Unmarshal([]byte(w.ok("user", "link", "secondary_email", "ada", "--email=ada@home.example",
		"--json")), &link); err != nil {
		t.Fatal(err)
	}
	if link.Token == "" || link.Link != "http://127.0.0.1:8080/activate/"+link.Token || link.ID != 1 ||
		link.Username != "ada" {
		t.Errorf("got %+v, want a link of ada that ends in the token", link)
	}
	w.fails(exitFailure, "accountd: email: Enter a valid email address.\n", "user", "link", "secondary_email", "ada",
		"--email=ada")
}
