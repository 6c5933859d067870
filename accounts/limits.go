package accounts

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"time"

	passwords "accountd/internal/password"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// ThrottleSettings are the rate limits. A limit without rates is off.
type ThrottleSettings struct {
	// LoginsPerAccount limits the wrong passwords of an account, at login and wherever else its password is asked for.
	// An account that is full is locked for the time of the rate, twice as long the next time, and so on up to a day.
	// A login resets it, and so does a new password.
	LoginsPerAccount ratelimit.Rate `toml:"limits.logins_per_account"`

	// ConsecutiveFailures is after how many wrong passwords in a row only a new password helps. 0: never.
	ConsecutiveFailures int `toml:"limits.consecutive_failures" min:"0" max:"1000000"`

	// LoginsPerIP limits wrong passwords, and wrong tokens of mails in a counter of their own. RegistrationsPerIP
	// limits well-formed registrations, whether or not the address was free.
	LoginsPerIP        []ratelimit.Rate `toml:"limits.logins_per_ip"`
	RegistrationsPerIP []ratelimit.Rate `toml:"limits.registrations_per_ip"`
	MailsPerIP         []ratelimit.Rate `toml:"limits.mails_per_ip"`

	// MailsPerRecipient hold for each kind of mail but notices. Rates of a day and more do not hold for mails that
	// reset a password: users who have lost theirs are to get in again.
	MailsPerRecipient []ratelimit.Rate `toml:"limits.mails_per_recipient"`

	// Keys is the number of counters of each kind that outsiders can invent keys for. The least recently used are
	// deleted.
	Keys int `toml:"limits.throttle_keys" min:"100" max:"10000000"`
}

// ThrottledError says that a rate limit is reached. Nothing has happened.
type ThrottledError = ratelimit.ExceededError

// The kinds of counters. Those of accounts are as many as there are users, and networks of theirs; of the others,
// ThrottleSettings.Keys are kept.
const (
	limitAccount      ratelimit.Kind = "account"   // wrong passwords of a user
	limitOwnNetwork   ratelimit.Kind = "known"     // the same, from one of the user's own networks
	limitName         ratelimit.Kind = "name"      // wrong passwords of a name without an account
	limitNetwork      ratelimit.Kind = "network"   // wrong passwords from a network
	limitToken        ratelimit.Kind = "token"     // wrong tokens of mails, from a network
	limitRegistration ratelimit.Kind = "register"  // registrations from a network
	limitRecipient    ratelimit.Kind = "recipient" // mails of one kind to one address
	limitMail         ratelimit.Kind = "mail"      // mails that a network has asked for
)

// accountLimit is the limit on the wrong passwords of an account, or of a name without an account (u is nil): their
// answers must not differ. Clients in one of the user's own networks have a counter of their own, which wrong
// passwords from elsewhere do not fill.
func (s *Service) accountLimit(ctx context.Context, tx *store.Tx, u *account, name string) (ratelimit.Limit, error) {
	network := s.networkPseudonym(ctx)
	own, err := isOwnNetwork(ctx, tx, u.id(), network) // also without an account: that takes as long
	switch {
	case u == nil:
		l := s.passwordLimit(ratelimit.Counter{Kind: limitName, Key: s.tokens.Pseudonym(string(limitName), name)})
		l.MaxKeys = s.settings.Throttle.Keys
		return l, err
	case own:
		return s.passwordLimit(ownNetworkCounter(u.ID, network)), err
	default:
		return s.passwordLimit(accountCounter(u.ID)), err
	}
}

func (s *Service) passwordLimit(c ratelimit.Counter) ratelimit.Limit {
	t := s.settings.Throttle
	return ratelimit.Limit{Counter: c, Rate: t.LoginsPerAccount, Lockout: true, MaxConsecutive: t.ConsecutiveFailures}
}

func accountKey(id int64) string { return strconv.FormatInt(id, 10) }

func accountCounter(id int64) ratelimit.Counter {
	return ratelimit.Counter{Kind: limitAccount, Key: accountKey(id)}
}

func ownNetworkCounter(id int64, network string) ratelimit.Counter {
	return ratelimit.Counter{Kind: limitOwnNetwork, Key: accountKey(id) + " " + network}
}

