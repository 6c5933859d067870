package accounts

import (
	"context"
	"net/netip"

	passwords "accountd/internal/password"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

type clientKey struct{}

type client struct {
	network string
	exempt  func(context.Context) bool
}

// WithClient adds the client of a request to ctx, by its network: an IPv4 address, or the first 64 bits of an IPv6
// address. Rate limits and the queue of password hashes go by networks. A client has no limits where exempt returns
// true, because it acts for clients that it does not name. exempt is called where a limit would apply; nil: no client
// is exempt.
func WithClient(ctx context.Context, network string, exempt func(context.Context) bool) context.Context {
	return context.WithValue(ctx, clientKey{}, client{network, exempt})
}

// clientOf is the zero value for a command.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

// networkOf is the network of the client, "" for a command or an exempt client.
func networkOf(ctx context.Context) string {
	c := clientOf(ctx)
	if c.exempt != nil && c.exempt(ctx) {
		return ""
	}
	return c.network
}

// networkPseudonym stands for networkOf in the database, so that a copy of the database does not reveal where users
// are. It is "" where networkOf is.
func (s *Service) networkPseudonym(ctx context.Context) string {
	network := networkOf(ctx)
	if network == "" {
		return ""
	}
	return s.tokens.Pseudonym("own network", network)
}

// siteOf is the site around a network: the networks that one customer of a provider can have for little. That is 48
// bits of IPv6, or 24 bits of IPv4, which many customers may share. A site may make share times as many attempts as
// one of its networks.
func siteOf(network string) (site string, share int) {
	if prefix, err := netip.ParsePrefix(network); err == nil && prefix.Addr().Is6() {
		wider, _ := prefix.Addr().Prefix(48)
		return wider.String(), 4
	}
	if addr, err := netip.ParseAddr(network); err == nil && addr.Is4() {
		wider, _ := addr.Prefix(24)
		return wider.String(), 16
	}
	return network, 1
}

// client is the client of ctx for the queue of password hashes. Exempt clients and networks with a successful login are
// known. If the database fails, the network counts as unknown.
func (s *Service) client(ctx context.Context) passwords.Client {
	network := clientOf(ctx).network
	site, _ := siteOf(network)
	return passwords.Client{Network: network, Site: site, Known: func() bool {
		if networkOf(ctx) == "" {
			return network != ""
		}
		known := false
		err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
			known, err = isKnownNetwork(ctx, tx, s.networkPseudonym(ctx))
			return err
		})
		return known && err == nil
	}}
}

// clearOwnFailures resets the counter of wrong passwords that applied to this client. Those of other clients stay.
func (s *Service) clearOwnFailures(ctx context.Context, tx *store.Tx, u *account) error {
	l, err := s.accountLimit(ctx, tx, u, "")
	if err != nil {
		return err
	}
	return ratelimit.Reset(ctx, tx, l.Counter)
}
