package dataset

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	_ "accountd/internal/store" // the driver, and the functions that the schema calls
)

// fast are pragmas without durability: the file is deleted after any error.
const fast = "?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)&_pragma=foreign_keys(0)" +
	"&_pragma=locking_mode(EXCLUSIVE)&_pragma=cache_size(-262144)&_pragma=temp_store(MEMORY)"

// fill inserts all rows without indexes and triggers, which it drops before and creates again afterwards.
func fill(ctx context.Context, file string, size Size, now time.Time) error {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: file}).EscapedPath()+fast)
	if err != nil {
		return err
	}
	defer db.Close() // again, where something failed
	db.SetMaxOpenConns(1)
	if err := fillTables(ctx, db, size, now); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `PRAGMA journal_mode = WAL`); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func fillTables(ctx context.Context, db *sql.DB, size Size, now time.Time) error {
	aside, err := setAside(ctx, db)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing after Commit
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"users", func() error { return fillUsers(ctx, tx, size, now) }},
		{"search", func() error { return execAll(ctx, tx, fillSearch) }},
		{"sessions", func() error { return fillSessions(ctx, tx, size, now) }},
		{"refresh tokens", func() error { return fillRefreshTokens(ctx, tx, size, now) }},
		{"indexes and triggers", func() error { return execAll(ctx, tx, aside) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return tx.Commit()
}

// setAside drops triggers and indexes and returns the statements that create them.
func setAside(ctx context.Context, db *sql.DB) (again []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') `+
		`AND sql IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		drop, again = append(drop, fmt.Sprintf("DROP %s %s", kind, name)), append(again, text)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	for _, text := range drop {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return nil, err
		}
	}
	return again, nil
}

func execAll(ctx context.Context, tx *sql.Tx, list []string) error {
	for _, text := range list {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", firstLine(text), err)
		}
	}
	return nil
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// insertRows runs a statement n times, with the arguments of each row from 1.
func insertRows(ctx context.Context, tx *sql.Tx, statement string, n int, row func(i int) []any) error {
	insert, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := 1; i <= n; i++ {
		if _, err := insert.ExecContext(ctx, row(i)...); err != nil {
			return err
		}
	}
	return nil
}

// fillUsers has each user join a few seconds after the one before.
func fillUsers(ctx context.Context, tx *sql.Tx, size Size, now time.Time) error {
	var hash string
	if err := tx.QueryRowContext(ctx, `SELECT password FROM users WHERE username = ?`, Admin).Scan(&hash); err != nil {
		return err
	}
	names := newNames()
	if err := insertRows(ctx, tx, `
		INSERT INTO users (id, username, username_key, email, first_name, last_name, password, is_active, is_staff,
			is_superuser, date_joined)
		VALUES (?, ?, ?, ?, ?, ?, ?, 1, 0, 0, ?)`, size.Users, func(i int) []any {
		first, last := names.next()
		joined := now.Unix() - 3*int64(size.Users-i)
		return []any{ID(i), Username(i), Username(i), Email(i), first, last, hash, joined}
	}); err != nil {
		return err
	}
	return execAll(ctx, tx, []string{
		`INSERT INTO user_status (user_id, verified, archived) SELECT id, 1, 0 FROM users WHERE id > 1 ORDER BY id`,
		`INSERT INTO addresses (canonical, user_id, address)
		SELECT email, id, email FROM users WHERE id > 1 ORDER BY email`,
	})
}

// fillSearch fills the search index, which triggers would do for each user.
var fillSearch = []string{
	`INSERT INTO user_search (user_id, username, email, first_name, last_name, secondary_email, is_active,
		is_staff, verified, archived)
	SELECT user_id, username, email, first_name, last_name, secondary_email, is_active, is_staff, verified, archived
	FROM user_search_source WHERE user_id > 1 ORDER BY user_id`,
	`INSERT INTO search_username (search_username) VALUES ('rebuild')`,
	`INSERT INTO search_email (search_email) VALUES ('rebuild')`,
	`INSERT INTO search_first_name (search_first_name) VALUES ('rebuild')`,
	`INSERT INTO search_last_name (search_last_name) VALUES ('rebuild')`,
	`UPDATE users SET username_skeleton = skeleton(username) WHERE id > 1`,
}

// Lifetimes of a session and of an unused refresh token by the default settings, in seconds.
const (
	day             = 24 * 60 * 60
	sessionLifetime = 90 * day
	refreshLifetime = 7 * day
)

// began returns the start of session j: within the last six days, or a month before if it has expired.
func began(j int, size Size, now time.Time) int64 {
	at := now.Unix() - int64(j)*7919%(6*day)
	if Expired(j, size.Users) {
		at -= 30 * day
	}
	return at
}

func fillSessions(ctx context.Context, tx *sql.Tx, size Size, now time.Time) error {
	return insertRows(ctx, tx, `
		INSERT INTO sessions (id, user_id, created_at, expires_at, clear_at) VALUES (?, ?, ?, ?, ?)`,
		size.Sessions, func(j int) []any {
			at := began(j, size, now)
			return []any{SessionID(j), ID(Owner(j, size.Users)), at, at + sessionLifetime, at + refreshLifetime}
		})
}

func fillRefreshTokens(ctx context.Context, tx *sql.Tx, size Size, now time.Time) error {
	return insertRows(ctx, tx, `
		INSERT INTO refresh_tokens (session_id, generation, located, hash, issued_at, expires_at)
		VALUES (?, 1, 1, ?, ?, ?)`,
		size.Sessions, func(j int) []any {
			at, hash := began(j, size, now), sha256.Sum256([]byte(RefreshToken(j)))
			return []any{SessionID(j), hash[:], at, at + refreshLifetime}
		})
}
