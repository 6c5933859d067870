package tokens

import (
	"context"
	"testing"

	"accountd/internal/store"
)

// BenchmarkSign signs access tokens, BenchmarkVerify verifies one, BenchmarkRefresh rotates a refresh token and
// commits.
//
//	go test -run '^$' -bench 'Sign|Verify|Refresh' -benchmem ./tokens
func BenchmarkSign(b *testing.B) {
	f := newFixture(b, testSettings)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.sign(ada, 1, f.at, f.at.Unix(), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newFixture(b, testSettings)
	token := f.start(b).Access
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.Verify(token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("for the first time", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := f.keys.ring().verify(token, testSettings.Algorithm); !ok {
				b.Fatal("got a refused token, want a valid one")
			}
		}
	})
}

func BenchmarkRefresh(b *testing.B) {
	f := newFixture(b, testSettings)
	raw := f.start(b).Refresh
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		err := f.db.Write(ctx, func(tx *store.Tx) error {
			pair, err := f.Refresh(ctx, tx, raw, func(int64) (Subject, error) { return ada, nil })
			raw = pair.Refresh
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
