//go:build unix

package servertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
)

// Open opens the database of the server, beside it, until the end of the test.
func (s *Server) Open(tb testing.TB) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), filepath.Join(s.DataDir, "accountd.db"), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs a statement on the database of the server, beside it.
func (s *Server) Exec(tb testing.TB, statement string, args ...any) {
	tb.Helper()
	err := s.Open(tb).Write(tb.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(tb.Context(), statement, args...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// MailsTo returns the mails in a spool that are for a recipient, oldest first.
func MailsTo(tb testing.TB, spool, to string) (mails []string) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(spool, "new", "*.eml"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if strings.Contains(string(raw), "\r\nTo: <"+to+">\r\n") {
			mails = append(mails, string(raw))
		}
	}
	return mails
}
