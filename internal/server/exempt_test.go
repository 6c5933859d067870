package server

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestExempt: which clients limits leave out, and that the log says so once a minute, where a limit would have
// counted.
func TestExempt(t *testing.T) {
	const program, proxy = "do not hold for programs on this machine", "a trusted proxy names no client"
	const asOne = "a reverse proxy on this machine names no client, or is not in server.trusted_proxies"
	trusting := func(s *Settings) { s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	for _, test := range []struct {
		name    string
		public  bool
		trusts  bool
		request string // from its second line on, and of its first the version
		exempt  bool
		warning string // "": none
	}{
		{"a program", false, false, "HTTP/1.1", true, ""},
		{"a program beside a public server", true, false, "HTTP/1.1", true, program},
		{"a header", false, false, "HTTP/1.1\nX-Forwarded-For: 203.0.113.9", false, asOne},
		{"a header of a public server", true, false, "HTTP/1.1\nCF-Connecting-IP: 203.0.113.9", false, asOne},
		{"HTTP/1.0", true, false, "HTTP/1.0", false, asOne},
		{"a client", true, true, "HTTP/1.0\nX-Forwarded-For: 203.0.113.9", false, ""},
		{"no client", true, true, "HTTP/1.1", true, proxy},
		{"no client by HTTP/1.0", true, true, "HTTP/1.0", false, asOne},
		{"another header", true, true, "HTTP/1.1\nX-Real-IP: 203.0.113.9", false, asOne},
		{"only proxies", true, true, "HTTP/1.1\nX-Forwarded-For: 127.0.0.9", false, asOne},
		{"no address", true, true, "HTTP/1.1\nX-Forwarded-For: unknown", false, asOne},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)
			s := newSite(t, func(s *Settings) {
				s.Public, s.Now = test.public, func() time.Time { return now }
				if test.trusts {
					trusting(s)
				}
			})
			version, rest, _ := strings.Cut(test.request, "\n")
			ask := func(path string) string {
				t.Helper()
				request := "GET " + path + " " + version + "\nHost: localhost"
				if rest != "" {
					request += "\n" + rest
				}
				_, body := s.raw(t, request)
				return body
			}
			said := func(when string, times int) {
				t.Helper()
				if test.warning == "" {
					times = 0
				}
				log := s.log.String()
				remedies := strings.Count(log, `.logins_per_ip to \"off\" instead`)
				if !test.public && remedies != times || test.public && remedies > 0 {
					t.Errorf("%s: got %d remedies for development, want %d unless public (%t):\n%s", when, remedies,
						times, test.public, log)
				}
				if test.warning != "" && strings.Count(log, test.warning) != times ||
					strings.Count(log, "level=") != times ||
					times > 0 && !strings.Contains(log, "peer=127.0.0.1") || strings.Contains(log, "203.0.113.9") {
					t.Errorf("%s, want %d lines:\n%s", when, times, log)
				}
			}
			ask("/graphql") // which no limit counts
			said("without a limit", 0)
			for range 2 {
				if body := ask("/graphql?limited"); strings.HasSuffix(body, ", exempt: true") != test.exempt {
					t.Errorf("got %q, want %v", body, test.exempt)
				}
			}
			said("at first", 1)
			now = now.Add(59 * time.Second)
			ask("/relay?limited")
			said("within the minute", 1)
			now = now.Add(time.Second)
			ask("/graphql?limited")
			ask("/graphql?limited")
			said("a minute later", 2)
			now = now.Add(-time.Hour)
			ask("/graphql?limited")
			said("when the clock has gone back", 3)
		})
	}
}
