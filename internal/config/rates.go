package config

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"accountd/internal/ratelimit"
)

// A rate is written "10/15m". Several rates, "3/h, 10/d", apply together. "off" is no limit.
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

// decodeRates sets a list of rates, or a single one.
func decodeRates(v reflect.Value, raw any) error {
	text, ok := raw.(string)
	if !ok {
		return errType
	}
	rates, err := parseRates(text)
	switch {
	case err != nil:
		return err
	case v.Kind() == reflect.Slice:
		v.Set(reflect.ValueOf(rates))
	case len(rates) > 1:
		return &refusal{"has several rates: its delay grows by itself", `use one, such as "10/15m", or "off"`}
	case len(rates) == 1:
		v.Set(reflect.ValueOf(rates[0]))
	}
	return nil
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
