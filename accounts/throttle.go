package accounts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"accountd/internal/store"
)

// ThrottleSettings bound what can be tried from outside. Without rates, nothing is counted.
type ThrottleSettings struct {
	// LoginsPerAccount are the wrong passwords that an account takes, at login and wherever else its password is
	// asked for. When it is full, no password is looked at for as long as the rate says, twice as long the next time,
	// and so on up to a day. A login clears it, and so does a new password.
	LoginsPerAccount Rate

	// ConsecutiveFailures is after how many wrong passwords in a row only a new password helps. 0: never.
	ConsecutiveFailures int

	LoginsPerIP        []Rate // wrong passwords; of wrong tokens as many again
	RegistrationsPerIP []Rate // well-formed ones, whether the address was free or not
	MailsPerIP         []Rate

	// MailsPerRecipient hold for each kind of mail but notices. Those of a day and more do not hold for mails
	// that reset a password: whoever has lost theirs is to get in again.
	MailsPerRecipient []Rate

	Keys int // of each kind that outsiders can think up, the least recently used go first
}

// Rate is how many of something are allowed in a time, which begins with the first. Count 0: any number.
type Rate struct {
	Count int
	Per   time.Duration // whole seconds
}

// ThrottledError says that whoever asks has tried too often. Nothing has happened; it can be tried again after
// RetryAfter.
type ThrottledError struct{ RetryAfter time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("There were too many attempts. Please try again in %d seconds.", int(e.RetryAfter/time.Second))
}

// throttleKind says what a row of throttles counts. Outsiders cannot make more accounts of theirs by asking, so those
// are as many as there are users.
type throttleKind string

const (
	throttleAccount  throttleKind = "account"   // wrong passwords of a user
	throttleKnown    throttleKind = "known"     // the same, from a network of the user's own
	throttleName     throttleKind = "name"      // of a name that is nobody's
	throttleNetwork  throttleKind = "network"   // from a network
	throttleToken    throttleKind = "token"     // wrong tokens of mails, from a network
	throttleRegister throttleKind = "register"  // registrations, from a network
	throttleMail     throttleKind = "recipient" // mails of one kind to one address
	throttleSender   throttleKind = "mail"      // mails, from a network
)

// maxDelay is as long as the delay of an account grows.
const maxDelay = 24 * time.Hour

// rule is when a bucket is full, and for how long.
type rule struct {
	Rate
	grows bool // the delay, with the failures in a row; it begins with the last of them
	inRow int  // failures after which it stays full; 0: any number
}

// tally is what is known of a bucket.
type tally struct {
	since    int64 // unix seconds
	count    int
	failures int
	refused  int
}

// forever is the end of what only a new password ends.
const forever int64 = math.MaxInt64

// room is how much more the bucket takes at now, in unix seconds; with 0, until when it is full.
func (r rule) room(t tally, now int64) (room int, until int64) {
	room = math.MaxInt
	if r.inRow > 0 {
		if t.failures >= r.inRow {
			return 0, forever
		}
		room = r.inRow - t.failures
	}
	if r.Count == 0 {
		return room, 0
	}
	if t = r.at(t, now); t.count >= r.Count {
		return 0, t.since + r.span(t)
	}
	return min(room, r.Count-t.count), 0
}

// add is the tally with one more at now.
func (r rule) add(t tally, now int64) tally {
	t = r.at(t, now)
	t.count++
	t.failures++
	if r.grows && t.count == r.Count {
		t.since = now
	}
	return t
}

// at is the tally as it counts at now. When the clock was set back, nobody is to wait for what it said before: a
// window begins anew, and what an account has to wait begins now, for no clock lets its passwords be guessed.
func (r rule) at(t tally, now int64) tally {
	switch {
	case now < t.since && r.grows:
		t.since = now
	case now < t.since || now >= t.since+r.span(t):
		t.since, t.count = now, 0
	}
	return t
}

// span is how long the tally counts, in seconds.
func (r rule) span(t tally) int64 {
	per := r.Per
	if r.grows && t.count >= r.Count && r.Count > 0 {
		for n := 2 * r.Count; n <= t.failures && per < maxDelay; n += r.Count {
			per = min(2*per, maxDelay)
		}
	}
	return int64(per / time.Second)
}

// bucket is a rule and what it is applied to.
type bucket struct {
	kind throttleKind
	key  string
	rule rule

	network string // of the bucket of a site: the pseudonym of the network that asks; "" for others
}

// limited reports whether the rule ever says no.
func (r rule) limited() bool { return r.Count > 0 || r.inRow > 0 }

// ofAccount is the bucket of an account, or of a name that is nobody's: the answer must not tell them apart.
func (s *Service) ofAccount(u *User, name string) bucket {
	t := s.settings.Throttle
	r := rule{Rate: t.LoginsPerAccount, grows: true, inRow: t.ConsecutiveFailures}
	if u == nil {
		return bucket{kind: throttleName, key: s.tokens.Pseudonym(string(throttleName), name), rule: r}
	}
	return bucket{kind: throttleAccount, key: accountKey(u.ID), rule: r}
}

// accountBucket is ofAccount for whoever asks: from a network of the user's own, the account has a bucket for that
// network alone, which guesses from elsewhere do not fill.
func (s *Service) accountBucket(ctx context.Context, tx *store.Tx, u *User, name string) (bucket, error) {
	b := s.ofAccount(u, name)
	network := s.networkPseudonym(ctx)
	if network == "" || !b.rule.limited() {
		return b, nil
	}
	id := int64(0) // nobody's name is looked up as well: that takes as long
	if u != nil {
		id = u.ID
	}
	own, err := hasNetwork(ctx, tx, id, network)
	if own {
		b.kind, b.key = throttleKnown, knownKey(id, network)
	}
	return b, err
}

