package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

func TestRates(t *testing.T) {
	good := map[string][]ratelimit.Rate{
		"off":         nil,
		"10/15m":      rates(10, 15*time.Minute),
		"3/h, 10/d":   rates(3, time.Hour, 10, 24*time.Hour),
		" 3/h,10/1d ": rates(3, time.Hour, 10, 24*time.Hour),
		"1/s":         rates(1, time.Second),
		"1000000/7d":  rates(1_000_000, 7*24*time.Hour),
		"2/1h30m":     rates(2, 90*time.Minute),
	}
	for text, want := range good {
		c, err := load(t, "[limits]\nlogins_per_ip = \""+text+"\"\n")
		if err != nil {
			t.Errorf("%q: got %v, want no error", text, err)
			continue
		}
		if diff := cmp.Diff(want, c.Accounts.Throttle.LoginsPerIP); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if diff := cmp.Diff(want, mustLoad(t, c.Redacted()).Accounts.Throttle.LoginsPerIP); diff != "" {
			t.Errorf("%q, printed and read again (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		"": "is not a rate", "10": "is not a rate", "10/": "is not a rate", "/h": "is not a rate",
		"-1/h": "is not a rate", "1/h,": "is not a rate",
		"1/1500ms": "is not a rate", "1/x": "is not a rate", "off, 1/h": "is not a rate", "1.5/h": "is not a rate",
		"OFF": "is not a rate",
		"0/h": "is out of bounds", "1000001/h": "is out of bounds", "1/0s": "is out of bounds",
		"1/7d1s":     "is out of bounds",
		"1/h, 2/60m": "has the same time twice",
	} {
		got := problems(t, "[limits]\nlogins_per_ip = \""+text+"\"\n")
		if len(got) != 1 || !strings.Contains(got[0], want) || !strings.Contains(got[0], `"3/h, 10/d"`) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := problems(t, "[limits]\nlogins_per_ip = 10\n"); len(got) != 1 ||
		!strings.Contains(got[0], "has the wrong type") {
		t.Errorf("a number: got %q, want a problem of type", got)
	}
}

func TestThrottleContradictions(t *testing.T) {
	const verifiedOnly = "[accounts]\nallow_login_not_verified = false\npurge_unverified = "
	tests := []struct {
		name, text, key string // "": it is accepted
	}{
		{"several rates of an account", "[limits]\nlogins_per_account = \"1/m, 2/h\"\n",
			`limits.logins_per_account = "1/m, 2/h" has several rates: its delay grows by itself: use one, such as`},
		{"purging of who may log in", "[accounts]\npurge_unverified = \"30d\"\n", "accounts.purge_unverified"},
		{"purging without activation mails", verifiedOnly + "\"30d\"\nsend_activation_email = false\n",
			"accounts.purge_unverified"},
		{"purging before the link ends", verifiedOnly + "\"6d\"\n", "accounts.purge_unverified"},
		{"purging", verifiedOnly + "\"7d\"\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := problems(t, test.text)
			if test.key == "" && got != nil || test.key != "" &&
				(len(got) != 1 || !strings.Contains(got[0], test.key)) {
				t.Errorf("%q, want one of %q", got, test.key)
			}
		})
	}
}

// TestResetMailWarning: an attacker who requests a user's reset mails must not leave that user without a valid link.
func TestResetMailWarning(t *testing.T) {
	warns := func(text string) bool {
		return slices.ContainsFunc(mustLoad(t, text).Warnings(),
			func(w string) bool { return strings.Contains(w, "mails_per_recipient") })
	}
	if !warns("[tokens]\npassword_reset_lifetime = \"15m\"\n") ||
		warns("[tokens]\npassword_reset_lifetime = \"15m\"\n[limits]\nmails_per_recipient = \"3/15m, 10/d\"\n") {
		t.Error("got other warnings, want one only if a link can end before the next mail comes")
	}
}

// TestEphemeralThrottles: a test server has no limits on failed logins, registrations and mails, unless settings say
// otherwise.
func TestEphemeralThrottles(t *testing.T) {
	path := writeFile(t, "config.toml", "[limits]\nmails_per_recipient = \"3/h\"\n")
	c, err := Load(path, []string{"ACCOUNTD_LIMITS_CONSECUTIVE_FAILURES=7"}, Overrides{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	want := accounts.ThrottleSettings{ConsecutiveFailures: 7, MailsPerRecipient: rates(3, time.Hour), Keys: 100_000}
	if diff := cmp.Diff(want, c.Accounts.Throttle); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := c.origins["limits.logins_per_account"]; got != "--ephemeral" {
		t.Errorf("got the origin %q, want --ephemeral", got)
	}
}
