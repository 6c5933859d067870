package argon2

import "math/bits"

// block is 1 KiB of memory (RFC 9106, section 3.2).
type block [128]uint64

// compress sets out to the compression function G of x and y (section 3.5), and adds what was in out by XOR if xor is
// set. out may be x or y.
var compress = compressGeneric

func compressGeneric(out, x, y *block, xor bool) {
	var z block
	for i := range z {
		z[i] = x[i] ^ y[i]
	}
	register := func(i int) *[2]uint64 { return (*[2]uint64)(z[2*i:]) }
	for i := 0; i < 64; i += 8 { // rows of the matrix of registers
		permute(register(i), register(i+1), register(i+2), register(i+3),
			register(i+4), register(i+5), register(i+6), register(i+7))
	}
	for i := range 8 { // columns
		permute(register(i), register(i+8), register(i+16), register(i+24),
			register(i+32), register(i+40), register(i+48), register(i+56))
	}
	if xor {
		for i, word := range z {
			out[i] ^= x[i] ^ y[i] ^ word
		}
	} else {
		for i, word := range z {
			out[i] = x[i] ^ y[i] ^ word
		}
	}
}

// permute is the permutation P of eight registers (section 3.6).
func permute(s0, s1, s2, s3, s4, s5, s6, s7 *[2]uint64) {
	v0, v1, v2, v3, v4, v5, v6, v7 := s0[0], s0[1], s1[0], s1[1], s2[0], s2[1], s3[0], s3[1]
	v8, v9, v10, v11, v12, v13, v14, v15 := s4[0], s4[1], s5[0], s5[1], s6[0], s6[1], s7[0], s7[1]

	v0, v4, v8, v12 = mix(v0, v4, v8, v12, 32, 24)
	v0, v4, v8, v12 = mix(v0, v4, v8, v12, 16, 63)
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, 32, 24)
	v1, v5, v9, v13 = mix(v1, v5, v9, v13, 16, 63)
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, 32, 24)
	v2, v6, v10, v14 = mix(v2, v6, v10, v14, 16, 63)
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, 32, 24)
	v3, v7, v11, v15 = mix(v3, v7, v11, v15, 16, 63)

	v0, v5, v10, v15 = mix(v0, v5, v10, v15, 32, 24)
	v0, v5, v10, v15 = mix(v0, v5, v10, v15, 16, 63)
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, 32, 24)
	v1, v6, v11, v12 = mix(v1, v6, v11, v12, 16, 63)
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, 32, 24)
	v2, v7, v8, v13 = mix(v2, v7, v8, v13, 16, 63)
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, 32, 24)
	v3, v4, v9, v14 = mix(v3, v4, v9, v14, 16, 63)

	s0[0], s0[1], s1[0], s1[1], s2[0], s2[1], s3[0], s3[1] = v0, v1, v2, v3, v4, v5, v6, v7
	s4[0], s4[1], s5[0], s5[1], s6[0], s6[1], s7[0], s7[1] = v8, v9, v10, v11, v12, v13, v14, v15
}

// mix is one half of the function GB (section 3.6), which rotates by 32 and 24 bits, then by 16 and 63. It is half so
// that the compiler inlines it.
func mix(a, b, c, d uint64, m, n int) (uint64, uint64, uint64, uint64) {
	a += b + 2*uint64(uint32(a))*uint64(uint32(b))
	d = bits.RotateLeft64(d^a, -m)
	c += d + 2*uint64(uint32(c))*uint64(uint32(d))
	b = bits.RotateLeft64(b^c, -n)
	return a, b, c, d
}
