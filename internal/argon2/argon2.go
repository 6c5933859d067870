// Package argon2 computes keys of Argon2id, version 1.3 (RFC 9106), in memory that is used again.
//
// The keys are those of golang.org/x/crypto/argon2.IDKey. That function allocates the memory of each key and leaves it
// to the garbage collector, which cost a sixth of all logins and half of the server's memory. A [Pool] keeps the memory
// for the next key, and gives it back to the system after ten idle seconds.
//
// Keys are computed in threads of their own with a lower priority (nice 5), where the system has priorities of threads:
// shorter requests need not wait for them. On amd64 with AVX2 an assembly version of the compression function is used;
// the build tag purego leaves it out.
package argon2

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
)

// idleTime is how long memory is kept for the next key.
const idleTime = 10 * time.Second

// Pool computes keys, and keeps their memory. It is safe for concurrent use.
//
// The memory is the system's and not Go's, so that it neither delays the garbage collector nor changes how often that
// runs.
type Pool struct {
	places, length int           // how many areas of memory are kept, and the blocks of each
	written        atomic.Uint64 // blocks

	mu   sync.Mutex
	free [][]block   // zeroed; guarded by mu
	idle *time.Timer // frees what is kept
}

// NewPool returns a Pool that keeps memory for up to places keys with the costs of p. Keys with other costs can be
// computed too; their memory is not kept.
func NewPool(places int, p *argon2id.Params) *Pool {
	pool := &Pool{places: places, length: int(laneLength(p)) * int(p.Parallelism)}
	pool.idle = time.AfterFunc(idleTime, pool.drop)
	return pool
}

// Key derives a key of p.KeyLength bytes. It returns an error if the system has no memory left. It panics if
// p.Iterations, p.Parallelism or p.KeyLength is 0. p.SaltLength is not used.
func (pool *Pool) Key(password, salt []byte, p *argon2id.Params) (key []byte, err error) {
	if p.Iterations == 0 || p.Parallelism == 0 || p.KeyLength == 0 {
		panic(fmt.Sprintf("argon2: impossible parameters %+v", *p))
	}
	goLowPriority(func() { key, err = pool.key(password, salt, nil, nil, p) })()
	return key, err
}

// key computes the steps of section 3.2 in the calling thread; lanes beyond the first get threads of their own.
func (pool *Pool) key(password, salt, secret, data []byte, p *argon2id.Params) ([]byte, error) {
	lanes, perLane := uint32(p.Parallelism), laneLength(p)
	blocks, err := pool.take(int(lanes * perLane))
	if err != nil {
		return nil, fmt.Errorf("hash password: %w", err)
	}
	defer pool.give(blocks)
	h0 := initialHash(password, salt, secret, data, p)
	for lane := range lanes {
		for i := range uint32(2) {
			seed := binary.LittleEndian.AppendUint32(h0[:], i)
			first := longHash(1024, binary.LittleEndian.AppendUint32(seed, lane))
			_, _ = binary.Decode(first, binary.LittleEndian, blocks[lane*perLane+i][:]) // fails for short input only
		}
	}
	pool.written.Add(uint64(p.Iterations) * uint64(len(blocks)))
	f := filler{blocks: blocks, passes: p.Iterations, lanes: lanes, perLane: perLane}
	f.fill()
	return f.extract(p.KeyLength), nil
}

// Written returns the number of blocks, of 1 KiB each, that all keys so far have written: what they have cost.
func (pool *Pool) Written() uint64 { return pool.written.Load() }

// take returns zeroed memory of that many blocks. The caller gives it back with give.
func (pool *Pool) take(length int) ([]block, error) {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	last := len(pool.free) - 1
	if last < 0 || length != pool.length {
		return newBlocks(length)
	}
	blocks := pool.free[last]
	pool.free = pool.free[:last]
	return blocks, nil
}

// give zeroes memory and keeps it for the next key, or frees it if it has another length or enough is kept.
//
// Zeroing costs 3 % of a key. Without it, an attacker who reads the memory could test passwords cheaply: from the
// last blocks the first ones can be checked without the memory and the passes.
func (pool *Pool) give(blocks []block) {
	if len(blocks) != pool.length {
		freeBlocks(blocks)
		return
	}
	for i := range blocks {
		clear(blocks[i][:]) // block by block: one long clear would hold up the garbage collector
	}
	pool.mu.Lock()
	defer pool.mu.Unlock()
	pool.idle.Reset(idleTime)
	if len(pool.free) == pool.places {
		freeBlocks(blocks)
		return
	}
	pool.free = append(pool.free, blocks)
}

// drop frees all memory that is kept.
func (pool *Pool) drop() {
	pool.mu.Lock()
	defer pool.mu.Unlock()
	for _, blocks := range pool.free {
		freeBlocks(blocks)
	}
	pool.free = nil
}
