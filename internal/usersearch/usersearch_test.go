package usersearch

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
)

// file is a database to search in.
type file struct {
	*store.DB
	common CommonWords
}

func open(t *testing.T) *file {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &file{DB: db}
}

func (f *file) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	err := f.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// crowd makes users with the ids and usernames 1, crowd1 to n, crowdn.
func (f *file) crowd(t *testing.T, n int) {
	t.Helper()
	f.exec(t, fmt.Sprintf(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO users (id, username, username_key, email, date_joined)
		SELECT i, 'crowd' || i, 'crowd' || i, 'crowd' || i || '@example.com', 1 FROM n;
		INSERT INTO addresses SELECT email, id, email FROM users;
		INSERT INTO user_status (user_id) SELECT id FROM users`, n))
}

// find is the ids of all users that meet the conditions.
func (f *file) find(t *testing.T, conditions []Condition) (ids []int64) {
	t.Helper()
	q := New(conditions, &f.common)
	err := f.Read(t.Context(), func(tx *store.Tx) error {
		if err := q.Weigh(t.Context(), tx); err != nil {
			return err
		}
		list, _, err := q.Read(t.Context(), tx, "json_group_array(id) FROM page", Stretch{Before: NoEnd, Limit: 1000}, nil)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(list), &ids)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// plan is how SQLite looks for the users of a query.
func (f *file) plan(t *testing.T, q *Query, descending bool) string {
	t.Helper()
	text, args := q.selectIDs(Stretch{Before: NoEnd, Descending: descending, Limit: 1})
	var plan strings.Builder
	err := f.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			fmt.Fprintln(&plan, detail)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
