package server

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// client is where a request comes from: the peer, unless it is a trusted proxy. Then it is the last hop of
// X-Forwarded-For that is no such proxy, because each of them has appended whom it saw, and what stands before
// anybody may have written. Where that hop is no address, or all are proxies, it is the peer.
//
// The standing says whether limits count that address. They do unless it stands for nobody in particular: it is
// this machine's (an app's back end), or a trusted proxy's that names no client. What shows that it was forwarded
// is never this machine's own.
func client(r *http.Request, proxies []netip.Prefix) (name string, s standing) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr, counted // no TCP
	}
	trusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	addr := plain(peer.Addr())
	if !trusted(addr) {
		switch {
		case !addr.IsLoopback():
			return network(addr), counted
		case byProxy(r):
			return network(addr), countedAsOne
		default:
			return network(addr), exemptProgram
		}
	}
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for more := forwarded != ""; more; {
		last := strings.LastIndexByte(forwarded, ',')
		hop, ok := parseHop(forwarded[last+1:])
		if !ok {
			break
		}
		if !trusted(hop) {
			return network(hop), counted
		}
		if more = last >= 0; more {
			forwarded = forwarded[:last]
		}
	}
	return network(addr), exemptProxy
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
