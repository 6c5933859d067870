package argon2

import (
	"encoding/binary"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/blake2b"
)

// Version is the version of Argon2, 1.3 (RFC 9106, section 3.2).
const Version = 0x13

// typeID is the type of Argon2id (section 3.2).
const typeID = 2

// initialHash is H_0 (section 3.2, step 1).
func initialHash(password, salt, secret, data []byte, p *argon2id.Params) [blake2b.Size]byte {
	var in []byte
	for _, n := range []uint32{uint32(p.Parallelism), p.KeyLength, p.Memory, p.Iterations, Version, typeID} {
		in = binary.LittleEndian.AppendUint32(in, n)
	}
	for _, input := range [][]byte{password, salt, secret, data} {
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(input))), input...)
	}
	return blake2b.Sum512(in)
}

// longHash is the hash function of variable length H' (section 3.3). length is in bytes, at least 1.
func longHash(length uint32, in []byte) (out []byte) {
	in = append(binary.LittleEndian.AppendUint32(nil, length), in...)
	out = make([]byte, 0, length)
	var v [blake2b.Size]byte // of all rounds: one allocation
	rest := int(length)
	for ; rest > blake2b.Size; rest -= blake2b.Size / 2 {
		v = blake2b.Sum512(in)
		out, in = append(out, v[:blake2b.Size/2]...), v[:]
	}
	h, _ := blake2b.New(rest, nil) // fails for other lengths than 1 to 64 only
	_, _ = h.Write(in)
	return h.Sum(out)
}
