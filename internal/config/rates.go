package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"accountd/internal/ratelimit"
)

// A rate is written "10/15m"; several, "3/h, 10/d", hold together; "off" is none.
const (
	ratesOff     = "off"
	maxRateCount = 1_000_000
	maxRateTime  = 7 * day // older counters are deleted
)

var errRates = errors.New("is not a rate")

func parseRates(text string) (rates []ratelimit.Rate, err error) {
	if text = strings.TrimSpace(text); text == ratesOff {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		rate, err := parseRate(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(rates, func(r ratelimit.Rate) bool { return r.Per == rate.Per }) {
			return nil, errors.New("has the same time twice")
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

// parseRate reads "10/15m". Without a number, the time is one of its unit: "3/h".
func parseRate(text string) (ratelimit.Rate, error) {
	count, per, ok := strings.Cut(text, "/")
	n, err := strconv.ParseUint(count, 10, 32)
	if !ok || err != nil || per == "" {
		return ratelimit.Rate{}, errRates
	}
	if per[0] < '0' || per[0] > '9' {
		per = "1" + per
	}
	d, err := parseDuration(per)
	t := time.Duration(d)
	if err != nil || t%time.Second != 0 {
		return ratelimit.Rate{}, errRates
	}
	if n < 1 || n > maxRateCount || t < time.Second || t > maxRateTime {
		return ratelimit.Rate{}, errors.New("is out of bounds")
	}
	return ratelimit.Rate{Count: int(n), Per: t}, nil
}

// formatRates writes rates as parseRates reads them.
func formatRates(rates ...ratelimit.Rate) string {
	var parts []string
	for _, rate := range rates {
		if rate.Count == 0 {
			continue
		}
		per := Duration(rate.Per).String()
		if unit, one := strings.CutPrefix(per, "1"); one && len(unit) == 1 {
			per = unit
		}
		parts = append(parts, strconv.Itoa(rate.Count)+"/"+per)
	}
	if len(parts) == 0 {
		return ratesOff
	}
	return strings.Join(parts, ", ")
}

// validateThrottle checks what rates and purging contradict.
func (l *loader) validateThrottle() {
	c := l.config
	purges := c.Accounts.PurgeUnverified > 0
	l.require(!purges || !c.Accounts.AllowLoginNotVerified, "accounts.purge_unverified",
		"is set while accounts.allow_login_not_verified lets unverified users use their accounts, which would be deleted under them",
		`set accounts.allow_login_not_verified = false, or this to "0s"`, "accounts.allow_login_not_verified")
	l.require(!purges || c.Accounts.SendActivationEmail, "accounts.purge_unverified",
		"is set while accounts.send_activation_email is false, so that nobody could verify their account in time",
		`set accounts.send_activation_email = true, or this to "0s"`, "accounts.send_activation_email")
	l.require(!purges || c.Accounts.PurgeUnverified >= c.Tokens.ActivationLifetime, "accounts.purge_unverified",
		"is shorter than tokens.activation_lifetime, "+quote(Duration(c.Tokens.ActivationLifetime).String())+": links would be good for accounts that are gone",
		"raise it to at least that, or lower tokens.activation_lifetime", "tokens.activation_lifetime")
}

// throttleWarnings are limits under which somebody else could keep an owner out.
func (c *Config) throttleWarnings() []string {
	for _, rate := range c.Accounts.Throttle.MailsPerRecipient {
		if rate.Per < 24*time.Hour && rate.Per > c.Tokens.PasswordResetLifetime {
			return []string{"limits.mails_per_recipient counts for longer than tokens.password_reset_lifetime: whoever asks for another's reset mails leaves them without a link that is good"}
		}
	}
	return nil
}
