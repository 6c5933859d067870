package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"accountd/internal/ratelimit"
)

// Duration reads and prints a time.Duration, which may begin with days of 24 hours: "5m", "7d", "1d12h".
type Duration time.Duration

const day = 24 * time.Hour

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) error {
	rest := string(text)
	if days, after, ok := strings.Cut(rest, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 32); err == nil {
			rest = fmt.Sprintf("%dh%s", 24*n, after)
		}
	}
	t, err := time.ParseDuration(rest)
	if err != nil {
		return errors.New("is not a duration")
	}
	*d = Duration(t)
	return nil
}

// String returns the shortest text that UnmarshalText reads: "7d", "36h", "5m".
func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(t.String())
}

// Size reads and prints a number of bytes with a binary unit: "512B", "64KiB", "19MiB", "1GiB".
type Size int64

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	for _, unit := range sizeUnits {
		count, ok := strings.CutSuffix(string(text), unit.name)
		n, err := strconv.ParseUint(count, 10, 62)
		if ok && err == nil && Size(n) <= math.MaxInt64/unit.bytes {
			*s = Size(n) * unit.bytes
			return nil
		}
	}
	return errors.New("is not a size")
}

// String uses the largest unit that divides the size.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return "0B"
}

// rateList reads and prints limits that apply together: "10/15m", "3/h, 10/d". "off" is no limit.
type rateList []ratelimit.Rate

const (
	ratesOff     = "off"
	maxRateCount = 1_000_000
	maxRateTime  = 7 * day // older counters are deleted
)

func (r *rateList) UnmarshalText(text []byte) error {
	*r = nil
	if strings.TrimSpace(string(text)) == ratesOff {
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		rate, err := parseRate(strings.TrimSpace(part))
		if err != nil {
			return err
		}
		if slices.ContainsFunc(*r, func(other ratelimit.Rate) bool { return other.Per == rate.Per }) {
			return errors.New("has the same time twice")
		}
		*r = append(*r, rate)
	}
	return nil
}

// parseRate reads "10/15m". Without a number, the time is one of its unit: "3/h".
func parseRate(text string) (ratelimit.Rate, error) {
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.ParseUint(count, 10, 32)
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	var d Duration
	if err := errors.Join(err, d.UnmarshalText([]byte(per))); err != nil || time.Duration(d)%time.Second != 0 {
		return ratelimit.Rate{}, errors.New("is not a rate")
	}
	if n < 1 || n > maxRateCount || d < Duration(time.Second) || d > Duration(maxRateTime) {
		return ratelimit.Rate{}, errors.New("is out of bounds")
	}
	return ratelimit.Rate{Count: int(n), Per: time.Duration(d)}, nil
}

func (r rateList) String() string {
	parts := make([]string, len(r))
	for i, rate := range r {
		per := Duration(rate.Per).String()
		if unit, one := strings.CutPrefix(per, "1"); one && len(unit) == 1 {
			per = unit
		}
		parts[i] = strconv.Itoa(rate.Count) + "/" + per
	}
	return cmp.Or(strings.Join(parts, ", "), ratesOff)
}

// singleRate reads and prints one rate, zero for "off".
type singleRate ratelimit.Rate

func (r *singleRate) UnmarshalText(text []byte) error {
	var list rateList
	if err := list.UnmarshalText(text); err != nil {
		return err
	}
	if len(list) > 1 {
		return &refusal{"has several rates: its delay grows by itself", `use one, such as "10/15m", or "off"`}
	}
	if len(list) == 1 {
		*r = singleRate(list[0])
	}
	return nil
}

func (r singleRate) String() string {
	if r.Count == 0 {
		return ratesOff
	}
	return rateList{ratelimit.Rate(r)}.String()
}

// Toggle is a switch. Auto depends on other settings.
type Toggle string

// The values of a Toggle.
const (
	Auto Toggle = "auto"
	On   Toggle = "on"
	Off  Toggle = "off"
)

// UnmarshalText reads a value, or a boolean.
func (t *Toggle) UnmarshalText(text []byte) error {
	value, ok := map[string]Toggle{"auto": Auto, "on": On, "off": Off, "true": On, "false": Off}[string(text)]
	if !ok {
		return errors.New("is not possible")
	}
	*t = value
	return nil
}
