package store

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ada is a user for files of any schema.
const ada = `BEGIN;
	INSERT INTO users (id, username, username_key, email, date_joined) VALUES (7, 'Ada', 'ada', 'ada@example.com', 1);
	INSERT INTO addresses VALUES ('ada@example.com', 7, 'Ada@example.com');
	INSERT INTO user_status (user_id) VALUES (7);
	COMMIT`

// earlierFile makes a file of an earlier schema and runs queries in it.
func earlierFile(t *testing.T, version int, queries ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.db")
	var all []string
	for _, step := range steps()[:version] {
		all = append(all, step.sql)
	}
	for _, query := range append(all, queries...) {
		if err := execIn(path, query); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestMigrateFromFirst: a file of the first schema comes up to the newest one with everything in it, and once only.
func TestMigrateFromFirst(t *testing.T) {
	t.Parallel()
	path := earlierFile(t, 1, ada)
	for range 2 {
		db, err := Open(t.Context(), path, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		var version, users int
		err = db.Read(t.Context(), func(tx *Tx) error {
			const query = `SELECT user_version, (SELECT count(*) FROM users WHERE id = 7 AND username = 'Ada')
				FROM pragma_user_version`
			return tx.QueryRowContext(t.Context(), query).Scan(&version, &users)
		})
		if err != nil || version < 2 || users != 1 {
			t.Errorf("version %d, %d users, %v, want at least 2 and 1 user", version, users, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMigrateValues: the search index has the values that are older than it.
func TestMigrateValues(t *testing.T) {
	t.Parallel()
	db := open(t, earlierFile(t, 4, ada, `INSERT INTO user_fields (user_id, name, value)
		VALUES (7, 'text', 'Straße'), (7, 'number', 5), (7, 'bytes', x'41')`))
	var folded string
	err := db.Read(t.Context(), func(tx *Tx) error {
		const query = `
			SELECT group_concat(name || ' ' || coalesce(folded, 'NULL'), ', ' ORDER BY name) FROM user_fields`
		return tx.QueryRowContext(t.Context(), query).Scan(&folded)
	})
	if want := "bytes NULL, number NULL, text strasse"; err != nil || folded != want {
		t.Errorf("%s, %v, want %s", folded, err, want)
	}
}

// TestMigrateRefresh: the refresh tokens of a session keep their order, with the live one last, and clearing finds the
// same rows.
func TestMigrateRefresh(t *testing.T) {
	t.Parallel()
	db := open(t, earlierFile(t, 8, ada, `
		INSERT INTO sessions (id, user_id, created_at, expires_at)
		VALUES (1, 7, 1, 100), (2, 7, 1, 90), (3, 7, 1, NULL), (4, 7, 1, NULL);
		INSERT INTO refresh_tokens (hash, session_id, issued_at, expires_at, rotated_at, successor)
		VALUES (x'05', 1, 1, 11, 2, x'01'), (x'01', 1, 2, 12, 2, x'04'), (x'04', 1, 2, 12, 9, x'03'),
			(x'03', 1, 9, 19, NULL, NULL), (x'02', 3, 5, 15, NULL, NULL)`))
	for _, test := range []struct{ query, want string }{
		{`SELECT group_concat(
				hex(hash) || ' ' || expires_at || ' ' || iif(successor IS NULL, 'live', hex(successor)), ', '
			ORDER BY session_id, generation) FROM refresh_tokens`,
			"05 11 01, 01 12 04, 04 12 03, 03 19 live, 02 15 live"},
		{`SELECT group_concat(session_id || '/' || generation, ' ' ORDER BY session_id, generation)
			FROM refresh_tokens`,
			"1/1 1/2 1/3 1/4 3/1"},
		{`SELECT group_concat(hex(hash), ' ' ORDER BY hash)
			FROM refresh_tokens INDEXED BY refresh_tokens_hash WHERE located = 0`,
			"01 02 03 04 05"},
		{`SELECT group_concat(coalesce(clear_at, 'never'), ' ' ORDER BY id) FROM sessions`, "11 90 15 never"},
	} {
		var got string
		err := db.Read(t.Context(), func(tx *Tx) error {
			return tx.QueryRowContext(t.Context(), test.query).Scan(&got)
		})
		if err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", test.query, got, err, test.want)
		}
	}
}

// TestMigrateSkeletons: usernames that look alike stay as they are, and no further one comes beside them.
func TestMigrateSkeletons(t *testing.T) {
	t.Parallel()
	const insert = `INSERT INTO users (id, username, username_key, email, date_joined) VALUES `
	const rest = `; INSERT OR IGNORE INTO addresses SELECT email, id, email FROM users;
		INSERT OR IGNORE INTO user_status (user_id) SELECT id FROM users`
	path := earlierFile(t, 11, `BEGIN;`+insert+`
		(1, 'PayPal', 'paypal', 'a', 1), (2, 'paypɑl', 'paypɑl', 'b', 1), (3, 'ada', 'ada', 'c', 1),
		(4, 'u1@example.com', 'u1@example.com', 'd', 1), (5, 'ul@example.com', 'ul@example.com', 'e', 1),
		(6, NULL, NULL, 'f', 1)`+rest+`; COMMIT`)
	db := open(t, path)
	for _, step := range []struct {
		query   string
		refused bool
		want    string // id, skeleton and sharer_id of each with a skeleton
	}{
		{"SELECT 1", false, "1 paypal 1, 2 paypal 2, 3 ada 0"},
		{insert + `(7, 'paypa1', 'paypa1', 'g', 1)` + rest, false, // form.taken refuses it
			"1 paypal 1, 2 paypal 2, 3 ada 0, 7 paypal 0"},
		{insert + `(8, 'pаypaI', 'pаypai', 'h', 1)` + rest, true, ""},
		{`UPDATE users SET username = 'adam', username_key = 'adam' WHERE id = 3`, false,
			"1 paypal 1, 2 paypal 2, 3 adarn 0, 7 paypal 0"},
		{`UPDATE users SET username = 'PAYPAӀ', username_key = 'paypaӏ' WHERE id = 1`, false,
			"1 paypal 1, 2 paypal 2, 3 adarn 0, 7 paypal 0"},
		{`UPDATE users SET username = 'Bob', username_key = 'bob' WHERE id = 1`, false,
			"1 bob 0, 2 paypal 2, 3 adarn 0, 7 paypal 0"},
		{`UPDATE users SET username = 'PayPaI', username_key = 'paypai' WHERE id = 1`, true, ""},
		{`UPDATE users SET username = NULL, username_key = NULL WHERE id = 1`, false,
			"2 paypal 2, 3 adarn 0, 7 paypal 0"},
		{`UPDATE users SET username = 'd', username_key = 'd' WHERE id = 4`, false,
			"2 paypal 2, 3 adarn 0, 4 d 0, 7 paypal 0"},
	} {
		err := db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), step.query)
			return err
		})
		const refusal = "UNIQUE constraint failed: users.username_skeleton"
		if (err != nil) != step.refused || err != nil && !strings.Contains(err.Error(), refusal) {
			t.Errorf("%s: got %v, want refused %t", step.query, err, step.refused)
		}
		if step.refused {
			continue
		}
		const query = `
			SELECT group_concat(id || ' ' || username_skeleton || ' ' || sharer_id, ', ' ORDER BY id) FROM users`
		var got string
		err = db.Read(t.Context(), func(tx *Tx) error { return tx.QueryRowContext(t.Context(), query).Scan(&got) })
		if err != nil || got != step.want {
			t.Errorf("%s: %s, %v, want %s", step.query, got, err, step.want)
		}
	}
}

// TestUserFields: one value for each account and field, of a type of its own, and gone with the account.
func TestUserFields(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	exec := func(query string, args ...any) error {
		return db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), query, args...)
			return err
		})
	}
	for i, name := range []string{"a", "b"} {
		const query = `INSERT INTO addresses VALUES (?1, ?2, ?1);
			INSERT INTO users (id, email, date_joined) VALUES (?2, ?1, 1)`
		if err := exec(query, name, i+1); err != nil {
			t.Fatal(err)
		}
	}
	const insert = `INSERT INTO user_fields (user_id, name, value, is_unique) VALUES (?, ?, ?, ?)`
	for _, c := range []struct {
		name    string
		args    []any
		refused string
	}{
		{"a text", []any{1, "x", "1", 0}, ""},
		{"the same for another", []any{2, "x", "1", 0}, ""},
		{"twice for one", []any{1, "x", "2", 0}, "UNIQUE"},
		{"unique", []any{1, "y", "1", 1}, ""},
		{"unique, but a number", []any{2, "y", 1, 1}, ""},
		{"unique, for nobody", []any{3, "y", "2", 1}, "FOREIGN KEY"},
		{"null", []any{1, "z", nil, 0}, "NOT NULL"},
		{"unique of one field", []any{1, "v", "1", 1}, ""},
		{"unique, taken", []any{2, "v", "1", 1}, "UNIQUE"},
	} {
		if err := exec(insert, c.args...); (err == nil) != (c.refused == "") || err != nil &&
			!strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
		}
	}
	if err := exec(`DELETE FROM users WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := db.Read(t.Context(), func(tx *Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM user_fields`).Scan(&left)
	}); err != nil || left != 2 {
		t.Errorf("got %d values, %v; want 2", left, err)
	}
}
