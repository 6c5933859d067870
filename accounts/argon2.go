package accounts

import (
	"encoding/binary"
	"fmt"
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
type argon2Memory struct {
	places, length int           // how many are kept, one for each hash at once, and how many blocks each has
	written        atomic.Uint64 // blocks, in all passes of all hashes: what they have cost

	mu   sync.Mutex
	free [][]argon2Block
	idle *time.Timer // gives back what is free when no hash has been computed for argon2Idle
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

// key is argon2.IDKey of x/crypto, with the same result and the same panics. It fails where the system has no memory left.
func (m *argon2Memory) key(password, salt []byte, p *argon2id.Params) ([]byte, error) {
	const id = 2 // the type of Argon2id (section 3.2)
	lanes, perLane := uint32(p.Parallelism), uint32(argon2Lane(p))
	h0 := argon2InitHash(password, salt, nil, nil, p.Iterations, p.Memory, lanes, p.KeyLength, id)
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
	argon2Process(blocks, p.Iterations, perLane*lanes, lanes, id)
	return argon2Extract(blocks, perLane*lanes, lanes, p.KeyLength), nil
}

// take returns that many blocks of zeros, which have to be given back.
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
	clear(blocks)
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

// The steps of x/crypto's argon2, whose exported functions always make memory of their own. TestArgon2Memory compares with those.

//go:linkname argon2InitHash golang.org/x/crypto/argon2.initHash
func argon2InitHash(password, salt, key, data []byte, time, memory, threads, keyLen uint32, mode int) [blake2b.Size + 8]byte

//go:linkname argon2Hash golang.org/x/crypto/argon2.blake2bHash
func argon2Hash(out, in []byte)

//go:linkname argon2Process golang.org/x/crypto/argon2.processBlocks
func argon2Process(blocks []argon2Block, time, memory, threads uint32, mode int)

//go:linkname argon2Extract golang.org/x/crypto/argon2.extractKey
func argon2Extract(blocks []argon2Block, memory, threads, keyLen uint32) []byte
