package schema

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzCookies reads any Cookie header. A token is read only if exactly one cookie has the name, as it is written
// there, and not longer than maxCookie. Nothing of the header gets into Set-Cookie, and without cookie mode no cookie
// is received.
func FuzzCookies(f *testing.F) {
	for _, header := range []string{
		"", "JWT=a.b.c", "JWT=a.b.c; JWT-refresh-token=d", "JWT=a; JWT=b", "JWT=\"a b\"", " JWT = a ", "JWT", "JWT=",
		";;JWT=a;;", "jwt=a", "xJWT=a; JWT=b", "JWT=a,b", "JWT=a\r\nSet-Cookie: x=y",
		"JWT=" + strings.Repeat("x", 4096), "JWT=" + strings.Repeat("x", 4097), "$Version=1; JWT=a; $Path=/",
		"JWT=\x00", "JWT=é", "__Host-JWT=a; JWT=b", strings.Repeat("a=b; ", 500) + "JWT=c", "JWT=a=b==",
	} {
		f.Add(header)
	}
	settings := Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/", SameSite: "Lax"}
	f.Fuzz(func(t *testing.T, header string) {
		read := func(s Cookies, lines ...string) *cookies {
			return readCookies(s, &http.Request{Header: http.Header{"Cookie": lines}})
		}
		c := read(settings, header)
		twice := map[string]*cookies{}
		for _, name := range []string{settings.Name, settings.RefreshName} {
			twice[name] = read(settings, header, name+"=another")
		}
		for _, pair := range [][2]*cookie{
			{&c.access, &twice[settings.Name].access}, {&c.refresh, &twice[settings.RefreshName].refresh},
		} {
			got, again := pair[0], pair[1]
			value := got.value
			if value != "" && (!got.received || len(value) > maxCookie || !strings.Contains(header, got.name) ||
				!strings.Contains(header, value)) {
				t.Errorf("%q: got the cookie %+v, want what the header has", header, got)
			}
			if strings.ContainsAny(value, "\r\n\x00;\"\\") {
				t.Errorf("%q: got %q for %s, want what a cookie can be", header, value, got.name)
			}
			if got.received && (again.value != "" || !again.received) || !got.received && again.value != "another" {
				t.Errorf("%q and one more %s: got %q, want none of two", header, got.name, again.value)
			}
			if expired := c.expire(got); expired != got.received {
				t.Errorf("%q: got expired %t for %s, want %t", header, expired, got.name, got.received)
			}
			want := got.name + "=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
			if got.set != nil && got.set.String() != want {
				t.Errorf("%q: got Set-Cookie %q, want %q", header, got.set, want)
			}
		}
		off := settings
		off.Enabled = false
		if c := read(off, header); c.access.received || c.refresh.received || c.access.value+c.refresh.value != "" {
			t.Errorf("%q without cookie mode: got %+v, want none", header, c)
		}
	})
}
