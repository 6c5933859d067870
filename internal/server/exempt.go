package server

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"
)

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

// limitWarnings logs each warning at most once in warningPeriod.
type limitWarnings struct {
	log    *slog.Logger
	now    func() time.Time
	public bool // Settings.Public

	mu   sync.Mutex
	last [limitModes]time.Time // guarded by mu
}

// warn logs the warning of a mode, if it has one and that is due. peer is an address with its port. A server that is
// not public serves programs on this machine, so it does not warn of them.
func (l *limitWarnings) warn(ctx context.Context, s limitMode, peer string) {
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
		host, _, _ := net.SplitHostPort(peer) // cannot fail: modes with a warning are of TCP peers
		l.log.WarnContext(ctx, text, slog.String("peer", host))
	}
}

// Exempt reports whether limits per network do not count the client of ctx's request. It logs the warning of the mode:
// call it only where a limit would count the client.
func Exempt(ctx context.Context) bool {
	r := requestOf(ctx)
	if r.warnings != nil { // nil: ctx is not of a Server
		r.warnings.warn(ctx, r.mode, r.peer)
	}
	return r.mode == exemptProgram || r.mode == exemptProxy
}
