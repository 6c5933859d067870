package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration reads and prints a time.Duration, which may begin with days of 24 hours: "5m", "7d", "1d12h".
type Duration time.Duration

const day = 24 * time.Hour

var (
	errDuration = errors.New("is not a duration")
	errSize     = errors.New("is not a size")
)

func parseDuration(text string) (Duration, error) {
	var days time.Duration
	rest := text
	if count, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(count, 10, 32)
		if err != nil || n > math.MaxInt64/uint64(day) {
			return 0, errDuration
		}
		days, rest = time.Duration(n)*day, after
		if rest == "" {
			return Duration(days), nil
		}
		if rest[0] < '0' || rest[0] > '9' { // "7d-1h"
			return 0, errDuration
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > math.MaxInt64-days {
		return 0, errDuration
	}
	return Duration(days + d), nil
}

// String returns the shortest text that parseDuration reads: "7d", "36h", "5m".
func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	text := t.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Size reads and prints a number of bytes with a binary unit: "512B", "64KiB", "19MiB", "1GiB".
type Size int64

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(text string) (Size, error) {
	for _, unit := range sizeUnits {
		count, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(count, 10, 62)
		if err != nil || Size(n) > math.MaxInt64/unit.bytes {
			return 0, errSize
		}
		return Size(n) * unit.bytes, nil
	}
	return 0, errSize
}

// String uses the largest unit that divides the size.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s%unit.bytes == 0 && (s != 0 || unit.bytes == 1) {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return ""
}
