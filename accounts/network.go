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
	addr   string
	exempt func(context.Context) bool
}

// WithClient says who is asking, by network: an IPv4 address, or the first 64 bits of an IPv6 address. The queue of
// password hashes is fair between networks, and what they may try is bounded, but for those that are exempt because
// they ask for others. exempt is called where that matters; nil: nobody is exempt.
func WithClient(ctx context.Context, addr string, exempt func(context.Context) bool) context.Context {
	return context.WithValue(ctx, clientKey{}, client{addr, exempt})
}

// clientOf is the zero value for a command.
func clientOf(ctx context.Context) client {
	c, _ := ctx.Value(clientKey{}).(client)
	return c
}

func (c client) isExempt(ctx context.Context) bool { return c.exempt != nil && c.exempt(ctx) }

// networkOf is the network of whoever asks, "" where that stands for nobody in particular.
func networkOf(ctx context.Context) string {
	c := clientOf(ctx)
	if c.isExempt(ctx) {
		return ""
	}
	return c.addr
}

// siteOf is the site that a network lies in: what one owner can have of networks for little. That is 48 bits of IPv6,
// which providers give to one customer, or 24 bits of IPv4, where many customers may be. share is how many times as
// much as one of its networks a site may try.
func siteOf(network string) (site string, share int) {
	if prefix, err := netip.ParsePrefix(network); err == nil && prefix.Addr().Is6() {
		return maskedTo(prefix.Addr(), 48), 4
	}
	if addr, err := netip.ParseAddr(network); err == nil && addr.Is4() {
		return maskedTo(addr, 24), 16
	}
	return network, 1
}

func maskedTo(addr netip.Addr, bits int) string {
	return netip.PrefixFrom(addr, bits).Masked().String()
}

// client is the client of ctx as the queue in front of hashing sees it.
func (s *Service) client(ctx context.Context) passwords.Client {
	c := clientOf(ctx)
	known := func() bool { return c.isExempt(ctx) || s.isKnown(ctx) }
	site, _ := siteOf(c.addr)
	return passwords.Client{Network: c.addr, Site: site, Known: known}
}

// isKnown reports whether somebody has logged in well from the network that asks. Where the database does not answer,
// nobody has.
func (s *Service) isKnown(ctx context.Context) (found bool) {
	network := s.networkPseudonym(ctx)
	if network == "" {
		return false
	}
	err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		found, err = isKnownNetwork(ctx, tx, network)
		return err
	})
	return found && err == nil
}

// networkPseudonym stands for the client's network in the database, so that a copy of that does not tell where users
// are. It is "" where networkOf is.
func (s *Service) networkPseudonym(ctx context.Context) string {
	network := networkOf(ctx)
	if network == "" {
		return ""
	}
	return s.tokens.Pseudonym("own network", network)
}

// clearOwnFailures resets the counter of wrong passwords that applied to this client. Those of other clients stay.
func (s *Service) clearOwnFailures(ctx context.Context, tx *store.Tx, u *account) error {
	l, err := s.accountLimitFor(ctx, tx, u, "")
	if err != nil {
		return err
	}
	return ratelimit.Reset(ctx, tx, l.Kind, l.Key)
}

// rememberNetwork makes the client's network one of the user's own, who has authenticated by the password or by a link
// in a mail.
func (s *Service) rememberNetwork(ctx context.Context, tx *store.Tx, id int64) error {
	if network := s.networkPseudonym(ctx); network != "" {
		return insertNetwork(ctx, tx, id, network)
	}
	return nil
}
