package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// client returns the address of the client: the peer, unless that is a trusted proxy that names its client.
//
// The mode says whether limits per network count the address. They do not count a program on this machine, such as an
// app's back end, and a trusted proxy that names no client: many users are behind these. A forwarded request from
// loopback is always counted, whether or not loopback is trusted.
func client(r *http.Request, proxies []netip.Prefix) (name string, mode limitMode) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, counted // not TCP
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	addr := unmap(peer.Addr())
	isProxy := trusted(addr)
	if isProxy {
		if hop, ok := forwardedClient(r, trusted); ok {
			return network(hop), counted
		}
	}
	switch {
	case addr.IsLoopback() && byProxy(r):
		return network(addr), countedAsOne
	case isProxy:
		return network(addr), exemptProxy
	case addr.IsLoopback():
		return network(addr), exemptProgram
	default:
		return network(addr), counted
	}
}

// forwardedClient returns the last hop of X-Forwarded-For that is not a trusted proxy. Each proxy appends its peer, and
// clients can invent the hops before that. ok is false if the hop is not an address, or if all hops are trusted
// proxies.
func forwardedClient(r *http.Request, trusted func(netip.Addr) bool) (hop netip.Addr, ok bool) {
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for _, text := range slices.Backward(strings.Split(forwarded, ",")) {
		hop, ok := parseHop(text)
		if !ok || !trusted(hop) {
			return hop, ok
		}
	}
	return netip.Addr{}, false
}

// parseHop reads an address, or an address with a port, which some proxies write.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return unmap(addr), true
	}
	withPort, err := netip.ParseAddrPort(text)
	return unmap(withPort.Addr()), err == nil
}

// unmap returns an address that networks can be compared with: IPv4 instead of IPv4-mapped IPv6, and no zone.
func unmap(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// network returns the text of an IPv4 address, or of the first 64 bits of an IPv6 address.
func network(a netip.Addr) string {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// limitMode says whether limits per network count a client.
type limitMode uint8

const (
	counted       limitMode = iota
	countedAsOne            // a proxy on this machine that is not trusted or names no client: its clients count as one
	exemptProgram           // a program on this machine
	exemptProxy             // a trusted proxy that names no client
	limitModes
)

// warningTexts are logged for the modes in which limits do not hold, or count many clients as one.
var warningTexts = [limitModes]string{
	countedAsOne: "a reverse proxy on this machine names no client, or is not in server.trusted_proxies: limits per " +
		"network count all its clients as one; add its address, and let it send X-Forwarded-For",
	exemptProgram: "limits per network do not hold for programs on this machine: one that asks for users, such as a " +
		"reverse proxy or your back end, has to be in server.trusted_proxies, and to send X-Forwarded-For",
	exemptProxy: "limits per network do not hold, because a trusted proxy names no client: let it send X-Forwarded-For",
}

// developmentRemedy is added to warnings of a server that is not public: a trusted proxy would turn off its /dev/mail.
const developmentRemedy = `; in development, set limits.registrations_per_ip and limits.logins_per_ip to "off" instead`

// warningPeriod is the shortest time between two log lines of one warning.
const warningPeriod = time.Minute

// Exempt reports whether limits per network do not count the client of ctx's request. It logs the warning of the mode:
// call it only where a limit would count the client.
func Exempt(ctx context.Context) bool {
	r := requestOf(ctx)
	if r.server != nil {
		r.server.warn(ctx, r.mode, r.peer)
	}
	return r.mode == exemptProgram || r.mode == exemptProxy
}

// warn logs the warning of a mode, if it has one, at most once in warningPeriod. peer is an address with its port. A
// server that is not public serves programs on this machine, so it does not warn of them.
func (s *Server) warn(ctx context.Context, mode limitMode, peer string) {
	text := warningTexts[mode]
	if text == "" || mode == exemptProgram && !s.settings.Public {
		return
	}
	now := s.settings.Now()
	s.mu.Lock()
	due := now.Sub(s.warned[mode]).Abs() >= warningPeriod // the clock may have gone back
	if due {
		s.warned[mode] = now
	}
	s.mu.Unlock()
	if !due {
		return
	}
	if !s.settings.Public {
		text += developmentRemedy
	}
	host, _, _ := net.SplitHostPort(peer) // cannot fail: modes with a warning are of TCP peers
	s.settings.Log.WarnContext(ctx, text, slog.String("peer", host))
}

// forwardingHeaders are the headers that reverse proxies, content delivery networks and tunnels add, besides those that
// begin with X-Forwarded: the client, the route of a request, or its id in their log. Browsers and HTTP libraries do
// not send them.
var forwardingHeaders = map[string]bool{
	"Forwarded": true, // RFC 7239
	"Via":       true, // RFC 9110, section 7.6.3
	"Cdn-Loop":  true, // RFC 8586

	"Client-Ip": true, "Proxy-Client-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true,
	"X-Proxyuser-Ip": true,
	"X-Real-Ip":      true, "X-Remote-Addr": true, "X-Remote-Ip": true,
	"X-Original-Forwarded-For": true, "X-Original-Host": true, "X-Original-Url": true,

	"True-Client-Ip": true, "Akamai-Origin-Hop": true, // Akamai
	"Cloudfront-Viewer-Address": true, "X-Amz-Cf-Id": true, // AWS
	"X-Azure-Clientip": true, "X-Azure-Fdid": true, "X-Azure-Socketip": true, // Azure
	"X-Arr-Log-Id": true, "X-Arr-Ssl": true, // IIS
	"Cf-Connecting-Ip": true, "Cf-Connecting-Ipv6": true, "Cf-Ray": true, "Cf-Visitor": true, // Cloudflare
	"Do-Connecting-Ip":         true,                    // DigitalOcean
	"X-Envoy-External-Address": true,                    // Envoy
	"Fastly-Client-Ip":         true, "Fastly-Ff": true, // Fastly
	"Fly-Client-Ip": true, "Fly-Forwarded-Port": true, "Fly-Forwarded-Proto": true, // Fly
	"X-Appengine-User-Ip":       true,                      // Google
	"X-Nf-Client-Connection-Ip": true,                      // Netlify
	"Tailscale-User-Login":      true,                      // Tailscale
	"X-Vercel-Forwarded-For":    true, "X-Vercel-Id": true, // Vercel
	"Wl-Proxy-Client-Ip": true, // WebLogic
}

// byProxy reports whether a proxy has forwarded r. It recognises headers of proxies, and HTTP/1.0, which nginx speaks
// to its upstream by default (before 1.29.7) and browsers do not. A proxy that speaks HTTP/1.1 and adds no header is
// not recognised.
func byProxy(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		if forwardingHeaders[name] || strings.HasPrefix(name, "X-Forwarded") {
			return true
		}
	}
	return false
}

// localOnly refuses requests that a proxy has forwarded, with a remedy.
func localOnly(next http.Handler, remedy string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if byProxy(r) {
			http.Error(w, "This is for the machine that the server runs on, and not through a proxy. "+remedy,
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
