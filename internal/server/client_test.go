package server

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddr(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("2001:db8:ffff::/48")}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
		mode       limitMode
	}{
		{"peer", "198.51.100.1:1234", nil, "198.51.100.1", counted},
		{"IPv4 as IPv6", "[::ffff:198.51.100.1]:1", nil, "198.51.100.1", counted},
		{"IPv6 by its network", "[2001:db8:1:2:3:4:5:6]:1", nil, "2001:db8:1:2::/64", counted},
		{"an interface", "[fe80::1%eth0]:1", nil, "fe80::/64", counted},
		{"no TCP", "@", []string{"203.0.113.9"}, "@", counted},
		{"this machine", "127.0.0.1:1234", nil, "127.0.0.1", exemptProgram},
		{"this machine by IPv6", "[::1]:1234", nil, "::/64", exemptProgram},
		{"this machine by IPv4 as IPv6", "[::ffff:127.0.0.1]:1234", nil, "127.0.0.1", exemptProgram},
		{"another address of this machine", "127.0.0.2:1234", nil, "127.0.0.2", exemptProgram},
		{"this machine, not trusted to forward", "127.0.0.1:1234", []string{"203.0.113.9"}, "127.0.0.1", countedAsOne},
		{"by IPv6", "[::1]:1234", []string{"203.0.113.9"}, "::/64", countedAsOne},
		{"by IPv4 as IPv6", "[::ffff:127.0.0.1]:1234", []string{"203.0.113.9"}, "127.0.0.1", countedAsOne},
		{"by another address", "127.0.0.2:1234", []string{"127.0.0.1"}, "127.0.0.2", countedAsOne},
		{"a stranger who forwards", "198.51.100.1:1234", []string{"203.0.113.9"}, "198.51.100.1", counted},
		{"next to a proxy's address", "192.0.2.8:1", []string{"203.0.113.9"}, "192.0.2.8", counted},

		{"one proxy", "10.1.2.3:1", []string{"203.0.113.9"}, "203.0.113.9", counted},
		{"by its only address", "192.0.2.7:1", []string{"203.0.113.9"}, "203.0.113.9", counted},
		{"proxy as IPv6", "[::ffff:10.1.2.3]:1", []string{"203.0.113.9"}, "203.0.113.9", counted},
		{"IPv6 proxy", "[2001:db8:ffff::1]:1", []string{"203.0.113.9"}, "203.0.113.9", counted},
		{"client wrote a hop", "10.1.2.3:1", []string{"192.0.2.200, 203.0.113.9"}, "203.0.113.9", counted},
		{"client wrote a proxy's hop", "10.1.2.3:1", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9", counted},
		{"client wrote nonsense", "10.1.2.3:1", []string{"<script>, ,,, 203.0.113.9"}, "203.0.113.9", counted},
		{"client wrote a line", "10.1.2.3:1", []string{"192.0.2.200", "203.0.113.9"}, "203.0.113.9", counted},
		{"two proxies", "10.1.2.3:1", []string{"192.0.2.200, 203.0.113.9, 10.4.5.6"}, "203.0.113.9", counted},
		{"two proxies, two lines", "10.1.2.3:1", []string{"203.0.113.9", "192.0.2.7"}, "203.0.113.9", counted},
		{"IPv6 client", "10.1.2.3:1", []string{"2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::/64", counted},
		{"IPv6 client with a port", "10.1.2.3:1", []string{"[2001:db8:1:2:3:4:5:6]:443"}, "2001:db8:1:2::/64", counted},
		{"client with a port", "10.1.2.3:1", []string{"203.0.113.9:5555"}, "203.0.113.9", counted},
		{"client as IPv6", "10.1.2.3:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9", counted},
		{"proxy's hop as IPv6", "10.1.2.3:1", []string{"203.0.113.9, ::ffff:10.0.0.1"}, "203.0.113.9", counted},
		{"loopback client", "10.1.2.3:1", []string{"127.0.0.1"}, "127.0.0.1", counted},

		{"no header", "10.1.2.3:1", nil, "10.1.2.3", exemptProxy},
		{"empty", "10.1.2.3:1", []string{""}, "10.1.2.3", exemptProxy},
		{"malformed", "10.1.2.3:1", []string{"203.0.113.9, unknown"}, "10.1.2.3", exemptProxy},
		{"malformed behind a proxy", "10.1.2.3:1", []string{"unknown, 10.4.5.6"}, "10.1.2.3", exemptProxy},
		{"trailing comma", "10.1.2.3:1", []string{"203.0.113.9,"}, "10.1.2.3", exemptProxy},
		{"brackets", "10.1.2.3:1", []string{"[2001:db8::1]"}, "10.1.2.3", exemptProxy},
		{"leading zeros", "10.1.2.3:1", []string{"203.0.113.09"}, "10.1.2.3", exemptProxy},
		{"all proxies", "10.1.2.3:1", []string{"10.0.0.1, 192.0.2.7"}, "10.1.2.3", exemptProxy},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request11(test.peer, http.Header{})
			if test.forwarded != nil {
				r.Header["X-Forwarded-For"] = test.forwarded
			}
			if got, mode := client(r, proxies); got != test.want || mode != test.mode {
				t.Errorf("%s, %v, want %s, %v", got, mode, test.want, test.mode)
			}
			for _, name := range []string{"Forwarded", "X-Real-Ip", "X-Forwarded-Host"} { // are never believed
				r.Header[name] = []string{"192.0.2.200"}
			}
			if got, _ := client(r, proxies); got != test.want {
				t.Errorf("with other headers: %s, want %s", got, test.want)
			}
			direct, _ := client(request11(test.peer, nil), nil)
			if got, _ := client(r, nil); got != direct {
				t.Errorf("without proxies it is %s, want %s", got, direct)
			}
		})
	}
}

