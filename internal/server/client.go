package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client is where a request comes from: the peer, unless it is a trusted proxy that names its client.
//
// The standing says whether limits count that address. They do unless it stands for nobody in particular: it is
// this machine's (an app's back end), or a trusted proxy's that names no client. A request from loopback that shows
// that it was forwarded is always counted, whether or not loopback is trusted.
func client(r *http.Request, proxies []netip.Prefix) (name string, s standing) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, counted // no TCP
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	addr := plain(peer.Addr())
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

// forwardedClient is the last hop of X-Forwarded-For that is no trusted proxy, because each of them has appended whom
// it saw, and what stands before anybody may have written. It is not ok where that hop is no address, or all are
// proxies.
func forwardedClient(r *http.Request, trusted func(netip.Addr) bool) (hop netip.Addr, ok bool) {
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for more := forwarded != ""; more; {
		last := strings.LastIndexByte(forwarded, ',')
		hop, ok := parseHop(forwarded[last+1:])
		if !ok || !trusted(hop) {
			return hop, ok
		}
		if more = last >= 0; more {
			forwarded = forwarded[:last]
		}
	}
	return netip.Addr{}, false
}

// parseHop takes an address, and one with a port, which some proxies write.
func parseHop(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return plain(addr), true
	}
	withPort, err := netip.ParseAddrPort(text)
	return plain(withPort.Addr()), err == nil
}

// plain is an address as networks are compared with: not IPv4 in the form of IPv6, and without the name of an
// interface.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// network is the text of an address: of IPv6, of its first 64 bits.
func network(a netip.Addr) string {
	if a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}
