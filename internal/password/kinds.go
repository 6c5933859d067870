package password

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
)

// hashSchemes are the prefixes of stored hashes. The kind of a hash is its first fields, each of which ends with "$":
// they contain the costs. A part of scrypt's costs is behind the salt, and is not part of the kind.
var hashSchemes = []struct {
	prefix string
	fields int
}{
	{"$argon2id$", 4}, // new hashes
	{"argon2$", 4}, {"bcrypt$", 4}, {"bcrypt_sha256$", 4}, {"pbkdf2_sha1$", 2}, {"pbkdf2_sha256$", 2}, {"scrypt$", 2},
}

// hashKind returns the kind of an encoded hash, as in "pbkdf2_sha256$260000$"; "" if the hash is malformed.
func hashKind(encoded string, fields int) string {
	parts := strings.SplitAfterN(encoded, "$", fields+1)
	if len(parts) <= fields {
		return ""
	}
	return strings.Join(parts[:fields], "")
}

// maxKinds bounds the kinds of one scheme that are found. Django has had twenty.
const maxKinds = 32

// StoredKinds returns one stored hash of each kind, by kind. It calls first once for each kind, however many hashes are
// stored. first returns the stored hash that sorts first of those whose beginning is in [from, end), "" for none.
func StoredKinds(first func(from, end string) (encoded string, err error)) (map[string]string, error) {
	kinds := map[string]string{}
	for _, scheme := range hashSchemes {
		from, end := scheme.prefix, after(scheme.prefix)
		for range maxKinds {
			encoded, err := first(from, end)
			if err != nil {
				return nil, err
			}
			if encoded == "" {
				break
			}
			if kind := hashKind(encoded, scheme.fields); kind != "" {
				kinds[kind], from = encoded, after(kind)
			} else {
				from = encoded + "\x00"
			}
		}
	}
	return kinds, nil
}

// after returns the text that sorts right after all texts that begin with s, which ends in ASCII.
func after(s string) string {
	last := len(s) - 1
	return s[:last] + string(rune(s[last]+1))
}

// Measure sets how long DelayRefusal waits: longer than it takes to compare with the most expensive of the kinds of
// stored hashes, of which it measures the new ones, one after the other. If the current kind is the only one, there is
// no delay. Measure adds the current kind to kinds. It returns the delay and whether that has changed. Only one
// goroutine may call it.
func (h *Hasher) Measure(
	ctx context.Context, kinds map[string]string,
) (refusal time.Duration, changed bool, err error) {
	kinds[hashKind(h.dummy, hashSchemes[0].fields)] = h.dummy
	maps.DeleteFunc(h.costs, func(kind string, _ time.Duration) bool { return kinds[kind] == "" })
	if len(kinds) > 1 {
		for kind, encoded := range kinds {
			if h.costs[kind] > 0 {
				continue
			}
			if h.costs[kind], err = h.cost(ctx, encoded); err != nil {
				return 0, false, err
			}
		}
		longest := slices.Max(slices.Collect(maps.Values(h.costs)))
		refusal = longest * 3 / 2 // 50 % headroom: slower answers would reveal imported hashes
	}
	return refusal, h.refusal.Swap(int64(refusal)) != int64(refusal), nil
}

// cost returns the time that it takes to compare with a hash.
func (h *Hasher) cost(ctx context.Context, encoded string) (time.Duration, error) {
	t, err := h.Enter(ctx, Client{}, "")
	if err != nil {
		return 0, err
	}
	defer t.Release()
	_, _, err = t.Verify("measured", encoded)
	return h.delay.Now().Sub(t.began), err
}
