package cli

import (
	"context"
	"strings"
	"testing"
)

const fieldSettings = `
[accounts]
register_fields = ["email"]
[[accounts.fields]]
name = "phone"
type = "String"
pattern = '\+?[0-9, =]+'
unique = true
[[accounts.fields]]
name = "level"
type = "Int"
choices = [1, 2]
public = false
[[accounts.fields]]
name = "ratio"
type = "Float"
[[accounts.fields]]
name = "news_letter"
type = "Boolean"
[[accounts.fields]]
name = "born"
type = "DateTime"
`

// TestUserFields: fields are given by name, judged like those of a form, and shown.
func TestUserFields(t *testing.T) {
	w := newWorld(t)
	w.write("config.toml", fieldSettings)
	equal(t, w.ok("user", "add", "--email=ada@example.com", "--no-password", "--field", "phone=+1, 2=3",
		"--field=level=2", "--field=ratio=0.1",
		"--field=news_letter=false", "--field=born=1815-12-10T01:00:00.9+01:00", "--json"),
		`{"id":1,"username":"ada@example.com","email":"ada@example.com","verified":false,"archived":false,`+
			`"is_active":true,"is_staff":false,"secondary_email":null,`+
			`"fields":{"born":"1815-12-10T00:00:00+00:00","level":2,"news_letter":false,"phone":"+1, `+
			`2=3","ratio":0.1}}`+"\n")
	equal(t, w.ok("user", "show", "ada@example.com"), `id:        1
username:  ada@example.com
email:     ada@example.com
secondary: -
name:      -
state:     unverified
joined:    2027-01-15 08:00:00 UTC
born:      1815-12-10T00:00:00+00:00
level:     2
news_letter: false
phone:     +1, 2=3
ratio:     0.1
`)
	w.ok("user", "add", "--email=bob@example.com", "--username=bob", "--no-password", "--field=phone=")
	if out := w.ok("user", "show", "bob", "--json"); !strings.Contains(out,
		`"fields":{"born":null,"level":null,"news_letter":null,"phone":null,"ratio":null}}`) {
		t.Errorf("got %q, want every field null", out)
	}
	if out := w.ok("user", "list"); !strings.Contains(out, "1   ada@example.com  ada@example.com  unverified") {
		t.Errorf("got %q, want text with %q", out, "1   ada@example.com  ada@example.com  unverified")
	}
	add := []string{"user", "add", "--email=eve@example.com", "--no-password"}
	w.fails(exitFailure, "accountd: level: Select a valid choice. 3 is not one of the available choices.\naccountd: "+
		"phone: Enter a valid value.\n",
		append(add, "--field=level=3", "--field=phone=x")...)
	w.fails(exitFailure, "accountd: phone: User with this Phone already exists.\n",
		append(add, "--field=phone= +1, 2=3 ")...)
	for field, want := range map[string]string{
		"fone=1":              `"fone" is no field of accounts.fields`,
		"email=a@example.com": `"email" is no field of accounts.fields`,
		"level=2.0":           `"2.0" is not a whole number of 32 bits`,
		"level=2147483648":    `"2147483648" is not a whole number of 32 bits`,
		"ratio=NaN":           `"NaN" is not a number`,
		"ratio=1e999":         `"1e999" is not a number`,
		"news_letter=yes":     `"yes" is neither true nor false`,
		"born=1815-12-10":     `"1815-12-10" is not a time such as 2020-01-31T23:59:59+00:00`,
		"level":               `write NAME=VALUE`,
	} {
		w.fails(exitUsage, "accountd: --field "+field+": "+want+"\nTry accountd --help.\n",
			append(add, "--field="+field)...)
	}
	set := w.ok("user", "set", "ada@example.com", "--field=level=", "--field=phone=+2", "--json")
	equal(t, set[strings.Index(set, `"fields"`):],
		`"fields":{"born":"1815-12-10T00:00:00+00:00","level":null,"news_letter":false,"phone":"+2","ratio":0.1}}`+"\n")
	w.fails(exitFailure, "accountd: phone: Enter a valid value.\n", "user", "set", "1", "--field=phone=x",
		"--field=level=1")
	w.fails(exitUsage, "accountd: --field level=2: level is given twice\nTry accountd --help.\n",
		append(add, "--field=level=1", "--field=level=2")...)

	w.write("config.toml", "")
	w.fails(exitFailure, "accountd: username: This field is required.\n", add...)
	lacks(t, w.ok("user", "show", "1", "--json"), "fields")
}

// TestFieldsBetweenRuns: fields come, go, change their place and their type, and nothing that is stored is lost.
func TestFieldsBetweenRuns(t *testing.T) {
	w := newWorld(t)
	show := func(settings, want string) {
		t.Helper()
		w.write("config.toml", "[accounts]\nfields = ["+settings+"]\n")
		out := w.ok("user", "show", "ada", "--json")
		_, fields, _ := strings.Cut(strings.TrimSpace(out), `"secondary_email":null`)
		equal(t, fields, want+"}")
	}
	w.write("config.toml", `accounts.fields = [{name="a", type="String"}, {name="b", type="Int"}, {name="c", `+
		`type="Float"}]`)
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password", "--field=a=x", "--field=b=7",
		"--field=c=2.5")
	show(`{name="c", type="Float"}, {name="d", type="Int"}, {name="a", type="String"}, {name="b", type="Int"}`,
		`,"fields":{"a":"x","b":7,"c":2.5,"d":null}`)
	show(`{name="b", type="Int"}`, `,"fields":{"b":7}`)
	show(``, ``)
	show(`{name="a", type="Int"}, {name="b", type="String"}, {name="c", type="DateTime"}`,
		`,"fields":{"a":null,"b":null,"c":null}`)
	show(`{name="a", type="Boolean"}, {name="b", type="Float"}, {name="c", type="Boolean"}`,
		`,"fields":{"a":null,"b":7,"c":null}`)
	show(`{name="a", type="String", pattern="y", max_length=1}, {name="b", type="Int"}, {name="c", type="Float"}`,
		`,"fields":{"a":"x","b":7,"c":2.5}`)
}

// TestClashesAreLogged: a field becomes unique after two accounts have the same value.
func TestClashesAreLogged(t *testing.T) {
	w := newWorld(t)
	w.write("config.toml", `accounts.fields = [{name="phone", type="String"}]`)
	for _, name := range []string{"ada", "bob"} {
		w.ok("user", "add", "--username="+name, "--email="+name+"@example.com", "--no-password", "--field=phone=1")
	}
	w.write("config.toml", `accounts.fields = [{name="phone", type="String", unique=true}]`)
	w.fails(exitFailure, "accountd: phone: User with this Phone already exists.\n",
		"user", "add", "--username=eve", "--email=eve@example.com", "--no-password", "--field=phone=1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it starts, and ends at once
	var out, errs strings.Builder
	code := Run(ctx, Env{
		Args: []string{"serve", "--listen=127.0.0.1:0", "--config", w.path("config.toml")}, Environ: w.environ,
		Stdout: &out, Stderr: &errs, Now: now,
	})
	if code != exitOK || !strings.Contains(errs.String(), "a unique field has values that several accounts share") ||
		!strings.Contains(errs.String(), `"field":"phone","values":1`) {
		t.Errorf("exit %d\n%s, want %v, text with %q, text with %q", code, errs.String(), exitOK,
			"a unique field has values that several accounts share", `"field":"phone","values":1`)
	}
}
