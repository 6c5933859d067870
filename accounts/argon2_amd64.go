package accounts

import syscpu "golang.org/x/sys/cpu"

// argon2CompressAVX2 is argon2Compress, or argon2CompressXOR if xor, on vectors of four words where x/crypto has two.
//
//go:noescape
func argon2CompressAVX2(out, in1, in2 *argon2Block, xor bool)

func init() {
	if syscpu.X86.HasAVX2 {
		argon2Into = func(out, in1, in2 *argon2Block) { argon2CompressAVX2(out, in1, in2, false) }
		argon2Over = func(out, in1, in2 *argon2Block) { argon2CompressAVX2(out, in1, in2, true) }
	}
}
