package config

import (
	"reflect"
	"testing"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/ratelimit"
)

// TestSettingsReachTheirPackages sets everything to values that differ from each other and from zero, so that a
// field that is forgotten or crossed shows.
func TestSettingsReachTheirPackages(t *testing.T) {
	c := mustLoad(t, `
[server]
data_dir = "d"
[limits]
body = "1001B"
query = "1000B"
tokens = 3
nesting = 4
fields = 5
aliases = 6
depth = 7
introspection_depth = 8
fragments = 9
variables = 10
directives = 11
errors = 12
response = "1300B"
timeout = "14s"
documents = 15
page = 18
sessions_per_user = 16
uniform_time = "4s"
logins_per_account = "1/s"
consecutive_failures = 2
logins_per_ip = "3/1m"
registrations_per_ip = "4/m, 5/2h"
mails_per_recipient = "6/d"
mails_per_ip = "7/1d12h"
throttle_keys = 800
[accounts]
login_fields = ["email"]
register_fields = ["email", "phone"]
register_optional_fields = ["first_name"]
update_fields = ["phone"]
send_password_set_email = true
reveal_accounts = "all"
delete_permanently = true
allow_login_not_verified = false
purge_unverified = "19s"
[[accounts.fields]]
name = "phone"
type = "String"
max_length = 20
pattern = "[0-9]+"
choices = ["1", "2"]
unique = true
[tokens]
algorithm = "EdDSA"
audience = "aud"
leeway = "1s"
access_lifetime = "2s"
refresh_lifetime = "5s"
session_lifetime = "6s"
rotation = "keep"
rotation_grace = "3s"
refresh_bytes = 17
activation_lifetime = "7s"
password_reset_lifetime = "8s"
password_set_lifetime = "9s"
secondary_email_lifetime = "10s"
[passwords]
min_length = 21
similarity = 0.5
max_bytes = 122
argon2 = { memory = "24KiB", iterations = 5, parallelism = 2, concurrent = 7, queue = 8 }
[email]
from = "f@e.example"
site_name = "site"
link_base = "https://app.example/"
activation_path = "/a/"
secondary_email_path = "b"
password_reset_path = "c"
password_set_path = "d"
max_outbox = 9
templates_dir = "t"
variables = { support = "help" }
[email.smtp]
host = "h"
port = 20
username = "u"
password_file = "p"
tls = "implicit"
`)
	s := time.Second
	check := func(name string, got any, want ...any) {
		t.Helper()
		v := reflect.ValueOf(got)
		if v.NumField() != len(want) {
			t.Errorf("%s: got %d fields, want %d as in the test", name, v.NumField(), len(want))
			return
		}
		for i := range want {
			if v.Field(i).Kind() != reflect.Struct && !reflect.DeepEqual(v.Field(i).Interface(), want[i]) {
				t.Errorf("%s.%s is %v, want %v", name, v.Type().Field(i).Name, v.Field(i), want[i])
			}
		}
	}
	check("tokens", c.TokenSettings(), "EdDSA", "http://127.0.0.1:8080", "aud", 1*s, 2*s, true, true, 5*s, 6*s, "keep",
		3*s, 17, 16,
		7*s, 8*s, 9*s, 10*s)
	check("email", c.EmailSettings(), "f@e.example", "site", "https://app.example", "/a/", "b", "c", "d", c.SpoolDir(),
		9, "t",
		map[string]string{"support": "help"}, map[string]any{"phone": "1"})
	check("email.smtp", c.SMTPSettings(), "h", 20, "u", "p", email.ImplicitTLS)
	check("limits", c.SchemaSettings().Limits, 1001, 1000, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1300, 14*s, 15)
	check("accounts", c.Accounts, false, []string{"email"}, true, []string{"email", "phone"}, []string{"first_name"},
		[]string{"phone"},
		[]accounts.Field{{Name: "phone", Type: "String", MaxLength: 20, Pattern: "[0-9]+", Choices: []any{"1", "2"},
			Unique: true, Public: true}},
		false, true, true, accounts.RevealAll, true, true, 19*s, 4*s, nil, nil)
	check("throttle", c.Accounts.Throttle, nil, 2, rates(3, time.Minute), rates(4, time.Minute, 5, 2*time.Hour),
		rates(7, 36*time.Hour), rates(6, 24*time.Hour), 800)
	if got := c.Accounts.Throttle.LoginsPerAccount; got != (ratelimit.Rate{Count: 1, Per: s}) {
		t.Errorf("per account: got %v, want 1/s", got)
	}
	check("passwords", c.Accounts.Passwords, 21, 0.5, true, true, 122, nil)
	check("argon2", c.Accounts.Passwords.Argon2, uint32(24), uint32(5), uint8(2), 7, 8)
}

// rates are given as count, time, count, time, ….
func rates(of ...any) (list []ratelimit.Rate) {
	for i := 0; i < len(of); i += 2 {
		per, _ := of[i+1].(time.Duration)
		list = append(list, ratelimit.Rate{Count: of[i].(int), Per: per})
	}
	return list
}

// TestSampleFields: templates are tried with possible values of fields, and do not see fields that are not public.
func TestSampleFields(t *testing.T) {
	c := mustLoad(t, `[accounts]
fields = [
	{ name = "s", type = "String" }, { name = "i", type = "Int" }, { name = "f", type = "Float" }, { name = "b", type = "Boolean" },
	{ name = "d", type = "DateTime" }, { name = "c", type = "Int", choices = [7, 8] }, { name = "hidden", type = "String", public = false },
]
`)
	want := map[string]any{"s": "sample", "i": int64(42), "f": 4.2, "b": true, "d": time.Unix(1_500_000_000, 0).UTC(),
		"c": int64(7)}
	if got := c.EmailSettings().Fields; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
