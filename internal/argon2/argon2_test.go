package argon2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

// TestArgon2Memory hashes in memory that has been used before and has something in it, and compares with the library that makes its own.
func TestArgon2Memory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func(least, most int) []byte {
		b := make([]byte, least+random.IntN(most-least+1))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	usual := &argon2id.Params{Memory: 64, Iterations: 2, Parallelism: 1, KeyLength: 32}
	m := NewPool(2, usual)
	for i := range 400 {
		p := usual
		if i%2 == 0 {
			p = &argon2id.Params{Memory: random.Uint32N(200), Iterations: 1 + random.Uint32N(3), Parallelism: uint8(1 + random.UintN(4)), KeyLength: 16 + random.Uint32N(100)}
		}
		password, salt := some(0, 200), some(8, 40)
		for _, blocks := range m.free {
			for i := range blocks {
				blocks[i][random.IntN(len(blocks[i]))] = random.Uint64()
			}
		}
		want := argon2.IDKey(password, salt, p.Iterations, p.Memory, p.Parallelism, p.KeyLength)
		if got, err := m.Key(password, salt, p); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v, password %x, salt %x: %x, %v, want %x", *p, password, salt, got, err, want)
		}
	}
}

// TestArgon2Compression compares what this processor computes with what every processor does.
func TestArgon2Compression(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	randomBlock := func() (b block) {
		for i := range b {
			b[i] = random.Uint64()
		}
		return b
	}
	for range 1000 {
		a, b, out := randomBlock(), randomBlock(), randomBlock()
		for _, test := range []struct {
			name      string
			got, want func(out, in1, in2 *block)
		}{{"into", compress, compressGeneric}, {"over", compressXOR, compressXORGeneric}} {
			got, want := out, out
			test.got(&got, &a, &b)
			test.want(&want, &a, &b)
			if got != want {
				t.Fatalf("%s: %x and %x give %x, want %x", test.name, a, b, got, want)
			}
			got, want = b, b
			test.got(&got, &a, &got)
			test.want(&want, &a, &want)
			if got != want {
				t.Fatalf("%s: %x and %x, itself, give %x, want %x", test.name, a, b, got, want)
			}
		}
	}
}

// TestArgon2MemoryIsUsedAgain holds what is kept, and how much of it.
func TestArgon2MemoryIsUsedAgain(t *testing.T) {
	usual := &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, KeyLength: 32}
	m := NewPool(2, usual)
	key := func(p *argon2id.Params) {
		if _, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), p); err != nil {
			t.Error(err)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { key(usual) })
	}
	wg.Wait()
	key(&argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, KeyLength: 32}) // an imported one
	if len(m.free) == 0 || len(m.free) > 2 {
		t.Fatalf("%d places are kept, want one or two", len(m.free))
	}
	for _, blocks := range m.free {
		if len(blocks) != 64 {
			t.Errorf("%d blocks are kept, want 64", len(blocks))
		}
	}
	kept := &m.free[len(m.free)-1][0]
	if blocks, err := m.take(64); err != nil || &blocks[0] != kept {
		t.Errorf("%v: what is kept is not used", err)
	} else {
		m.give(blocks)
	}
	m.drop()
	if m.free != nil {
		t.Error("memory is kept when no hash is computed")
	}
}

// TestArgon2MemoryIsCleared: from what a hash leaves, guesses of the password could be tried for next to nothing.
func TestArgon2MemoryIsCleared(t *testing.T) {
	for _, lanes := range []uint8{1, 3} {
		p := &argon2id.Params{Memory: 96, Iterations: 2, Parallelism: lanes, KeyLength: 32}
		m := NewPool(1, p)
		if _, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), p); err != nil {
			t.Fatal(err)
		}
		blocks, err := m.take(96)
		if err != nil {
			t.Fatal(err)
		}
		for i := range blocks {
			if blocks[i] != (block{}) {
				t.Fatalf("%d lanes: block %d has something left", lanes, i)
			}
		}
		m.give(blocks)
		m.drop()
	}
}

// TestPanics: a panic in the thread of a lane is the caller's, and the memory is kept for the next hash.
func TestPanics(t *testing.T) {
	into := compress
	defer func() { compress = into }()
	for _, lanes := range []uint8{1, 3} {
		p := &argon2id.Params{Memory: 96, Iterations: 1, Parallelism: lanes, KeyLength: 32}
		m := NewPool(1, p)
		compress = func(*block, *block, *block) { panic("broken") }
		func() {
			defer func() {
				if r := recover(); r != "broken" {
					t.Errorf("%d lanes: panic %v, want broken", lanes, r)
				}
			}()
			_, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), p)
			t.Errorf("%d lanes: no panic, error %v", lanes, err)
		}()
		compress = into
		if len(m.free) != 1 {
			t.Errorf("%d lanes: %d places are kept, want 1", lanes, len(m.free))
		}
		if _, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), p); err != nil {
			t.Errorf("%d lanes: afterwards %v", lanes, err)
		}
	}
}

// BenchmarkArgon2 is one hash at the default parameters, and what clearing its memory takes.
func BenchmarkArgon2(b *testing.B) {
	for _, lanes := range []uint8{1, 4} {
		p := &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: lanes, KeyLength: 32}
		m := NewPool(1, p)
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Key([]byte("quiet-otter-42"), make([]byte, 16), p); err != nil {
					b.Fatal(err)
				}
			}
		})
		if lanes == 1 {
			b.Run("clear", func(b *testing.B) {
				for b.Loop() {
					blocks, err := m.take(m.length)
					if err != nil {
						b.Fatal(err)
					}
					m.give(blocks)
				}
			})
		}
		m.drop()
	}
}

func TestArgon2WithoutMemory(t *testing.T) {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		t.Skip("cannot ask for so much here")
	}
	m := NewPool(1, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, KeyLength: 32})
	if blocks, err := m.take(1 << 50); err == nil {
		t.Errorf("%d blocks", len(blocks))
	}
}
