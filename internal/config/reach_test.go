package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPublicSettings: each setting that is for users on other machines turns off the pages for developers, and says so.
// Introspection goes by the two addresses.
func TestPublicSettings(t *testing.T) {
	for _, test := range []struct{ name, toml, keys string }{
		{"the defaults", "", ""},
		{"everything here", `
			server.listen = "[::1]:80"
			server.public_url = "http://app.localhost:3000"
			server.allowed_hosts = ["127.0.0.3", "LOCALHOST"]
			server.cors_origins = ["http://localhost:3000", "http://[::1]"]
			tokens.issuer = "http://localhost"
			email = { from = "Acme <a@acme.localhost>", link_base = "http://127.0.0.1:3000/#", smtp.host = "localhost" }`, ""},
		{"an address", `email.from = "a@[127.0.0.1]"`, ""},
		{"issuer and audience that are no URLs", `tokens = { issuer = "acme", audience = "com.example.app" }`, ""},
		{"an audience here", `tokens.audience = "http://localhost:3000"`, ""},

		{"listen", `server = { listen = "0.0.0.0:80", public_url = "http://localhost" }`, "server.listen"},
		{"listen everywhere", `server = { listen = ":80", public_url = "http://localhost" }`, "server.listen"},
		{"public URL", `server.public_url = "https://a.example"`, "server.public_url"},
		{"public URL in a hosts file", `server.public_url = "http://app.test"`, "server.public_url"},
		{"a host", `server.allowed_hosts = ["localhost", "a.example"]`, "server.allowed_hosts"},
		{"a container's host", `server.allowed_hosts = ["host.docker.internal"]`, "server.allowed_hosts"},
		{"like localhost", `server.allowed_hosts = ["notlocalhost"]`, "server.allowed_hosts"},
		{"a proxy", `server.trusted_proxies = ["10.0.0.1"]`, "server.trusted_proxies"},
		{"a proxy here", `server.trusted_proxies = ["127.0.0.1"]`, "server.trusted_proxies"},
		{"an origin", `server.cors_origins = ["http://localhost:3000", "https://a.example"]`, "server.cors_origins"},
		{"a phone", `server.cors_origins = ["capacitor://localhost"]`, "server.cors_origins"},
		{"issuer", `tokens.issuer = "https://a.example"`, "tokens.issuer"},
		{"audience", `tokens.audience = "https://api.a.example"`, "tokens.audience"},
		{"from", `email.from = "Acme <accounts@a.example>"`, "email.from"},
		{"links", `email.link_base = "https://a.example"`, "email.link_base"},
		{"a mail server", `email.smtp.host = "10.0.0.7"`, "email.smtp.host"},
		{"several", `email = { from = "a@a.example", link_base = "https://a.example" }`, "email.from, email.link_base"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, test.toml)
			local := test.keys == ""
			if keys := strings.Join(c.PublicSettings(), ", "); keys != test.keys {
				t.Errorf("keys %q, want %q", keys, test.keys)
			}
			introspection := test.keys != "server.listen" && test.keys != "server.public_url"
			got := []bool{c.Loopback(), c.DevMail(), c.GraphiQL(), c.Introspection()}
			if want := []bool{local, local, local, introspection}; !slices.Equal(got, want) {
				t.Errorf("loopback, /dev/mail, GraphiQL, introspection: %v, want %v", got, want)
			}
			says := ", while other settings are for users elsewhere (" + test.keys + "): set it to "
			mixed := slices.ContainsFunc(c.Warnings(), func(w string) bool {
				return strings.HasPrefix(w, "server.public_url is ") && strings.Contains(w, says)
			})
			alone := test.keys == "server.public_url" || test.keys == "server.listen"
			if want := !local && !alone; mixed != want {
				t.Errorf("got the warnings %q, want one about public_url %t", c.Warnings(), want)
			}
		})
	}
}

// TestReachProblems: the settings that a public server lacks for limits that distinguish users.
func TestReachProblems(t *testing.T) {
	const missing = "server.trusted_proxies does not have "
	for _, test := range []struct{ listen, public, proxies, want string }{
		{"127.0.0.1:8080", "https://a.example", "", missing +
			`127.0.0.1, …: set server.trusted_proxies = ["127.0.0.1"], and`},
		{"localhost:8080", "https://a.example", "10.0.0.0/8", missing +
			`127.0.0.1, …proxies = ["10.0.0.0/8", "127.0.0.1"], and`},
		{"[::1]:8080", "https://a.example", "127.0.0.1", missing +
			`::1, …: set server.trusted_proxies = ["127.0.0.1", "::1"], and`},
		{"127.0.0.1:8080", "https://a.example", "127.0.0.1", ""},
		{"127.0.0.1:8080", "https://a.example", "127.0.0.0/8", ""},
		{"127.0.0.1:8080", "https://a.example", "64.0.0.0/2", ""},
		{"[::1]:8080", "https://a.example", "::1", ""},
		{":8080", "https://a.example", "", ""},
		{":8080", "http://a.example", "", ""},
		{"0.0.0.0:8080", "http://localhost:8080", "", ""},
		{"[::]:8080", "http://127.0.0.1:8080", "", ""},
		{"0.0.0.0:8080", "http://localhost:8080", "10.0.0.1", "server.public_url is on this machine, …: set it to"},
		{"127.0.0.1:8080", "", "", ""},
		{"127.0.0.1:8080", "", "127.0.0.1", "server.public_url is missing, …: set it to"},
		{"127.0.0.1:8080", "http://localhost:3000", "127.0.0.1", "server.public_url is on this machine, …: set"},
	} {
		c := mustLoad(t, "", "ACCOUNTD_SERVER_LISTEN="+test.listen, "ACCOUNTD_SERVER_PUBLIC_URL="+test.public,
			"ACCOUNTD_SERVER_TRUSTED_PROXIES="+test.proxies)
		var got []string
		if p := c.ReachProblem(); p != nil {
			got = append(got, p.Key+" "+p.Message+": "+p.Remedy)
		}
		begin, end, _ := strings.Cut(test.want, "…")
		said := strings.Join(got, "\n")
		if len(got) != min(len(test.want), 1) || !strings.HasPrefix(said, begin) || !strings.Contains(said, end) {
			t.Errorf("%+v: got %q, want %q", test, got, test.want)
		}
		unencrypted := strings.Contains(strings.Join(c.Warnings(), "\n"), "travel in clear")
		if unencrypted != strings.HasPrefix(test.public, "http://a.") {
			t.Errorf("%+v: got the warnings %q, want one about unencrypted requests %t", test, c.Warnings(),
				strings.HasPrefix(test.public, "http://a."))
		}
		if diff := cmp.Diff(got, c.reachWarnings()); diff != "" {
			t.Errorf("%+v: warnings (-problems +warnings):\n%s", test, diff)
		}
	}
}
