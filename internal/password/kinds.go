package password

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
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

// maxKinds is how many kinds of one scheme are looked at: Django has had twenty.
const maxKinds = 32

// StoredKinds returns one stored hash of each kind, by kind. first returns the hash that comes first of those whose
// beginning, which it returns too, is not before from and before end; "" where there is none. It is called once for
// each kind, however many hashes there are.
func StoredKinds(first func(from, end string) (beginning, encoded string, err error)) (map[string]string, error) {
	kinds := map[string]string{}
	for _, scheme := range hashSchemes {
		from, end := scheme.prefix, after(scheme.prefix)
		for range maxKinds {
			beginning, encoded, err := first(from, end)
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

// Measure finds out what hashes of these kinds cost to compare, those that are new, one after the other. From then on
// DelayRefusal takes longer than the dearest of them. Where all hashes have the current parameters, it takes no longer
// than one hash. Measure adds the current kind to kinds, and returns that time and whether it has changed. Only one goroutine may call it.
func (h *Hasher) Measure(ctx context.Context, kinds map[string]string) (refusal time.Duration, changed bool, err error) {
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
		dearest := slices.Max(slices.Collect(maps.Values(h.costs)))
		refusal = dearest * 3 / 2 // 50 % headroom: slower answers would reveal imported hashes
	}
	return refusal, h.refusal.Swap(int64(refusal)) != int64(refusal), nil
}

// cost is the time that comparing with a hash takes.
func (h *Hasher) cost(ctx context.Context, encoded string) (time.Duration, error) {
	t, err := h.Enter(ctx, Client{}, "")
	if err != nil {
		return 0, err
	}
	defer t.Release()
	_, _, err = t.Verify("measured", encoded)
	return h.delay.Now().Sub(t.began), err
}
