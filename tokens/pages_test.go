package tokens

import (
	"os"
	"testing"
	"time"

	"accountd/internal/store"
)

// TestRefreshPages counts the database pages that a refresh changes, which determine its time to disk. Among distant
// sessions that is one page of the table, and sometimes those of a split, because tokens name their place and need
// no index.
func TestRefreshPages(t *testing.T) {
	t.Parallel()
	const sessions, refreshed = 4000, 100
	s := testSettings
	s.SessionsPerUser = sessions
	f := newFixture(t, s)
	var pairs [sessions]Pair
	f.write(t, func(tx *store.Tx) (err error) {
		for i := range pairs {
			if pairs[i], err = f.Start(t.Context(), tx, ada); err != nil {
				return err
			}
			tx.Now = tx.Now.Add(time.Millisecond)
		}
		return nil
	})
	must(t, f.db.Close()) // which copies the log into the file and deletes it
	db, err := store.Open(t.Context(), f.path, f.now)
	must(t, err)
	f.db = db
	for i := range refreshed {
		_, err := f.refresh(pairs[i*(sessions/refreshed)].Refresh)
		must(t, err)
	}
	wal, err := os.Stat(f.path + "-wal")
	must(t, err)
	const header, frame = 32, 24 + 4096
	pages := float64(wal.Size()-header) / frame / refreshed
	if pages < 1 || pages > 1.5 {
		t.Errorf("got %.2f changed pages for a refresh, want 1 to 1.5", pages)
	}
	t.Logf("%.2f pages", pages)
}
