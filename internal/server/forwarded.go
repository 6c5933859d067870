package server

import (
	"net/http"
	"strings"
)

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
