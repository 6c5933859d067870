package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/schema"
)

const (
	cookies   = "[tokens.cookies]\nenabled = true\n"
	httpsSite = "[server]\npublic_url = \"https://accounts.example.com\"\n"
	httpSite  = "[server]\npublic_url = \"http://accounts.example.com\"\n"
)

func TestWebContradictions(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // "": nothing is wrong
	}{
		{"proxies", `server.trusted_proxies = ["10.0.0.0/8", "10.1.2.3/8", "192.0.2.7", "2001:db8::/32", "::1"]`, ""},
		{"proxy by name", `server.trusted_proxies = ["proxy.internal"]`,
			"has an item that is no address and no network"},
		{"proxy with port", `server.trusted_proxies = ["10.0.0.1:80"]`, "is no address and no network"},
		{"bits beyond", `server.trusted_proxies = ["10.0.0.0/33"]`, "is no address and no network"},
		{"no proxy", `server.trusted_proxies = [""]`, "is no address and no network"},
		{"zone", `server.trusted_proxies = ["fe80::1%eth0"]`, "is no address and no network"},
		{"IPv4 as IPv6", `server.trusted_proxies = ["::ffff:10.0.0.1"]`, "is no address and no network"},
		{"network of IPv4 as IPv6", `server.trusted_proxies = ["::ffff:10.0.0.0/104"]`, "is no address and no network"},
		{"everybody", `server.trusted_proxies = ["0.0.0.0/0"]`, "trusts every address"},
		{"everybody, IPv6", `server.trusted_proxies = ["10.0.0.1", "::/0"]`, "trusts every address"},

		{"origins", `server.cors_origins = ["https://app.example.com", "http://localhost:3000", ` +
			`"http://[::1]:3000", "https://a.example:8443", "capacitor://localhost"]`, ""},
		{"any origin", `server.cors_origins = ["*"]`, "has an item that is no origin as browsers write it"},
		{"wildcard", `server.cors_origins = ["https://*.example.com"]`, "no origin"},
		{"null", `server.cors_origins = ["null"]`, "no origin"},
		{"no scheme", `server.cors_origins = ["app.example.com"]`, "no origin"},
		{"host alone", `server.cors_origins = ["//app.example.com"]`, "no origin"},
		{"slash", `server.cors_origins = ["https://app.example.com/"]`, "no origin"},
		{"path", `server.cors_origins = ["https://app.example.com/x"]`, "no origin"},
		{"query", `server.cors_origins = ["https://app.example.com?x"]`, "no origin"},
		{"fragment", `server.cors_origins = ["https://app.example.com#"]`, "no origin"},
		{"user", `server.cors_origins = ["https://u@app.example.com"]`, "no origin"},
		{"upper case", `server.cors_origins = ["https://App.example.com"]`, "no origin"},
		{"default port", `server.cors_origins = ["https://app.example.com:443"]`, "no origin"},
		{"default port of http", `server.cors_origins = ["http://localhost:80"]`, "no origin"},
		{"empty port", `server.cors_origins = ["http://localhost:"]`, "no origin"},
		{"file", `server.cors_origins = ["file://"]`, "no origin"},
		{"two in one", `server.cors_origins = ["https://a.example https://b.example"]`, "no origin"},
		{"not ASCII", `server.cors_origins = ["https://bücher.example"]`, "no origin"},

		{"argument", `tokens.argument_name = "access_token2"`, ""},
		{"argument with a dash", `tokens.argument_name = "access-token"`, "is not the name of an argument"},
		{"argument with a digit first", `tokens.argument_name = "2token"`, "is not the name of an argument"},
		{"argument of GraphQL's own", `tokens.argument_name = "__token"`, "is not the name of an argument"},
		{"no argument", `tokens.argument_name = ""`, "is not the name of an argument"},

		{"cookies", cookies, ""},
		{"cookies on https", httpsSite + cookies + "hide_token_fields = true\nsame_site = \"None\"", ""},
		{"cookies on http", httpSite + cookies, ""},
		{"hidden without cookies", "[tokens.cookies]\nhide_token_fields = true",
			"leaves no way to get a token while tokens.cookies.enabled is false"},
		{"name with a space", cookies + `name = "J WT"`, "is not the name of a cookie"},
		{"no refresh name", cookies + `refresh_name = ""`, "is not the name of a cookie"},
		{"name with its prefix", httpsSite + cookies + `name = "__Host-JWT"`,
			"begins with what browsers give a meaning"},
		{"refresh name with a prefix", cookies + `refresh_name = "__secure-r"`,
			"begins with what browsers give a meaning"},
		{"equal names", cookies + `refresh_name = "JWT"`, "is the name of the other cookie as well"},
		{"relative path", cookies + `path = "graphql"`, "is not the path of a URL"},
		{"no path", cookies + `path = ""`, "is not the path of a URL"},
		{"path with an attribute", cookies + `path = "/; Domain=evil.example"`, "is not the path of a URL"},
		{"deep path", cookies + `path = "/graphql"`, ""},

		{"domain is the host", httpsSite + cookies + `domain = "accounts.example.com"`, ""},
		{"domain above", httpsSite + cookies + `domain = "Example.com"`, ""},
		{"domain with a dot", httpsSite + cookies + `domain = ".example.com"`,
			`is neither the host of server.public_url, "accounts.example.com", nor above it`},
		{"domain below", httpsSite + cookies + `domain = "x.accounts.example.com"`, "nor above it"},
		{"domain beside", httpsSite + cookies + `domain = "other.com"`, "nor above it"},
		{"end of a name", httpsSite + cookies + `domain = "ample.com"`, "nor above it"},
		{"top-level domain", httpsSite + cookies + `domain = "com"`, "nor above it"},
		{"domain of an address", cookies + `domain = "127.0.0.1"`, "nor above it"},
		{"domain without cookies", `tokens.cookies.domain = "other.com"`, ""},

		{"secure on http", httpSite + cookies + "secure = true",
			`makes browsers drop the cookies, because server.public_url, "http://accounts.example.com", is not https`},
		{"secure on loopback", cookies + "secure = true\nsame_site = \"None\"", ""},
		{"None on http", httpSite + cookies + "same_site = \"None\"",
			"is refused by browsers for cookies that are not Secure"},
		{"None, not secure", httpsSite + cookies + "same_site = \"None\"\nsecure = false",
			"is refused by browsers for cookies that are not Secure"},
		{"None on loopback", cookies + "same_site = \"None\"",
			"is refused by browsers for cookies that are not Secure"},
		{"another same site", cookies + "same_site = \"lax\"", `use "Lax", "Strict", "None"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := problems(t, test.text)
			if test.want == "" && len(got) > 0 || test.want != "" &&
				(len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("problems %q, want %q", got, test.want)
			}
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	c := mustLoad(t, "", "ACCOUNTD_SERVER_TRUSTED_PROXIES=10.1.2.3/8, 192.0.2.7,2001:db8::1")
	var got []string
	for _, network := range c.TrustedProxies() {
		got = append(got, network.String())
	}
	if diff := cmp.Diff([]string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !c.TrustedProxies()[0].Contains(netip.MustParseAddr("10.200.0.1")) {
		t.Error("got 10.200.0.1 outside the network, want it inside")
	}
}

func TestWebWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		httpsSite + cookies + "secure = false": "tokens.cookies are not Secure",
		httpSite + cookies:                     "tokens.cookies are not Secure",
		httpsSite + cookies:                    "",
		cookies:                                "",
		`server.cors_origins = ["https://app.example.com", "http://localhost:3000", "http://127.0.0.1:1"]`: "",
		`server.cors_origins = ["http://app.example.com"]`: "" +
			"server.cors_origins has http://app.example.com, which is not https",
	} {
		warnings := mustLoad(t, text).webWarnings()
		if found := slices.ContainsFunc(warnings,
			func(w string) bool { return strings.HasPrefix(w, want) }); want != "" && !found || want == "" &&
			len(warnings) > 0 {
			t.Errorf("%s: warnings %q, want %q", text, warnings, want)
		}
	}
}

// TestCookieSettings: Secure follows public_url, and __Host- is put in front of both names where browsers accept it.
func TestCookieSettings(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want schema.Cookies
	}{
		"loopback": {cookies, schema.Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/",
			SameSite: "Lax"}},
		"https": {httpsSite + cookies + "hide_token_fields = true\nsame_site = \"Strict\"",
			schema.Cookies{Enabled: true, Name: "__Host-JWT",
				RefreshName: "__Host-JWT-refresh-token", Secure: true, Path: "/", SameSite: "Strict",
				HideTokenFields: true}},
		"https in capitals": {strings.Replace(httpsSite, "https:", "HTTPS:", 1) + cookies,
			schema.Cookies{Enabled: true, Name: "__Host-JWT",
				RefreshName: "__Host-JWT-refresh-token", Secure: true, Path: "/", SameSite: "Lax"}},
		"own path": {httpsSite + cookies + "path = \"/x\"\nname = \"a\"\nrefresh_name = \"b\"",
			schema.Cookies{Enabled: true, Name: "a", RefreshName: "b",
				Secure: true, Path: "/x", SameSite: "Lax"}},
		"own domain": {httpsSite + cookies + "domain = \"example.com\"\nsame_site = \"None\"",
			schema.Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token",
				Secure: true, Path: "/", Domain: "example.com", SameSite: "None"}},
		"not secure": {httpsSite + cookies + "secure = false",
			schema.Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/", SameSite: "Lax"}},
		"secure loopback": {cookies + "secure = true",
			schema.Cookies{Enabled: true, Name: "__Host-JWT", RefreshName: "__Host-JWT-refresh-token",
				Secure: true, Path: "/", SameSite: "Lax"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, mustLoad(t, test.text).SchemaSettings().Cookies); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
