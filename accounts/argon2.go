package accounts

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

// argon2Memory is memory that hashes are computed in, one after the other. x/crypto's argon2.IDKey makes 19 MiB of garbage for
// each: collecting it, and getting it from the system again, cost a sixth of all logins, and half of the server's memory. This is
// the system's memory rather than Go's, so that the collector neither waits for it nor paces itself by it.
//
// Each hash clears what it leaves, for three percent of its time: the first blocks can be computed from the last ones, and tell a right
// guess of the password from a wrong one without the memory and the passes.
type argon2Memory struct {
	places, length int           // how many are kept, one for each hash at once, and how many blocks each has
	written        atomic.Uint64 // blocks, in all passes of all hashes: what they have cost

	mu   sync.Mutex
	free [][]argon2Block // with zeros in them
	idle *time.Timer     // gives back what is free when no hash has been computed for argon2Idle
}

// argon2Idle is for how long memory is kept for the next hash.
const argon2Idle = 10 * time.Second

// argon2Block is 1 KiB (RFC 9106, section 3.2).
type argon2Block [128]uint64

func newArgon2Memory(places int, p *argon2id.Params) *argon2Memory {
	m := &argon2Memory{places: places, length: argon2Lane(p) * int(p.Parallelism)}
	m.idle = time.AfterFunc(argon2Idle, m.drop)
	return m
}

// argon2Lane is how many blocks a lane has: as many as fit, in slices of one length of at least two (section 3.4).
func argon2Lane(p *argon2id.Params) int {
	return int(max(p.Memory/(argon2Slices*uint32(p.Parallelism)), 2) * argon2Slices)
}

const argon2Slices = 4

// key is argon2.IDKey of x/crypto, with the same result. It fails where the system has no memory left.
func (m *argon2Memory) key(password, salt []byte, p *argon2id.Params) (key []byte, err error) {
	apart(func() { key, err = m.compute(password, salt, p) })()
	return key, err
}

// apart begins fn in a thread of its own, which the system lets run less than those that answer other requests, where it can tell
// threads apart. wait waits for its end; a panic of fn goes on there, with the same value.
func apart(fn func()) (wait func()) {
	var panicked any
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		yieldThread()
		fn()
	}()
	return func() {
		<-done
		if panicked != nil {
			panic(panicked)
		}
	}
}

func (m *argon2Memory) compute(password, salt []byte, p *argon2id.Params) ([]byte, error) {
	lanes, perLane := uint32(p.Parallelism), uint32(argon2Lane(p))
	h0 := argon2InitHash(password, salt, nil, nil, p.Iterations, p.Memory, lanes, p.KeyLength, argon2Type)
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
			argon2Hash(first[:], h0[:])
			block := &blocks[lane*perLane+i]
			for word := range block {
				block[word] = binary.LittleEndian.Uint64(first[8*word:])
			}
		}
	}
	m.written.Add(uint64(p.Iterations) * uint64(len(blocks)))
	f := argon2Filling{blocks: blocks, passes: p.Iterations, lanes: lanes, perLane: perLane}
	f.run()
	return argon2Extract(blocks, perLane*lanes, lanes, p.KeyLength), nil
}

// take returns that many blocks, which have to be given back.
func (m *argon2Memory) take(length int) ([]argon2Block, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.free) - 1
	if last < 0 || length != m.length {
		return newArgon2Blocks(length)
	}
	blocks := m.free[last]
	m.free = m.free[:last]
	return blocks, nil
}

func (m *argon2Memory) give(blocks []argon2Block) {
	if len(blocks) != m.length {
		freeArgon2Blocks(blocks)
		return
	}
	for i := range blocks {
		clear(blocks[i][:]) // one after the other: all at once would hold up the collector
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle.Reset(argon2Idle)
	if len(m.free) == m.places {
		freeArgon2Blocks(blocks)
		return
	}
	m.free = append(m.free, blocks)
}

func (m *argon2Memory) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, blocks := range m.free {
		freeArgon2Blocks(blocks)
	}
	m.free = nil
}

// argon2Filling is the memory of one hash while its blocks are computed, each of two before it (section 3.2, steps 5 and 6).
type argon2Filling struct {
	blocks                 []argon2Block
	passes, lanes, perLane uint32
}

// run computes each lane in a thread of its own. It ends when all have ended, also where one panics: the memory is somebody else's then.
func (f *argon2Filling) run() {
	b := newBarrier(int(f.lanes))
	for lane := range f.lanes - 1 {
		defer apart(func() { f.lane(lane, b) })()
	}
	f.lane(f.lanes-1, b)
}

// lane computes the segments of one lane, each when the slice before it is complete.
func (f *argon2Filling) lane(lane uint32, b *barrier) {
	defer b.leave() // so that others do not wait for one that panics
	for pass := range f.passes {
		for slice := range uint32(argon2Slices) {
			f.segment(pass, slice, lane)
			b.wait()
		}
	}
}

// segment computes the blocks of one lane in one slice.
func (f *argon2Filling) segment(pass, slice, lane uint32) {
	length := f.perLane / argon2Slices
	first := lane*f.perLane + slice*length
	from := uint32(0)
	if pass == 0 && slice == 0 {
		from = 2 // the first two are of the password
	}
	independent := pass == 0 && slice < argon2Slices/2 // of the password: which blocks are read tells nothing of it
	var input, zero, addresses argon2Block
	if independent {
		input = argon2Block{uint64(pass), uint64(lane), uint64(slice), uint64(len(f.blocks)), uint64(f.passes), argon2Type}
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
				argon2Into(&addresses, &zero, &input)
				argon2Into(&addresses, &zero, &addresses)
			}
			random = addresses[i%uint32(len(addresses))]
		}
		current, other := &f.blocks[first+i], &f.blocks[f.reference(random, pass, slice, lane, i)]
		if pass == 0 {
			argon2Into(current, &f.blocks[previous], other)
		} else {
			argon2Over(current, &f.blocks[previous], other)
		}
	}
}

// reference is the index of the second block that block i of a segment is computed of (section 3.4.2).
func (f *argon2Filling) reference(random uint64, pass, slice, lane, i uint32) uint32 {
	length := f.perLane / argon2Slices
	from := uint32(random>>32) % f.lanes
	if pass == 0 && slice == 0 {
		from = lane
	}
	// Of the lane, what may be read: the slices that are complete, of this one's lane also what is before block i.
	start, size := uint32(0), slice*length
	if pass > 0 {
		start, size = (slice+1)%argon2Slices*length, f.perLane-length
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

// argon2Into and argon2Over are the compression function G (section 3.5) of two blocks. argon2Into writes the result over a block,
// which may be one of the two; argon2Over writes its exclusive or with what the block was.
var argon2Into, argon2Over = argon2Compress, argon2CompressXOR

// argon2Type is that of Argon2id (section 3.2).
const argon2Type = 2

// The steps that x/crypto's argon2 has, and does not export. TestArgon2Memory compares with what it does export.

//go:linkname argon2InitHash golang.org/x/crypto/argon2.initHash
func argon2InitHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname argon2Hash golang.org/x/crypto/argon2.blake2bHash
func argon2Hash(out, in []byte)

//go:linkname argon2Compress golang.org/x/crypto/argon2.processBlock
func argon2Compress(out, in1, in2 *argon2Block)

//go:linkname argon2CompressXOR golang.org/x/crypto/argon2.processBlockXOR
func argon2CompressXOR(out, in1, in2 *argon2Block)

//go:linkname argon2Extract golang.org/x/crypto/argon2.extractKey
func argon2Extract(blocks []argon2Block, memory, threads, keyLen uint32) []byte
