package argon2

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math/rand/v2"
	"testing"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

var keysFlag = flag.Int("keys", 1000, "number of keys that TestRandomKeys compares; CI compares 10000")

// TestVector is the test vector of RFC 9106, section 5.3.
func TestVector(t *testing.T) {
	p := &argon2id.Params{Memory: 32, Iterations: 3, Parallelism: 4, KeyLength: 32}
	fill := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	password, salt, secret, data := fill(1, 32), fill(2, 16), fill(3, 8), fill(4, 12)
	h0 := initialHash(password, salt, secret, data, p)
	check := func(name string, got []byte, want string) {
		t.Helper()
		if got := hex.EncodeToString(got); got != want {
			t.Errorf("%s is\n%s, want\n%s", name, got, want)
		}
	}
	check("pre-hashing digest", h0[:], "2889de487eb42ae500c0007ed9252f1069eadec40d5765b485de6dc2437a67b8"+
		"546a2f0acc1a0882db8fcf74714b472e94df421a5da1112ffa11434370a1e997")
	key, err := NewPool(1, p).key(password, salt, secret, data, p)
	if err != nil {
		t.Fatal(err)
	}
	check("tag", key, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659")
}

// randomKey is a case for which a Pool and x/crypto have to agree.
type randomKey struct {
	password, salt []byte
	p              *argon2id.Params
}

// newRandomKey draws lengths, costs and bytes: mostly little memory, and a hundredth of the time up to 4 MiB.
func newRandomKey(random *rand.Rand) randomKey {
	some := func(least, most int) []byte {
		b := make([]byte, least+random.IntN(most-least+1))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	p := &argon2id.Params{
		Memory: random.Uint32N(200), Iterations: 1 + random.Uint32N(3), Parallelism: uint8(1 + random.UintN(4)),
		KeyLength: 1 + random.Uint32N(130),
	}
	if random.IntN(100) == 0 {
		p.Memory, p.Parallelism = random.Uint32N(4096), uint8(1+random.UintN(32))
	}
	return randomKey{some(0, 200), some(0, 40), p}
}

func (k randomKey) check(t *testing.T, m *Pool) {
	t.Helper()
	want := argon2.IDKey(k.password, k.salt, k.p.Iterations, k.p.Memory, k.p.Parallelism, k.p.KeyLength)
	got, err := m.Key(k.password, k.salt, k.p)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("password %x, salt %x, %+v:\ngot  %x, %v\nwant %x", k.password, k.salt, *k.p, got, err, want)
	}
}

// TestRandomKeys compares keys with those of x/crypto. Every other one has the costs of the Pool, whose memory contains
// what no key leaves. With -keys 10000 it takes ten seconds.
func TestRandomKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	usual := &argon2id.Params{Memory: 64, Iterations: 2, Parallelism: 1, KeyLength: 32}
	m := NewPool(2, usual)
	for i := range *keysFlag {
		k := newRandomKey(random)
		if i%2 == 0 {
			k.p = usual
		}
		for _, blocks := range m.free {
			for i := range blocks {
				blocks[i][random.IntN(len(blocks[i]))] = random.Uint64()
			}
		}
		k.check(t, m)
	}
}

// FuzzKey compares keys with those of x/crypto.
func FuzzKey(f *testing.F) {
	f.Add([]byte("quiet-otter-42"), []byte("saltsalt"), uint16(64), uint8(2), uint8(1), uint8(32))
	f.Add([]byte{}, []byte{}, uint16(0), uint8(1), uint8(3), uint8(65))
	m := NewPool(1, &argon2id.Params{Memory: 64, Iterations: 2, Parallelism: 1, KeyLength: 32})
	f.Fuzz(func(t *testing.T, password, salt []byte, memory uint16, passes, lanes, length uint8) {
		p := &argon2id.Params{
			Memory: uint32(memory % 512), Iterations: 1 + uint32(passes%4), Parallelism: 1 + lanes%8,
			KeyLength: 1 + uint32(length),
		}
		randomKey{password, salt, p}.check(t, m)
	})
}

// TestImpossibleParameters: without passes, lanes or a length there is no key.
func TestImpossibleParameters(t *testing.T) {
	m := NewPool(1, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, KeyLength: 32})
	for _, p := range []argon2id.Params{
		{Iterations: 1, Parallelism: 1}, {Iterations: 1, KeyLength: 32}, {Parallelism: 1, KeyLength: 32},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", p)
				}
			}()
			key, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), &p)
			t.Errorf("%+v: key %x, %v; want a panic", p, key, err)
		}()
	}
}
