package accounts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"accountd/internal/store"
)

// hashSchemes are how stored hashes begin, and how many of their fields, which "$" ends, say what one costs. Of scrypt's
// cost a part stands behind the salt; hashes that agree in the part before it are taken for alike.
var hashSchemes = []struct {
	prefix string
	fields int
}{
	{"$argon2id$", 4}, // ours
	{"argon2$", 4}, {"bcrypt$", 4}, {"bcrypt_sha256$", 4}, {"pbkdf2_sha1$", 2}, {"pbkdf2_sha256$", 2}, {"scrypt$", 2},
}

// hashKind is the beginning of an encoded hash that says what one costs, as in "pbkdf2_sha256$260000$"; "" where it is
// damaged.
func hashKind(encoded string, fields int) string {
	end := 0
	for range fields {
		next := strings.IndexByte(encoded[end:], '$')
		if next < 0 {
			return ""
		}
		end += next + 1
	}
	return encoded[:end]
}

const (
	// maxKinds is how many kinds of one scheme are looked at: Django has had twenty.
	maxKinds = 32

	// kindsInterval is how often the kinds are looked for: commands write hashes beside the server.
	kindsInterval = time.Minute
)

// storedKinds is one stored hash of each kind, by kind. It takes a step in an index for each, however many users
// there are.
func storedKinds(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	kinds := map[string]string{}
	for _, scheme := range hashSchemes {
		from, end := scheme.prefix, after(scheme.prefix)
		for range maxKinds {
			beginning, encoded, err := hashBetween(ctx, tx, from, end)
			if err != nil {
				return nil, err
			}
			if encoded == "" {
				break
			}
			if kind := hashKind(encoded, scheme.fields); kind != "" {
				kinds[kind], from = encoded, after(kind)
			} else {
				from = beginning + "\x00"
			}
		}
	}
	return kinds, nil
}

// after is the least text that follows all those that begin with s, which ends in ASCII.
func after(s string) string {
	last := len(s) - 1
	return s[:last] + string(rune(s[last]+1))
}

// MeasureHashes finds out what stored hashes cost to compare, and from then on a wrong password takes longer than
// the dearest of them, whoever's it is and whether or not there is such a user. Where all hashes have the current
// parameters, that is the time of one hash and nobody waits.
func (s *Service) MeasureHashes(ctx context.Context) error {
	var kinds map[string]string
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		kinds, err = storedKinds(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	kinds[hashKind(s.hasher.dummy, hashSchemes[0].fields)] = s.hasher.dummy
	before := s.hasher.refusal.Load()
	if err := s.hasher.measure(ctx, kinds); err != nil {
		return err
	}
	if now := s.hasher.refusal.Load(); now != before {
		s.log.InfoContext(ctx, "what a wrong password takes has changed with the kinds of password hashes that are stored",
			slog.Duration("time", time.Duration(now)), slog.Any("kinds", slices.Sorted(maps.Keys(kinds))))
	}
	return nil
}

// FollowHashes is MeasureHashes every minute, until ctx ends.
func (s *Service) FollowHashes(ctx context.Context) {
	tick := time.NewTicker(kindsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var busy *BusyError
		if err := s.MeasureHashes(ctx); err != nil && !errors.As(err, &busy) && !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(ctx, "the kinds of password hashes cannot be looked at; it is tried again in a minute", "error", err)
		}
	}
}

// measure sets refusal by kinds, of which those that are new are compared with something, one after the other. Only one
// goroutine may run it.
func (h *hasher) measure(ctx context.Context, kinds map[string]string) error {
	maps.DeleteFunc(h.costs, func(kind string, _ time.Duration) bool { return kinds[kind] == "" })
	if len(kinds) < 2 {
		h.refusal.Store(0)
		return nil
	}
	for kind, encoded := range kinds {
		if h.costs[kind] > 0 {
			continue
		}
		v, err := h.Verify(ctx, &visit{}, "measured", func() (string, error) { return encoded, nil })
		if err != nil {
			return err
		}
		h.costs[kind] = h.pace.now().Sub(v.began)
	}
	dearest := slices.Max(slices.Collect(maps.Values(h.costs)))
	h.refusal.Store(int64(dearest * 3 / 2)) // 50 % headroom: slower answers would reveal imported hashes
	return nil
}
