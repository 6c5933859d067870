package server

import (
	"net/http"
	"strings"
)

// forwardingHeaders are what reverse proxies, content delivery networks and tunnels add, beside those that begin
// with X-Forwarded: the client, the way a request took, or its name in their log. No browser and no HTTP library
// sends one by itself.
var forwardingHeaders = map[string]bool{
	"Forwarded": true, // RFC 7239
	"Via":       true, // RFC 9110, section 7.6.3
	"Cdn-Loop":  true, // RFC 8586

	"Client-Ip": true, "Proxy-Client-Ip": true, "X-Client-Ip": true, "X-Cluster-Client-Ip": true, "X-Proxyuser-Ip": true,
	"X-Real-Ip": true, "X-Remote-Addr": true, "X-Remote-Ip": true,
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

// byProxy reports whether a proxy passed r on, as far as that shows: by a header of one, or by HTTP/1.0, which
// nginx speaks to its upstream (before 1.29.7, unless told otherwise) and no browser does. What speaks HTTP/1.1 and
// adds nothing does not show.
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

// onlyDirect refuses what came through a proxy, with a remedy: next is for this machine alone.
func onlyDirect(next http.Handler, remedy string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if byProxy(r) {
			http.Error(w, "This is for the machine that the server runs on, and not through a proxy. "+remedy,
				http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
