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
	countedAsOne           // forwarded by a proxy on this machine that is not trusted: all its clients are one
	exemptProgram          // a program on this machine
	exemptProxy            // a trusted proxy that names no client
	standings
)

// notices are what the log says of a standing that leaves limits without effect, or makes one client of many.
var notices = [standings]string{
	countedAsOne: "a reverse proxy on this machine is not in server.trusted_proxies: limits per network count all " +
		"its clients as one; add its address, and let it send X-Forwarded-For",
	exemptProgram: "limits per network do not hold for programs on this machine: one that asks for users, such as a " +
		"reverse proxy or your back end, has to be in server.trusted_proxies, and to send X-Forwarded-For",
	exemptProxy: "limits per network do not hold, because a trusted proxy names no client: let it send X-Forwarded-For",
}

// noticePeriod is how often the log repeats a notice.
const noticePeriod = time.Minute

// noticeboard writes each notice at most once in noticePeriod.
type noticeboard struct {
	log    *slog.Logger
	now    func() time.Time
	public bool // Settings.Public

	mu   sync.Mutex
	last [standings]time.Time // guarded by mu
}

// post writes the notice of s, if it has one and is due. peer is an address with its port. Programs on this machine
// are what a server that is not public is for: they need no notice.
func (n *noticeboard) post(ctx context.Context, s standing, peer string) {
	if notices[s] == "" || s == exemptProgram && !n.public {
		return
	}
	now := n.now()
	n.mu.Lock()
	since := now.Sub(n.last[s])
	due := n.last[s].IsZero() || since >= noticePeriod || since < 0 // the clock has gone back
	if due {
		n.last[s] = now
	}
	n.mu.Unlock()
	if due {
		host, _, _ := net.SplitHostPort(peer) // a standing with a notice is a TCP peer's
		n.log.WarnContext(ctx, notices[s], slog.String("peer", host))
	}
}

// Exempt reports whether limits per network leave out the client of ctx's request. It is asked where one would
// count it, and so knows when the log has to say that they are left out.
func Exempt(ctx context.Context) bool {
	r := from(ctx)
	if r.notices != nil { // nil: no request of a Server
		r.notices.post(ctx, r.standing, r.peer)
	}
	return r.standing == exemptProgram || r.standing == exemptProxy
}
