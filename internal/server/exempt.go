package server

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"
)

// standing is whether limits per network count a client.
type standing uint8

const (
	counted       standing = iota
	countedAsOne           // forwarded on this machine by a proxy that is not trusted, or names no client
	exemptProgram          // a program on this machine
	exemptProxy            // a trusted proxy that names no client, elsewhere or not seen to be one
	standings
)

// warningTexts are what the log says of a standing that leaves limits without effect, or makes one client of many.
var warningTexts = [standings]string{
	countedAsOne: "a reverse proxy on this machine names no client, or is not in server.trusted_proxies: limits per " +
		"network count all its clients as one; add its address, and let it send X-Forwarded-For",
	exemptProgram: "limits per network do not hold for programs on this machine: one that asks for users, such as a " +
		"reverse proxy or your back end, has to be in server.trusted_proxies, and to send X-Forwarded-For",
	exemptProxy: "limits per network do not hold, because a trusted proxy names no client: let it send X-Forwarded-For",
}

// developmentRemedy ends the warnings of a server that is not public: a trusted proxy would turn off its /dev/mail.
const developmentRemedy = `; in development, set limits.registrations_per_ip and limits.logins_per_ip to "off" instead`

// warningPeriod is how often the log repeats a warning.
const warningPeriod = time.Minute

// limitWarnings logs each warning at most once in warningPeriod.
type limitWarnings struct {
	log    *slog.Logger
	now    func() time.Time
	public bool // Settings.Public

	mu   sync.Mutex
	last [standings]time.Time // guarded by mu
}

// warn logs the warning of s, if it has one and is due. peer is an address with its port. Programs on this machine
// are what a server that is not public is for: they need no warning.
func (l *limitWarnings) warn(ctx context.Context, s standing, peer string) {
	if warningTexts[s] == "" || s == exemptProgram && !l.public {
		return
	}
	now := l.now()
	l.mu.Lock()
	since := now.Sub(l.last[s])
	due := l.last[s].IsZero() || since >= warningPeriod || since < 0 // the clock has gone back
	if due {
		l.last[s] = now
	}
	l.mu.Unlock()
	if due {
		text := warningTexts[s]
		if !l.public {
			text += developmentRemedy
		}
		host, _, _ := net.SplitHostPort(peer) // a standing with a warning is a TCP peer's
		l.log.WarnContext(ctx, text, slog.String("peer", host))
	}
}

// Exempt reports whether limits per network leave out the client of ctx's request. It is asked where one would
// count it, and so knows when the log has to say that they are left out.
func Exempt(ctx context.Context) bool {
	r := from(ctx)
	if r.warnings != nil { // nil: no request of a Server
		r.warnings.warn(ctx, r.standing, r.peer)
	}
	return r.standing == exemptProgram || r.standing == exemptProxy
}