func request11(peer string, header http.Header) *http.Request {
	return &http.Request{RemoteAddr: peer, ProtoMajor: 1, ProtoMinor: 1, Header: header}
}

// TestForwarded: handlers get the client of the settings.
func TestForwarded(t *testing.T) {
	s := newSite(t, func(s *Settings) { s.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	const request = "POST /graphql HTTP/1.1\nHost: localhost\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: " +
		"203.0.113.9, 127.0.0.2"
	if _, body := s.raw(t, request); body != "plain for 203.0.113.9" {
		t.Errorf("got %q, want %q", body, "plain for 203.0.113.9")
	}
	if _, body := newSite(t).raw(t, request); body != "plain for 127.0.0.1" {
		t.Errorf("without trust: %s, want %q", body, "plain for 127.0.0.1")
	}
}

// FuzzClientAddr: for every X-Forwarded-For, the client is an address or a network, of the peer or of a hop that is not
// a proxy. The header of an untrusted peer is ignored, and hops before those that proxies append change nothing.
func FuzzClientAddr(f *testing.F) {
	for _, peer := range []string{"10.1.2.3:1", "198.51.100.1:1", "[2001:db8:ffff::1]:1", "[fe80::1%eth0]:1", "@"} {
		for _, forwarded := range []string{
			"", "203.0.113.9", "203.0.113.9, 10.4.5.6", "10.0.0.1, 192.0.2.7", "unknown, 10.4.5.6",
			"[2001:db8:1::6]:443", "::ffff:10.0.0.1", "203.0.113.9,", ",", "fe80::1%eth0, 10.1.1.1",
			"203.0.113.9:70000", "\t203.0.113.9 ", "2001:db8::1%25a\nb", "0x7f.1", strings.Repeat("10.1.1.1,", 300),
		} {
			f.Add(peer, forwarded, "192.0.2.200")
		}
	}
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("2001:db8:ffff::/48")}
	of := func(peer string, forwarded ...string) string {
		name, _ := client(request11(peer, http.Header{"X-Forwarded-For": forwarded}), proxies)
		return name
	}
	f.Fuzz(func(t *testing.T, peer, forwarded, before string) {
		got, direct := of(peer, forwarded), of(peer)
		addr, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got != peer {
				t.Errorf("a peer %q without an address is %q, want %v", peer, got, peer)
			}
			return
		}
		shown, err := netip.ParsePrefix(got)
		if err != nil {
			shown, err = netip.ParsePrefix(got + "/32")
		}
		if err != nil || shown.Addr().Is6() != (shown.Bits() == 64) || shown.Masked() != shown {
			t.Fatalf("%q behind %q: got %q, want an address or a network of 64 bits: %v", forwarded, peer, got, err)
		}
		trusted := false
		for _, p := range proxies {
			trusted = trusted || p.Contains(unmap(addr.Addr()))
		}
		if !trusted && got != direct {
			t.Errorf("%q, not a proxy: got %q, want %q; the header is %q", peer, got, direct, forwarded)
		}
		if got == direct {
			return
		}
		for _, p := range proxies {
			if p.Contains(shown.Addr()) && shown.Bits() == 32 {
				t.Errorf("got the proxy %q as the client of %q, want another address", got, forwarded)
			}
		}
		if spoofed := of(peer, before+","+forwarded); spoofed != got {
			t.Errorf("%q before %q: got %q, want %q", before, forwarded, spoofed, got)
		}
		if spoofed := of(peer, before, forwarded); spoofed != got {
			t.Errorf("a line %q before %q: got %q, want %q", before, forwarded, spoofed, got)
		}
	})
}
