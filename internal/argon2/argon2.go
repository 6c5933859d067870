// Package argon2 computes keys of Argon2id (RFC 9106) in memory that is used again.
package argon2

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	_ "unsafe" // for go:linkname

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/blake2b"
)

// Version is that of Argon2, 1.3 (RFC 9106, section 3.2).
const Version = 0x13

// Pool is memory that hashes are computed in, one after the other. x/crypto's argon2.IDKey makes 19 MiB of garbage for
// each: collecting it, and getting it from the system again, cost a sixth of all logins, and half of the server's memory. This is
// the system's memory rather than Go's, so that the collector neither waits for it nor paces itself by it.
//
// Each hash clears what it leaves, for three percent of its time: the first blocks can be computed from the last ones, and tell a right
// guess of the password from a wrong one without the memory and the passes.
type Pool struct {
	places, length int           // how many are kept, one for each hash at once, and how many blocks each has
	written        atomic.Uint64 // blocks, in all passes of all hashes: what they have cost

	mu   sync.Mutex
	free [][]block   // with zeros in them
	idle *time.Timer // gives back what is free when no hash has been computed for idleTime
}

// idleTime is for how long memory is kept for the next hash.
const idleTime = 10 * time.Second

// block is 1 KiB (RFC 9106, section 3.2).
type block [128]uint64

// NewPool keeps memory for that many hashes at once, of parameters p.
func NewPool(places int, p *argon2id.Params) *Pool {
	m := &Pool{places: places, length: laneLength(p) * int(p.Parallelism)}
	m.idle = time.AfterFunc(idleTime, m.drop)
	return m
}

// laneLength is how many blocks a lane has: as many as fit, in slices of one length of at least two (section 3.4).
func laneLength(p *argon2id.Params) int {
	return int(max(p.Memory/(syncPoints*uint32(p.Parallelism)), 2) * syncPoints)
}

const syncPoints = 4

// Key is argon2.IDKey of x/crypto, with the same result. It fails where the system has no memory left.
func (m *Pool) Key(password, salt []byte, p *argon2id.Params) (key []byte, err error) {
	goLowPriority(func() { key, err = m.compute(password, salt, p) })()
	return key, err
}

// goLowPriority begins fn in a thread of its own, which the system lets run less than those that answer other requests, where it can tell
// threads apart. wait waits for its end; a panic of fn goes on there, with the same value.
func goLowPriority(fn func()) (wait func()) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		lowerPriority()
		fn()
	}()
	return func() {
		<-done
		if panicked != nil {
			panic(panicked)
		}
	}
}

func (m *Pool) compute(password, salt []byte, p *argon2id.Params) ([]byte, error) {
	lanes, perLane := uint32(p.Parallelism), uint32(laneLength(p))
	h0 := initHash(password, salt, nil, nil, p.Iterations, p.Memory, lanes, p.KeyLength, typeID)
	blocks, err := m.take(int(perLane * lanes))
	if err != nil {
		return nil, fmt.Errorf("hash password: %w", err)
	}
	defer m.give(blocks)
	var first [1024]byte
	for lane := range lanes {
		binary.LittleEndian.PutUint32(h0[blake2b.Size+4:], lane)
		for i := range uint32(2) {
			binary.LittleEndian.PutUint32(h0[blake2b.Size:], i)
			blake2bHash(first[:], h0[:])
			block := &blocks[lane*perLane+i]
			for word := range block {
				block[word] = binary.LittleEndian.Uint64(first[8*word:])
			}
		}
	}
	m.written.Add(uint64(p.Iterations) * uint64(len(blocks)))
	f := filling{blocks: blocks, passes: p.Iterations, lanes: lanes, perLane: perLane}
	f.run()
	return extractKey(blocks, perLane*lanes, lanes, p.KeyLength), nil
}

// Written is how many blocks all hashes have written so far.
func (m *Pool) Written() uint64 { return m.written.Load() }

// take returns that many blocks, which have to be given back.
func (m *Pool) take(length int) ([]block, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.free) - 1
	if last < 0 || length != m.length {
		return newBlocks(length)
	}
	blocks := m.free[last]
	m.free = m.free[:last]
	return blocks, nil
}

