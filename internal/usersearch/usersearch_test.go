package usersearch

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
)

// file is a database to search in.
type file struct{ *store.DB }

func open(t *testing.T) *file {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &file{db}
}

func (f *file) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	err := f.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
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
	ids, _ = f.stretch(t, conditions, Stretch{Before: NoEnd, Limit: math.MaxInt32}, nil)
	return ids
}

// stretch is the ids of a stretch, and whether there are others.
func (f *file) stretch(t *testing.T, conditions []Condition, part Stretch, other *Stretch) (ids []int64, others bool) {
	t.Helper()
	err := f.Read(t.Context(), func(tx *store.Tx) error {
		list, more, err := New(conditions).Read(t.Context(), tx, "json_group_array(id) FROM page", part, other)
		if err != nil {
			return err
		}
		others = more
		return json.Unmarshal([]byte(list), &ids)
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids, others
}

// plan is the table that leads to the users that meet the conditions, and how SQLite looks for them.
func (f *file) plan(t *testing.T, conditions []Condition, descending bool) string {
	t.Helper()
	var plan strings.Builder
	err := f.Read(t.Context(), func(tx *store.Tx) error {
		q := New(conditions)
		if err := q.weigh(t.Context(), tx); err != nil {
			return err
		}
		fmt.Fprintln(&plan, q.taken.from)
		text, args := q.selectIDs(Stretch{Before: NoEnd, Descending: descending, Limit: 1})
		rows, err := tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
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
