package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
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
