package argon2

import syscpu "golang.org/x/sys/cpu"

// compressAVX2 is compressGeneric, or compressXORGeneric if xor, on vectors of four words where x/crypto has two.
//
//go:noescape
func compressAVX2(out, in1, in2 *block, xor bool)

func init() {
	if syscpu.X86.HasAVX2 {
		compress = func(out, in1, in2 *block) { compressAVX2(out, in1, in2, false) }
		compressXOR = func(out, in1, in2 *block) { compressAVX2(out, in1, in2, true) }
	}
}
