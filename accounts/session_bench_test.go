//go:build unix

package accounts

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"testing"
	"time"
)

// cpu reports how much of a processor each operation took, which neighbours and the disk do not change as they change
// the time.
func cpu(b *testing.B) func() {
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := spent()
	return func() { b.ReportMetric(float64(spent()-before)/float64(b.N), "cpu-ns/op") }
}

// benchHarness has ada, and logs as a server does, to nowhere.
func benchHarness(b *testing.B) *harness {
	h := newHarness(b)
	h.ada(b)
	h.Service.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	return h
}

// deadline is a context as requests have one.
func deadline(b *testing.B) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	b.Cleanup(cancel)
	return ctx
}

// BenchmarkViewer is what an authenticated request costs before it does anything.
//
//	go test -run '^$' -bench 'Viewer|VerifyToken|RefreshToken|Login|Register' -benchmem ./accounts
func BenchmarkViewer(b *testing.B) {
	h := benchHarness(b)
	token := h.login(b).Token
	ctx := deadline(b)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for b.Loop() {
		if u, err := h.Caller(token).User(ctx); err != nil || u == nil {
			b.Fatalf("got %v, %v; want a user", u, err)
		}
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	h := benchHarness(b)
	in := AccessTokenInput{Token: h.login(b).Token}
	ctx := deadline(b)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for b.Loop() {
		if _, err := h.VerifyToken(ctx, in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefreshToken includes a commit and its fsync.
func BenchmarkRefreshToken(b *testing.B) {
	h := benchHarness(b)
	refresh := h.login(b).RefreshToken
	ctx := deadline(b)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for b.Loop() {
		out, err := h.RefreshToken(ctx, RefreshTokenInput{RefreshToken: refresh})
		if err != nil {
			b.Fatal(err)
		}
		refresh = out.RefreshToken
	}
}

// BenchmarkLogin is everything of a login but the hash, which is as cheap here as hashes can be.
func BenchmarkLogin(b *testing.B) {
	h := benchHarness(b)
	ctx := deadline(b)
	in := byUsername("ada", password)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for b.Loop() {
		if _, err := h.Login(ctx, in); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRegister is everything of a registration but the hash: its mail is in the spool at the end.
func BenchmarkRegister(b *testing.B) {
	h := benchHarness(b)
	ctx := deadline(b)
	b.ReportAllocs()
	b.ResetTimer()
	defer cpu(b)()
	for n := 0; b.Loop(); n++ {
		name := fmt.Sprintf("bench%d", n)
		if _, err := h.Register(ctx, registration(name+"@example.com", name, password, password)); err != nil {
			b.Fatal(err)
		}
		if n%50 == 0 {
			h.exec(b, `DELETE FROM outbox`) // nobody settles here
		}
	}
}