func (m *Pool) give(blocks []block) {
	if len(blocks) != m.length {
		freeBlocks(blocks)
		return
	}
	for i := range blocks {
		clear(blocks[i][:]) // one after the other: all at once would hold up the collector
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle.Reset(idleTime)
	if len(m.free) == m.places {
		freeBlocks(blocks)
		return
	}
	m.free = append(m.free, blocks)
}

func (m *Pool) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, blocks := range m.free {
		freeBlocks(blocks)
	}
	m.free = nil
}

// filling is the memory of one hash while its blocks are computed, each of two before it (section 3.2, steps 5 and 6).
type filling struct {
	blocks                 []block
	passes, lanes, perLane uint32
}

// run computes each lane in a thread of its own. It ends when all have ended, also where one panics: the memory is somebody else's then.
func (f *filling) run() {
	b := newBarrier(int(f.lanes))
	for lane := range f.lanes - 1 {
		defer goLowPriority(func() { f.lane(lane, b) })()
	}
	f.lane(f.lanes-1, b)
}

// lane computes the segments of one lane, each when the slice before it is complete.
func (f *filling) lane(lane uint32, b *barrier) {
	defer b.leave() // so that others do not wait for one that panics
	for pass := range f.passes {
		for slice := range uint32(syncPoints) {
			f.segment(pass, slice, lane)
			b.wait()
		}
	}
}

// segment computes the blocks of one lane in one slice.
func (f *filling) segment(pass, slice, lane uint32) {
	length := f.perLane / syncPoints
	first := lane*f.perLane + slice*length
	from := uint32(0)
	if pass == 0 && slice == 0 {
		from = 2 // the first two are of the password
	}
	independent := pass == 0 && slice < syncPoints/2 // of the password: which blocks are read tells nothing of it
	var input, zero, addresses block
	if independent {
		input = block{uint64(pass), uint64(lane), uint64(slice), uint64(len(f.blocks)), uint64(f.passes), typeID}
	}
	for i := from; i < length; i++ {
		previous := first + i - 1
		if slice == 0 && i == 0 {
			previous = first + f.perLane - 1
		}
		random := f.blocks[previous][0]
		if independent {
			if i%uint32(len(addresses)) == 0 || i == from {
				input[6]++
				compress(&addresses, &zero, &input)
				compress(&addresses, &zero, &addresses)
			}
			random = addresses[i%uint32(len(addresses))]
		}
		current, other := &f.blocks[first+i], &f.blocks[f.reference(random, pass, slice, lane, i)]
		if pass == 0 {
			compress(current, &f.blocks[previous], other)
		} else {
			compressXOR(current, &f.blocks[previous], other)
		}
	}
}

// reference is the index of the second block that block i of a segment is computed of (section 3.4.2).
func (f *filling) reference(random uint64, pass, slice, lane, i uint32) uint32 {
	length := f.perLane / syncPoints
	from := uint32(random>>32) % f.lanes
	if pass == 0 && slice == 0 {
		from = lane
	}
	// Of the lane, what may be read: the slices that are complete, of this one's lane also what is before block i.
	start, size := uint32(0), slice*length
	if pass > 0 {
		start, size = (slice+1)%syncPoints*length, f.perLane-length
	}
	if from == lane {
		size += i - 1
	} else if i == 0 {
		size--
	}
	x := uint64(uint32(random))
	back := uint64(size) * (x * x >> 32) >> 32 // later blocks are likelier
	return from*f.perLane + (start+size-1-uint32(back))%f.perLane
}

// compress and compressXOR are the compression function G (section 3.5) of two blocks. compress writes the result over a block,
// which may be one of the two; compressXOR writes its exclusive or with what the block was.
var compress, compressXOR = compressGeneric, compressXORGeneric

// typeID is that of Argon2id (section 3.2).
const typeID = 2

// The steps that x/crypto's argon2 has, and does not export. TestArgon2Memory compares with what it does export.

//go:linkname initHash golang.org/x/crypto/argon2.initHash
func initHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname blake2bHash golang.org/x/crypto/argon2.blake2bHash
func blake2bHash(out, in []byte)

//go:linkname compressGeneric golang.org/x/crypto/argon2.processBlock
func compressGeneric(out, in1, in2 *block)

//go:linkname compressXORGeneric golang.org/x/crypto/argon2.processBlockXOR
func compressXORGeneric(out, in1, in2 *block)

//go:linkname extractKey golang.org/x/crypto/argon2.extractKey
func extractKey(blocks []block, memory, threads, keyLen uint32) []byte
