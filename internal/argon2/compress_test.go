package argon2

import (
	"math/rand/v2"
	"testing"
)

// TestCompression compares the compression function of this processor with the generic one.
func TestCompression(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	randomBlock := func() (b block) {
		for i := range b {
			b[i] = random.Uint64()
		}
		return b
	}
	for range 1000 {
		x, y, out := randomBlock(), randomBlock(), randomBlock()
		for _, xor := range []bool{false, true} {
			got, want := out, out
			compress(&got, &x, &y, xor)
			compressGeneric(&want, &x, &y, xor)
			if got != want {
				t.Fatalf("xor %t: %x and %x\ngot  %x\nwant %x", xor, x, y, got, want)
			}
			got, want = y, y
			compress(&got, &x, &got, xor)
			compressGeneric(&want, &x, &want, xor)
			if got != want {
				t.Fatalf("xor %t: %x and %x in place\ngot  %x\nwant %x", xor, x, y, got, want)
			}
		}
	}
}
