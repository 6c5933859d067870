package config

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// problems loads a file with that text and returns what is wrong, one line each, the file called "f".
func problems(t *testing.T, text string, env ...string) []string {
	t.Helper()
	path := writeFile(t, "f", text)
	_, err := Load(path, env, Overrides{})
	if err == nil {
		return nil
	}
	list, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("got the error type %T, want Problems: %v", err, err)
	}
	var lines []string
	for _, p := range list {
		if p.Remedy == "" {
			t.Errorf("%v: got no remedy, want one", p)
		}
		lines = append(lines, strings.ReplaceAll(p.String(), path, filepath.Base(path)))
	}
	return lines
}

func TestEverythingAtOnce(t *testing.T) {
	got := problems(t, `
listen = ":80"
"server.listen" = ":80"
[tokens]
algoritm = "HS256"
access_lifetime = 300
refresh_bytes = 15
allow_refresh = "yes"
header_prefixes = ["JWT", 1]
keys_file.path = "x"
[token]
issuer = "not reported: its section is"
[[limits]]
body = "not reported either"
[passwords.argon2]
memory = "19MB"
parallelism = 2.0
iterations = 99999999999
[passwords.argon2.extra]
[accounts]
tokens.issuer = 1
[email.from]
[log]
level = "verbose"
`, "ACCOUNTD_LIMITS_ALIASES=many", "ACCOUNTD_TOKENS_ISUER=x", "ACCOUNTD_GRAPHQL_GRAPHIQL=", "ACCOUNTD_WHATEVER=1",
		"ACCOUNTD_SERVER_DATA_DIR=")
	want := []string{
		`f:2: listen = ":80" is no setting: did you mean server.listen?`,
		`f:3: "server.listen" = ":80" is no setting: did you mean server.listen?`,
		`f:5: tokens.algoritm = "HS256" is no setting: did you mean tokens.algorithm?`,
		`f:6: tokens.access_lifetime = 300 has the wrong type: use a duration from "1s" to "365d", such as "90s", ` +
			`"5m" or "7d"`,
		`f:7: tokens.refresh_bytes = 15 is out of bounds: use a whole number from 16 to 64`,
		`f:8: tokens.allow_refresh = "yes" has the wrong type: use true or false`,
		`f:9: tokens.header_prefixes = ["JWT", 1] has an item of the wrong type: use a list of strings, such as ` +
			`["a", "b"]; separated by commas in a variable`,
		`f:10: tokens.keys_file.path = (not shown) is no setting: did you mean tokens.keys_file?`,
		`f:11: token is no setting: did you mean tokens?`,
		`f:13: limits has two pairs of brackets: write [limits]`,
	}
	for i := range want {
		if i >= len(got) {
			t.Fatalf("got %d problems, want more: %q", len(got), got)
		}
		if got[i] != want[i] {
			t.Errorf("problem %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	rest := strings.Join(got[len(want):], "\n")
	for _, part := range []string{
		`f:16: passwords.argon2.memory = "19MB" is not a size`,
		`f:17: passwords.argon2.parallelism = 2.0 has the wrong type`,
		`f:18: passwords.argon2.iterations = 99999999999 is out of bounds`,
		`f:19: passwords.argon2.extra is no setting`,
		`f:21: accounts.tokens.issuer = (not shown) is no setting: did you mean tokens.issuer?`,
		`f:22: email.from is no section`,
		`f:24: log.level = "verbose" is not possible: use "debug", "info", "warn", "error"`,
		`ACCOUNTD_GRAPHQL_GRAPHIQL: graphql.graphiql = "" is not possible: use "auto", true or false`,
		`ACCOUNTD_LIMITS_ALIASES: limits.aliases = "many" is not a whole number`,
		`environment: ACCOUNTD_TOKENS_ISUER = "x" is no setting: did you mean ACCOUNTD_TOKENS_ISSUER?`,
		`environment: ACCOUNTD_WHATEVER = "1" is no setting: unset it`,
		`ACCOUNTD_SERVER_DATA_DIR: server.data_dir = "" is empty`,
	} {
		if !strings.Contains(rest, part) {
			t.Errorf("got no\n%s\nwant it in\n%s", part, rest)
		}
	}
	if lines := strings.Count(rest, "\n") + 1; lines != 12 {
		t.Errorf("%d further problems, want 12:\n%s", lines, rest)
	}
}

func TestSyntax(t *testing.T) {
	for name, text := range map[string]string{
		"no value":    "[server]\nlisten =\n",
		"key twice":   "[server]\nlisten = \"a:1\"\nlisten = \"a:2\"\n",
		"table twice": "[server]\n[log]\n[server]\n",
		"no UTF-8":    "[email]\nsite_name = \"\xff\"\n",
		"cut off":     "[server",
	} {
		t.Run(name, func(t *testing.T) {
			got := problems(t, text)
			if len(got) != 1 || !strings.HasPrefix(got[0], "f:") {
				t.Errorf("got the problems %q, want one of the file", got)
			}
		})
	}
}

func TestContradictions(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string // "": nothing is wrong
	}{
		{"no port", "[server]\nlisten = \"localhost\"",
			`f:2: server.listen = "localhost" is not an address to listen on`},
		{"port beyond", "[server]\nlisten = \"localhost:65536\"", "is not an address to listen on"},
		{"public without URL", "[server]\nlisten = \":80\"",
			`default: server.public_url = "" is empty while server.listen, ":80", is not on loopback`},
		{"public with URL", "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"", ""},
		{"URL without scheme", "[server]\npublic_url = \"a.example\"", "is not a web address"},
		{"URL with password", "[server]\npublic_url = \"https://u:hunter2@a.example\"",
			`"https://u:xxxxx@a.example" is not a web address`},
		{"URL with query", "[server]\npublic_url = \"https://a.example/?a\"", "is not a web address"},
		{"host with port", "[server]\nallowed_hosts = [\"a.example:80\"]", "has an item that is no host name"},
		{"hosts", "[server]\nallowed_hosts = [\"a.example\", \"10.0.0.7\", \"::1\"]", ""},
		{"uniform time over timeout", "[limits]\ntimeout = \"1s\"\nuniform_time = \"2s\"",
			`f:3: limits.uniform_time = "2s" is longer than limits.timeout, "1s", lets a request take`},
		{"query over body", "[limits]\nbody = \"1KiB\"\nquery = \"2KiB\"",
			`f:3: limits.query = "2KiB" is more than limits.body, "1KiB"`},
		{"small body alone", "[limits]\nbody = \"1KiB\"", ""},
		{"header with space", "[tokens]\nheader_name = \"X Y\"", "is not the name of a header"},
		{"header taken", "[tokens]\nheader_name = \"cookie\"", "has another meaning"},
		{"no prefixes", "[tokens]\nheader_prefixes = []", "is not a list of words"},
		{"prefix with space", "[tokens]\nheader_prefixes = [\"my token\"]", "is not a list of words"},
		{"idle over absolute", "[tokens]\nrefresh_lifetime = \"2d\"\nsession_lifetime = \"1d\"",
			"f:2: tokens.refresh_lifetime"},
		{"no absolute", "[tokens]\nrefresh_lifetime = \"2d\"\nsession_lifetime = \"0s\"", ""},
		{"short sessions alone", "[tokens]\nsession_lifetime = \"1d\"", ""},
		{"grace over idle", "[tokens]\nrefresh_lifetime = \"10s\"\nrotation_grace = \"11s\"",
			"f:3: tokens.rotation_grace"},
		{"length over bytes", "[passwords]\nmin_length = 100\nmax_bytes = 99",
			"f:2: passwords.min_length = 100 is more than passwords.max_bytes, 99"},
		{"argon2 for its lanes", "[passwords.argon2]\nmemory = \"31KiB\"\nparallelism = 4", `use at least "32KiB"`},
		{"argon2 in bytes", "[passwords.argon2]\nmemory = \"8193B\"", "is not a whole number of KiB"},
		{"argon2 cheap", "[passwords.argon2]\nmemory = \"8KiB\"\niterations = 1", ""},
		{"similarity", "[passwords]\nsimilarity = 1.1", "is out of bounds"},
		{"similarity nan", "[passwords]\nsimilarity = nan", "is out of bounds"},
		{"similarity whole", "[passwords]\nsimilarity = 1", ""},
		{"negative", "[tokens]\nleeway = \"-1s\"", "is out of bounds"},
		{"from", "[email]\nfrom = \"accountd\"", "is not one mail address"},
		{"two from", "[email]\nfrom = \"a@b.example, c@d.example\"", "is not one mail address"},
		{"header injection", "[email]\nfrom = \"a@b.example\\r\\nBcc: c@d.example\"",
			`"a@b.example\u000D\u000ABcc: c@d.example" has a control character`},
		{"from in unicode", "[email]\nfrom = \"Bücher <a@bücher.example>\"", "has an address that is not ASCII"},
		{"from in both", "[email]\nfrom = \"Bücher <a@xn--bcher-kva.example>\"", ""},
		{"long from", "[email]\nfrom = \"" + strings.Repeat("x", maxSender) + " <a@b.example>\"",
			"is longer than 400 bytes"},
		{"site", "[email]\nsite_name = \" \"", "is empty"},
		{"site in two lines", "[email]\nsite_name = \"a\u2028b\"", "has a character that is not to be seen"},
		{"long site", "[email]\nsite_name = \"" + strings.Repeat("ü", maxSiteName+1) + "\"",
			"is longer than 100 characters"},
		{"longest site", "[email]\nsite_name = \"" + strings.Repeat("ü", maxSiteName) + "\"", ""},
		{"hash route", "[email]\nlink_base = \"https://app.example/#\"", ""},
		{"script link", "[email]\nlink_base = \"javascript:alert(1)\"", "is not a web address"},
		{"path up", "[email]\nactivation_path = \"../x\"", "is not a path"},
		{"path with query", "[email]\npassword_set_path = \"x?y\"", "is not a path"},
		{"excluded", "[queries]\nexclude_fields = [\"last_login\", \"pk\", \"password\", \"is_superuser\"]", ""},
		{"excluded id", "[queries]\nexclude_fields = [\"id\"]",
			`f:2: queries.exclude_fields = ["id"] has id, by which clients tell accounts apart`},
		{"excluded unknown", "[queries]\nexclude_fields = [\"lastlogin\"]",
			`has "lastlogin", which UserNode does not have: did you mean last_login?`},
		{"excluded nonsense", "[queries]\nexclude_fields = [\"xyz\"]",
			`which UserNode does not have: use some of pk, username, email`},
		{"filter", "[queries]\nfilter_fields = { email = [\"in\"], is_staff = [\"exact\"], last_name = " +
			"[\"istartswith\"], status__secondary_email = [\"contains\"] }", ""},
		{"no filters", "[queries]\nfilter_fields = {}", ""},
		{"filter unknown", "[queries.filter_fields]\nstatus_verified = [\"exact\"]",
			`f:1: queries.filter_fields has "status_verified", by which users cannot be filtered: did you mean ` +
				`status__verified?`},
		{"filter impossible", "[queries.filter_fields]\nis_superuser = [\"exact\"]",
			"has \"is_superuser\", by which users cannot be filtered"},
		{"filter by date", "[queries.filter_fields]\ndate_joined = [\"exact\"]", "use some of email, first_name"},
		{"lookup unknown", "[queries.filter_fields]\nusername = [\"exact\", \"icontain\"]",
			`has the lookup "icontain" of username, which does not fit a String: did you mean icontains?`},
		{"lookup of a switch", "[queries.filter_fields]\nis_active = [\"icontains\"]",
			`has the lookup "icontains" of is_active, which does not fit a Boolean: use some of exact`},
		{"deep path", "[email]\nsecondary_email_path = \"/a/b/\"", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := problems(t, test.text)
			if test.want == "" {
				if len(got) > 0 {
					t.Errorf("got the problems %q, want none", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0], test.want) {
				t.Errorf("problems %q, want one with %q", got, test.want)
			}
		})
	}
}

func TestSecretsAreNotEchoed(t *testing.T) {
	got := strings.Join(problems(t, "[tokens]\nsecret_key = \"canary\"\n[email]\nsmtp = { password = \"canary\" }\n",
		"ACCOUNTD_SMTP_PASSWORD=canary"), "\n")
	if strings.Contains(got, "canary") || !strings.Contains(got, "tokens.secret_key") {
		t.Errorf("got %s, want the key without its value", got)
	}
}

func TestProblemText(t *testing.T) {
	p := Problems{{Origin: "a:1", Key: "k", Value: "1", Message: "is bad", Remedy: "do"},
		{Origin: "b", Message: "broken"}}
	if diff := cmp.Diff("the settings cannot be used:\n  a:1: k = 1 is bad: do\n  b: broken", p.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(string(defaults))
	f.Add("[server]\nlisten = \":80\"\n[[a]]\nb = {c.d = [1, {}]}\n")
	f.Add("'a'.\"b\" = 1979-05-27\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := loader{config: &Config{origins: map[string]string{}}, bad: map[string]bool{}}
		l.file("", defaults)
		builtIn := *l.config
		l.defaults = &builtIn
		l.file("f", []byte(text))
		l.validate()
		for _, p := range l.problems {
			if p.Message == "" || p.Remedy == "" && p.Key != "" || !strings.HasPrefix(p.Origin, "f") &&
				p.Origin != "default" {
				t.Errorf("%q: got %+v, want a place, a message and a remedy", text, p)
			}
		}
		if len(l.problems) > 0 {
			_ = l.problems.Error()
			return
		}
		again := loader{config: &Config{origins: map[string]string{}}, bad: map[string]bool{}, defaults: &builtIn}
		again.file("again", []byte(l.config.Redacted()))
		again.validate()
		if len(again.problems) > 0 {
			t.Fatalf("got problems of the printed settings, want none:\n%s\n%v", text, again.problems)
		}
		// What is in force is what is shown: the second printing differs by nothing but where each value comes from.
		origin := regexp.MustCompile(`(?m) # .*$`)
		if first, second := origin.ReplaceAllString(l.config.Redacted(), ""),
			origin.ReplaceAllString(again.config.Redacted(), ""); first != second {
			t.Errorf("%q: got\n%s\nread again, want\n%s", text, second, first)
		}
	})
}