func accountKey(id int64) string { return strconv.FormatInt(id, 10) }

func knownKey(id int64, network string) string { return accountKey(id) + " " + network }

// buckets are those of one kind and name, one for each rate.
func (s *Service) buckets(kind throttleKind, name string, rates []Rate) []bucket {
	list := make([]bucket, 0, len(rates))
	for _, rate := range rates {
		label := string(kind) + "\x00" + rate.Per.String()
		list = append(list, bucket{kind: kind, key: s.tokens.Pseudonym(label, name), rule: rule{Rate: rate}})
	}
	return list
}

// ofNetwork are the buckets of whoever asks: those of the network, and of the site around it with a larger allowance.
// There are none for commands, and for peers whose requests are other people's.
func (s *Service) ofNetwork(ctx context.Context, kind throttleKind, rates []Rate) []bucket {
	network := networkOf(ctx)
	if network == "" {
		return nil
	}
	list := s.buckets(kind, network, rates)
	site, share := siteOf(network)
	if site == network {
		return list
	}
	wider := slices.Clone(rates)
	for i := range wider {
		wider[i].Count *= share
	}
	for _, b := range s.buckets(kind, site, wider) {
		b.network = s.networkPseudonym(ctx)
		list = append(list, b)
	}
	return list
}

// holding are those of the buckets that hold for whoever asks. A site's does not hold for a network with a good login:
// else its neighbours could shut an owner out.
func holding(ctx context.Context, tx *store.Tx, buckets []bucket) ([]bucket, error) {
	ofSite := func(b bucket) bool { return b.network != "" }
	i := slices.IndexFunc(buckets, ofSite)
	if i < 0 {
		return buckets, nil
	}
	known, err := hasLogins(ctx, tx, buckets[i].network)
	if err != nil || !known {
		return buckets, err
	}
	return slices.DeleteFunc(slices.Clone(buckets), ofSite), nil
}

// full fails with ThrottledError when one of the buckets is full.
func full(ctx context.Context, tx *store.Tx, buckets []bucket) error {
	buckets, err := holding(ctx, tx, buckets)
	if err != nil {
		return err
	}
	until := int64(0)
	for _, b := range buckets {
		t, err := loadTally(ctx, tx, b)
		if err != nil {
			return err
		}
		if room, end := b.rule.room(t, tx.Now.Unix()); room == 0 {
			until = max(until, end)
		}
	}
	if until == 0 {
		return nil
	}
	return &ThrottledError{RetryAfter: time.Duration(until-tx.Now.Unix()) * time.Second}
}

// count adds one to each of the buckets, or fails with ThrottledError and adds nothing.
func (s *Service) count(ctx context.Context, tx *store.Tx, buckets []bucket) error {
	if err := full(ctx, tx, buckets); err != nil {
		return err
	}
	return s.add(ctx, tx, buckets, false)
}

// add adds one to each of the buckets. refused says that the try was not looked at: a bucket that is full has one more
// refused try then.
func (s *Service) add(ctx context.Context, tx *store.Tx, buckets []bucket, refused bool) error {
	buckets, err := holding(ctx, tx, buckets)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		t, err := loadTally(ctx, tx, b)
		if err != nil {
			return err
		}
		if room, _ := b.rule.room(t, tx.Now.Unix()); refused && room == 0 {
			t = b.rule.at(t, tx.Now.Unix())
			t.refused++
		} else {
			t = b.rule.add(t, tx.Now.Unix())
		}
		if err := storeTally(ctx, tx, b, t); err != nil {
			return err
		}
		if b.kind != throttleAccount && b.kind != throttleKnown { // of these there are as many as users have
			if err := boundTallies(ctx, tx, b.kind, s.settings.Throttle.Keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// Throttled is what keeps an account from logging in: from networks that are not its owner's own, if Failures is not
// 0, and from OwnNetworks of those that are.
type Throttled struct {
	Failures    int       // wrong passwords in a row
	Refused     int       // tries that were not looked at since the last login
	Until       time.Time // zero: until there is a new password
	OwnNetworks int
}

// throttled is nil where passwords of u are looked at, wherever they come from.
func (s *Service) throttled(ctx context.Context, tx *store.Tx, u *User) (*Throttled, error) {
	b := s.ofAccount(u, "")
	now := tx.Now.Unix()
	t, err := loadTally(ctx, tx, b)
	if err != nil {
		return nil, err
	}
	var out Throttled
	if room, until := b.rule.room(t, now); room == 0 {
		out = Throttled{Failures: t.failures, Refused: t.refused}
		if until != forever {
			out.Until = time.Unix(until, 0).UTC()
		}
	}
	own, err := loadKnownTallies(ctx, tx, u.ID)
	if err != nil {
		return nil, err
	}
	for _, t := range own {
		if room, _ := b.rule.room(t, now); room == 0 {
			out.OwnNetworks++
		}
	}
	if out == (Throttled{}) {
		return nil, nil
	}
	return &out, nil
}

// logThrottled logs that a request was turned away, where err says so.
func (s *Service) logThrottled(ctx context.Context, event string, u *User, err error) error {
	var throttled *ThrottledError
	if errors.As(err, &throttled) {
		s.event(ctx, event, u.id())
	}
	return err
}
