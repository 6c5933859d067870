package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// listenHost returns the host of an address to listen on, "" for every address of the machine.
func listenHost(listen string) (host string, ok bool) {
	host, port, _ := net.SplitHostPort(listen)
	_, err := strconv.ParseUint(port, 10, 16)
	return host, err == nil && (host == "" || !notHostName(host))
}

// onlyAlphanumeric reports whether text has no characters but ASCII letters, digits and those of others.
func onlyAlphanumeric(text, others string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(others, r)
	})
}

// notHostName reports whether name is neither an IP address nor a DNS name. An address with a zone (fe80::1%eth0) is
// neither.
func notHostName(name string) bool {
	if net.ParseIP(name) != nil {
		return false
	}
	if name == "" || len(name) > 253 {
		return true
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || !onlyAlphanumeric(label, "-_") {
			return true
		}
	}
	return false
}

// isBaseURL reports whether a path can be appended to a URL. A fragment is allowed, because clients may route by it
// ("https://app.example.com/#"). User names are not: the URL is shown to users.
func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.ForceQuery {
		return false
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && err != nil {
		return false
	}
	return !notHostName(u.Hostname()) && !strings.ContainsAny(text, " \"'<>\\`")
}

func isPath(text string) bool {
	inner := strings.Trim(text, "/")
	return inner != "" && path.Clean(inner) == inner && !strings.HasPrefix(inner, "..") && onlyAlphanumeric(inner,
		"-_./~")
}

// isToken reports whether text is a token of RFC 9110: the syntax of header names and authentication schemes.
func isToken(text string) bool { return text != "" && onlyAlphanumeric(text, "!#$%&'*+-.^_`|~") }

// reservedHeaders are the names of headers that have another meaning than a token, in lower case.
var reservedHeaders = []string{
	"accept", "connection", "content-length", "content-type", "cookie", "forwarded", "host", "origin",
	"transfer-encoding", "x-forwarded-for", "x-request-id",
}

// parseNetwork reads a network, or an address as the network of that address alone.
func parseNetwork(text string) (netip.Prefix, bool) {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == "" && !addr.Is4In6()
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err == nil && !prefix.Addr().Is4In6()
}

// notOrigin reports whether text differs from what a browser sends as Origin, such as by a slash at the end or the
// default port of its scheme: it would never match.
func notOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != text || text != strings.ToLower(text) {
		return true
	}
	return notHostName(u.Hostname()) || strings.HasSuffix(u.Host, ":") ||
		u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443"
}

// isGraphQLName reports whether a schema may define the name. Names that begin with "__" belong to GraphQL.
func isGraphQLName(name string) bool {
	return name != "" && onlyAlphanumeric(name, "_") && (name[0] < '0' || name[0] > '9') &&
		!strings.HasPrefix(name, "__")
}

// isParent reports whether browsers accept the domain in cookies of host (RFC 6265, section 5.1.3). They do not for
// addresses and top-level domains.
func isParent(domain, host string) bool {
	domain = strings.ToLower(domain)
	if _, err := netip.ParseAddr(host); err == nil || notHostName(domain) || !strings.Contains(domain, ".") {
		return false
	}
	return host == domain || strings.HasSuffix(host, "."+domain)
}
