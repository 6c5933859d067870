package config

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

// Rates are how many of something are allowed in a time: "10/15m", or "3/h, 10/d" for both. "off" allows any number. They are kept
// as they are written, so that two can be compared.
type Rates string

const (
	ratesOff = "off"

	maxRateCount = 1_000_000
	maxRateTime  = 7 * day // what is older is cleared away
)

var errRates = errors.New("is not a rate")

func parseRates(text string) (Rates, error) {
	if text = strings.TrimSpace(text); text == ratesOff {
		return ratesOff, nil
	}
	seen := map[time.Duration]bool{}
	for part := range strings.SplitSeq(text, ",") {
		rate, err := parseRate(strings.TrimSpace(part))
		if err != nil {
			return "", err
		}
		if seen[rate.Per] {
			return "", errors.New("has the same time twice")
		}
		seen[rate.Per] = true
	}
	return Rates(text), nil
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

// list is what accounts counts by.
func (r Rates) list() []ratelimit.Rate {
	if r == ratesOff {
		return nil
	}
	var rates []ratelimit.Rate
	for part := range strings.SplitSeq(string(r), ",") {
		rate, err := parseRate(strings.TrimSpace(part))
		if err != nil {
			panic("limits: " + err.Error()) // parseRates has read it
		}
		rates = append(rates, rate)
	}
	return rates
}

// throttle is what accounts bounds tries by.
func (c *Config) throttle() accounts.ThrottleSettings {
	l := c.Limits
	t := accounts.ThrottleSettings{
		ConsecutiveFailures: l.ConsecutiveFailures,
		LoginsPerIP:         l.LoginsPerIP.list(),
		RegistrationsPerIP:  l.RegistrationsPerIP.list(),
		MailsPerIP:          l.MailsPerIP.list(),
		MailsPerRecipient:   l.MailsPerRecipient.list(),
		Keys:                l.ThrottleKeys,
	}
	for _, rate := range l.LoginsPerAccount.list() {
		t.LoginsPerAccount = rate // the only one
	}
	return t
}

// validateThrottle checks what rates and purging contradict.
func (l *loader) validateThrottle() {
	c := l.config
	l.require(len(c.Limits.LoginsPerAccount.list()) <= 1, "limits.logins_per_account", "has several rates: its delay grows by itself",
		`use one, such as "10/15m", or "off"`)
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
	for _, rate := range c.Limits.MailsPerRecipient.list() {
		if rate.Per < 24*time.Hour && rate.Per > c.Tokens.PasswordResetLifetime {
			return []string{"limits.mails_per_recipient counts for longer than tokens.password_reset_lifetime: whoever asks for another's reset mails leaves them without a link that is good"}
		}
	}
	return nil
}
