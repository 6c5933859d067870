//go:build unix

package argon2

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/argon2"
)

// BenchmarkKey is one key with the default costs: with the compression function of this processor, with the generic
// one, and by x/crypto, which has SSE4 unless it is built with purego too; and what zeroing its memory takes.
func BenchmarkKey(b *testing.B) {
	password, salt := []byte("quiet-otter-42"), make([]byte, 16)
	for _, lanes := range []uint8{1, 4} {
		p := &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: lanes, KeyLength: 32}
		m := NewPool(1, p)
		key := func(b *testing.B) {
			for b.Loop() {
				if _, err := m.Key(password, salt, p); err != nil {
					b.Fatal(err)
				}
			}
		}
		run := func(name string, f func(b *testing.B)) {
			b.Run(fmt.Sprintf("lanes=%d/%s", lanes, name), func(b *testing.B) {
				before := cpuTime(b)
				f(b)
				b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
		run("processor", key)
		run("generic", func(b *testing.B) {
			defer func(f func(out, x, y *block, xor bool)) { compress = f }(compress)
			compress = compressGeneric
			key(b)
		})
		run("x-crypto", func(b *testing.B) {
			for b.Loop() {
				argon2.IDKey(password, salt, p.Iterations, p.Memory, p.Parallelism, p.KeyLength)
			}
		})
		run("zero", func(b *testing.B) {
			for b.Loop() {
				blocks, err := m.take(m.length)
				if err != nil {
					b.Fatal(err)
				}
				m.give(blocks)
			}
		})
		m.drop()
	}
}

// cpuTime returns the CPU time that this process has used. Other load on the machine hardly changes it.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCompress is one block.
func BenchmarkCompress(b *testing.B) {
	var x, y, out block
	b.Run("processor", func(b *testing.B) {
		for b.Loop() {
			compress(&out, &x, &y, true)
		}
	})
	b.Run("generic", func(b *testing.B) {
		for b.Loop() {
			compressGeneric(&out, &x, &y, true)
		}
	})
}
