package accounts

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

// BenchmarkClearing deletes old sessions, batch by batch, from a file of 100,000 accounts with 400,000 sessions. It
// reports how long one batch holds the write lock at most, its commit included.
func BenchmarkClearing(b *testing.B) {
	s := populate(b, 100_000)
	s.settings.PurgeUnverified = time.Hour
	keys, err := tokens.OpenKeys(filepath.Join(b.TempDir(), "keys.json"), "HS256", time.Now)
	if err != nil {
		b.Fatal(err)
	}
	if s.tokens, err = tokens.New(keys, tokens.Settings{Algorithm: "HS256", RefreshBytes: 32}, time.Now); err != nil {
		b.Fatal(err)
	}
	if err := s.db.Write(b.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(b.Context(), `
			INSERT INTO sessions (user_id, created_at, clear_at)
			WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 399999) SELECT i % 100000 + 1, 0, abs(random()) % 1000 FROM n;
			INSERT INTO refresh_tokens (session_id, generation, located, hash, issued_at, expires_at) SELECT id, 1, 1, randomblob(32), 0, clear_at FROM sessions`)
		return err
	}); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name  string
		batch func(*store.Tx) error
	}{
		{"sessions", func(tx *store.Tx) error {
			_, _, err := s.tokens.ClearExpired(b.Context(), tx, 0, tokens.ClearRows)
			return err
		}},
		{"unverified accounts", func(tx *store.Tx) error {
			const oldest = `SELECT user_id FROM user_status WHERE verified = 0 ORDER BY user_id LIMIT 1`
			_, err := tx.ExecContext(b.Context(), `DELETE FROM users WHERE id = (`+oldest+`)`)
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var held []time.Duration
			for b.Loop() {
				if err := s.db.Checkpoint(b.Context()); err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if err := s.db.Write(b.Context(), bench.batch); err != nil {
					b.Fatal(err)
				}
				held = append(held, time.Since(began))
			}
			slices.Sort(held)
			b.ReportMetric(held[len(held)/2].Seconds()*1e3, "median-ms")
			b.ReportMetric(held[len(held)*99/100].Seconds()*1e3, "p99-ms")
			b.ReportMetric(held[len(held)-1].Seconds()*1e3, "longest-ms")
		})
	}
}
