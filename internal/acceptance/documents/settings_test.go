package documents_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"accountd/internal/config"
	"accountd/internal/servertest"
)

// elsewhere are the settings that no script changes, and the tests that cover them.
var elsewhere = map[string]string{
	"tokens.cookies.domain":        "TestCookieAttributes", // it needs a public_url with a domain
	"accounts.purge_unverified":    "TestPurgeUnverified",  // it needs the hourly run
	"passwords.argon2.memory":      "TestSettingsReachTheirPackages",
	"passwords.argon2.iterations":  "TestSettingsReachTheirPackages",
	"passwords.argon2.parallelism": "TestSettingsReachTheirPackages",
	"passwords.argon2.concurrent":  "TestQueueBounds",
	"passwords.argon2.queue":       "TestQueueBounds",
	"email.spool_dir":              "TestDerived",
	"email.smtp.host":              "TestMailRelay", // these need a mail server
	"email.smtp.port":              "TestMailRelay",
	"email.smtp.tls":               "TestMailRelay",
	"email.smtp.username":          "TestPasswordFile",
	"email.smtp.password_file":     "TestPasswordFile",
}

// TestEverySettingHasAScript: every setting of the API has a script that changes it from its default. Other tests
// cover [server], [log] and [limits].
func TestEverySettingHasAScript(t *testing.T) {
	files, err := filepath.Glob(servertest.File(t, "testdata/e2e/*.script"))
	if err != nil {
		t.Fatal(err)
	}
	untouched := inForce(t, "")
	changed := map[string]bool{}
	blocks := regexp.MustCompile(`(?m)^config\n((?:  .*\n)+)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range blocks.FindAllStringSubmatch(string(text), -1) {
			for key, value := range inForce(t, strings.ReplaceAll(block[1], "$", "")) {
				changed[key] = changed[key] || value != untouched[key]
			}
		}
	}
	tests := testNames(t)
	for _, key := range slices.Sorted(maps.Keys(untouched)) {
		section, _, _ := strings.Cut(key, ".")
		test, exempt := elsewhere[key]
		switch {
		case slices.Contains([]string{"server", "log", "limits"}, section), key == "graphql.introspection",
			key == "graphql.graphiql":
		case exempt && changed[key]:
			t.Errorf("%s: got a script and an entry of elsewhere, want one of them", key)
		case exempt && !tests[test]:
			t.Errorf("%s: got %s in elsewhere, want a test that exists", key, test)
		case !exempt && !changed[key]:
			t.Errorf("%s: got no script in testdata/e2e that changes it, want one", key)
		}
	}
	for key := range elsewhere {
		if _, ok := untouched[key]; !ok {
			t.Errorf("elsewhere: got %s, want a setting", key)
		}
	}
}

// inForce returns the settings that result from a file, by key.
func inForce(t *testing.T, text string) map[string]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, nil, config.Overrides{})
	if err != nil {
		t.Fatalf("got %v, want settings\n%s", err, text)
	}
	values, section := map[string]string{}, ""
	for line := range strings.Lines(c.Redacted()) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " # ")
		if name, isSection := strings.CutPrefix(line, "["); isSection {
			section = strings.TrimSuffix(name, "]")
		} else if key, value, ok := strings.Cut(line, " = "); ok {
			values[section+"."+key] = value
		}
	}
	return values
}