// limits returns the limits on a key, one for each rate. The database gets a pseudonym of the key.
func (s *Service) limits(kind ratelimit.Kind, key string, rates []ratelimit.Rate) []ratelimit.Limit {
	list := make([]ratelimit.Limit, 0, len(rates))
	for _, rate := range rates {
		c := ratelimit.Counter{Kind: kind, Key: s.tokens.Pseudonym(string(kind)+"\x00"+rate.Per.String(), key)}
		list = append(list, ratelimit.Limit{Counter: c, Rate: rate, MaxKeys: s.settings.Throttle.Keys})
	}
	return list
}

// networkRates are the rates of a kind that counts by network. Commands and exempt clients have none.
func (s *Service) networkRates(ctx context.Context, kind ratelimit.Kind) []ratelimit.Rate {
	if networkOf(ctx) == "" {
		return nil
	}
	switch kind {
	case limitRegistration:
		return s.settings.Throttle.RegistrationsPerIP
	case limitMail:
		return s.settings.Throttle.MailsPerIP
	default:
		return s.settings.Throttle.LoginsPerIP
	}
}

// networkLimits are the limits on the client's network, and larger ones on the site around it. A network with a good
// login has no limit on its site: otherwise its neighbours could shut an owner out.
func (s *Service) networkLimits(ctx context.Context, tx *store.Tx, kind ratelimit.Kind) ([]ratelimit.Limit, error) {
	rates, network := s.networkRates(ctx, kind), networkOf(ctx)
	if len(rates) == 0 {
		return nil, nil
	}
	list := s.limits(kind, network, rates)
	known, err := isKnownNetwork(ctx, tx, s.networkPseudonym(ctx))
	if site, share := siteOf(network); site != network && !known {
		for _, l := range s.limits(kind, site, rates) {
			l.Count *= share
			list = append(list, l)
		}
	}
	return list, err
}

// limiter is ratelimit.Check or ratelimit.Count.
type limiter = func(context.Context, *store.Tx, ...ratelimit.Limit) error

// limitNetwork applies a limiter to the networkLimits. It fails with *ThrottledError.
func (s *Service) limitNetwork(ctx context.Context, tx *store.Tx, kind ratelimit.Kind, apply limiter) error {
	limits, err := s.networkLimits(ctx, tx, kind)
	if err != nil {
		return err
	}
	return apply(ctx, tx, limits...)
}

// Throttled is why an account's passwords are refused: everywhere but in its owner's own networks, if Failures is not
// 0, and in OwnNetworks of those.
type Throttled struct {
	Failures    int       // wrong passwords in a row
	Refused     int       // attempts since the last login that were not looked at
	Until       time.Time // zero: until there is a new password
	OwnNetworks int
}

// throttled is nil where no limit on passwords of u is reached.
func (s *Service) throttled(ctx context.Context, tx *store.Tx, u *account) (*Throttled, error) {
	var out Throttled
	counters, err := passwordCounters(ctx, tx, u.ID)
	for _, c := range counters {
		full, err := ratelimit.Full(ctx, tx, s.passwordLimit(c))
		switch {
		case err != nil:
			return nil, err
		case full == nil:
		case c.Kind == limitOwnNetwork:
			out.OwnNetworks++
		default:
			out.Failures, out.Refused, out.Until = full.Consecutive, full.Refused, full.Until
		}
	}
	if err != nil || out == (Throttled{}) {
		return nil, err
	}
	return &out, nil
}

// clearFailures forgets the wrong passwords of a user, wherever they came from.
func clearFailures(ctx context.Context, tx *store.Tx, id int64) error {
	counters, err := passwordCounters(ctx, tx, id)
	if err != nil {
		return err
	}
	return ratelimit.Reset(ctx, tx, counters...)
}

// logThrottled logs that a request was refused, if err is a *ThrottledError. It returns err.
func (s *Service) logThrottled(ctx context.Context, event string, u *account, err error) error {
	var throttled *ThrottledError
	if errors.As(err, &throttled) {
		s.event(ctx, event, u.id())
	}
	return err
}

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
