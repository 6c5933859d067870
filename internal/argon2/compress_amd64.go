//go:build !purego

package argon2

import "golang.org/x/sys/cpu"

// compressAVX2 is compressGeneric on vectors of four words.
//
//go:noescape
func compressAVX2(out, x, y *block, xor bool)

func init() {
	if cpu.X86.HasAVX2 {
		compress = compressAVX2
	}
}
