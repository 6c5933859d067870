package config

import (
	"strings"
	"testing"

	"accountd/email"
)

func TestSMTPContradictions(t *testing.T) {
	const host = "[email.smtp]\nhost = \"smtp.example.com\"\n"
	const login = "username = \"u\"\npassword_file = \"p\"\n"
	tests := []struct {
		name, text string
		want       string // "": nothing is wrong
	}{
		{"off", "", ""},
		{"host", host, ""},
		{"login", host + login, ""},
		{"implicit", host + login + `tls = "implicit"`, ""},
		{"in clear without a login", host + `tls = "none"`, ""},
		{"in clear on this machine", "[email.smtp]\nhost = \"127.0.0.1\"\ntls = \"none\"\n" + login, ""},
		{"in clear", host + login + `tls = "none"`,
			`email.smtp.tls = "none" would send the password in clear to "smtp.example.com": use "starttls" or ` +
				`"implicit"`},
		{"host with port", "[email.smtp]\nhost = \"smtp.example.com:25\"",
			`is not the name of a host: write the name alone`},
		{"host with scheme", "[email.smtp]\nhost = \"smtp://example.com\"", "is not the name of a host"},
		{"no password", host + `username = "u"`,
			`email.smtp.password_file = "" is empty while email.smtp.username is "u": name a file, mode 0600`},
		{"no username", host + `password_file = "p"`, "is empty while email.smtp.password_file is set"},
		{"port", host + "port = 65536", "is out of bounds: use a whole number from 0 to 65535"},
		{"mode", host + `tls = "opportunistic"`, `is not possible: use "starttls", "implicit", "none"`},
		{"password in the file", host + `password = "hunter2"`, `email.smtp.password = (not shown) is no setting`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load(writeFile(t, "config.toml", test.text), nil, Overrides{})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestSMTPPort(t *testing.T) {
	for mode, want := range map[email.TLSMode]int{email.StartTLS: 587, email.ImplicitTLS: 465, email.NoTLS: 25} {
		c := mustLoad(t, "[email.smtp]\nhost = \"127.0.0.1\"\ntls = \""+string(mode)+"\"\n")
		if got := c.SMTPSettings().Port; got != want {
			t.Errorf("%s: port %d, want %d", mode, got, want)
		}
	}
}

func TestSMTPWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"[email.smtp]\nhost = \"smtp.example.com\"": "" +
			"email.from is an address at localhost",
		"[email]\nfrom = \"a@a.example\"\n[email.smtp]\nhost = \"smtp.example.com\"\ntls = \"none\"": "travel in clear",
		"[email.smtp]\nhost = \"localhost\"\ntls = \"none\"":                                         "",
		"[email]\nfrom = \"a@a.example\"\n[email.smtp]\nhost = \"smtp.example.com\"":                 "",
	} {
		warnings := mustLoad(t, text).smtpWarnings()
		if want == "" && len(warnings) != 0 || want != "" &&
			(len(warnings) != 1 || !strings.Contains(warnings[0], want)) {
			t.Errorf("%q warns %q, want %q", text, warnings, want)
		}
	}
}
