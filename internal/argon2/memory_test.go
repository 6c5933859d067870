package argon2

import (
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"
)

// TestMemoryIsUsedAgain: memory is kept for as many keys as there are places, and freed when no key is computed.
func TestMemoryIsUsedAgain(t *testing.T) {
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
		t.Errorf("take: %v, or other memory than was kept", err)
	} else {
		m.give(blocks)
	}
	m.drop()
	if m.free != nil {
		t.Errorf("%d places are kept after drop, want none", len(m.free))
	}
}

// TestMemoryIsZeroed: the old content of the memory of a key would let an attacker test passwords cheaply.
func TestMemoryIsZeroed(t *testing.T) {
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
				t.Fatalf("%d lanes: block %d is not zero", lanes, i)
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
		compress = func(_, _, _ *block, _ bool) { panic("broken") }
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

// TestWithoutMemory: a system that has no memory left is an error.
func TestWithoutMemory(t *testing.T) {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		t.Skip("cannot ask for so much here")
	}
	m := NewPool(1, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, KeyLength: 32})
	blocks := uint64(1 << 50)
	if blocks, err := m.take(int(blocks)); err == nil {
		t.Errorf("take returned %d blocks, want an error", len(blocks))
	}
}
