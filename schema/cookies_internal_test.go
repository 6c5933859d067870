package schema

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzCookies: whatever a Cookie header is, a token is taken from it only where just one cookie has the name, as it stands
// there and no longer than any token is; another of that name takes it away; nothing of the header gets into Set-Cookie; and
// without cookie mode none came.
func FuzzCookies(f *testing.F) {
	for _, header := range []string{
		"", "JWT=a.b.c", "JWT=a.b.c; JWT-refresh-token=d", "JWT=a; JWT=b", "JWT=\"a b\"", " JWT = a ", "JWT", "JWT=", ";;JWT=a;;", "jwt=a", "xJWT=a; JWT=b", "JWT=a,b", "JWT=a\r\nSet-Cookie: x=y",
		"JWT=" + strings.Repeat("x", 4096), "JWT=" + strings.Repeat("x", 4097), "$Version=1; JWT=a; $Path=/", "JWT=\x00", "JWT=é", "__Host-JWT=a; JWT=b", strings.Repeat("a=b; ", 500) + "JWT=c", "JWT=a=b==",
	} {
		f.Add(header)
	}
	settings := Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/", SameSite: "Lax"}
	f.Fuzz(func(t *testing.T, header string) {
		of := func(s Cookies, lines ...string) *jar {
			return jarOf(withJar(t.Context(), s, &http.Request{Header: http.Header{"Cookie": lines}}))
		}
		j := of(settings, header)
		for _, name := range []string{settings.Name, settings.RefreshName} {
			value := j.values[name]
			if value != "" && (!j.came[name] || len(value) > maxCookie || !strings.Contains(header, name) || !strings.Contains(header, value)) {
				t.Errorf("%q: %s is %q, came %t", header, name, value, j.came[name])
			}
			if strings.ContainsAny(value, "\r\n\x00;\"\\") {
				t.Errorf("%q: %s is %q, which no cookie can be", header, name, value)
			}
			twice := of(settings, header, name+"=another")
			if j.came[name] && (twice.values[name] != "" || !twice.came[name]) || !j.came[name] && twice.values[name] != "another" {
				t.Errorf("%q and one more %s: %q", header, name, twice.values[name])
			}
			if j.expire(name) != j.came[name] {
				t.Errorf("%q: %s came %t", header, name, j.came[name])
			}
			if set := j.set[name]; set != nil && set.String() != name+"=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax" {
				t.Errorf("%q: sets %q", header, set)
			}
		}
		off := settings
		off.Enabled = false
		if j := of(off, header); len(j.came)+len(j.values) > 0 || j.access() != "" {
			t.Errorf("%q without cookie mode: %v", header, j.values)
		}
	})
}
