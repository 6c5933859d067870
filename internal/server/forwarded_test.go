package server

import (
	"net/http"
	"strings"
	"testing"
)

// TestDirectOnly: a request with signs of a proxy gets no mails, and the page only if settings allow it.
func TestDirectOnly(t *testing.T) {
	s, asked := newSite(t), newSite(t, func(s *Settings) { s.PageByProxy = true })
	heads := map[string]int{
		"HTTP/1.1\nHost: localhost": 200, "HTTP/1.0\nHost: localhost": 403,
		"HTTP/1.1\nHost: localhost\nUser-Agent: x\nReferer: http://localhost/\nX-Request-Id: 1\n" +
			"X-Requested-With: x": 200,
	}
	for name := range forwardingHeaders {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("got the name %s, want it as net/http writes it", name)
		}
		heads["HTTP/1.1\nHost: localhost\n"+name+": 192.0.2.1"] = 403
	}
	for _, header := range []string{
		"X-Forwarded-For: 192.0.2.1", "x-forwarded-proto: https", "X-FORWARDED-HOST:", "X-Forwarded-Port: 443",
		"X-Forwarded: x", "via: 1.1 proxy", "X-Real-IP: 127.0.0.1",
	} {
		heads["HTTP/1.1\nHost: localhost\n"+header] = 403
	}
	for head, status := range heads {
		for path, remedy := range map[string]string{
			"/dev/mail": " Ask the server itself.", "/dev/mail.json": " Ask the server itself.", "/dev/mail/1.eml": "",
			"/": " Set graphql.graphiql = true to ", "/graphiql/x.js": "",
		} {
			resp, body := s.raw(t, "GET "+path+" "+head)
			if resp.StatusCode != status || status == 403 && !strings.Contains(body, remedy) {
				t.Errorf("%s %q: status %d, %s, want %d, and the remedy %q with 403", path, head, resp.StatusCode, body,
					status, remedy)
			}
		}
		if resp, _ := asked.raw(t, "GET / "+head); resp.StatusCode != 200 {
			t.Errorf("%q: status %d for a page that was asked for, want 200", head, resp.StatusCode)
		}
		if resp, _ := asked.raw(t, "GET /dev/mail "+head); resp.StatusCode != status {
			t.Errorf("%q: status %d for mails where the page was asked for, want %v", head, resp.StatusCode, status)
		}
		if resp, _ := s.raw(t, "GET /graphql "+head); resp.StatusCode != 200 {
			t.Errorf("%q: status %d at the API, want 200", head, resp.StatusCode)
		}
	}
}
