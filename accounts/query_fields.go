package accounts

import (
	"context"
	"fmt"
	"strings"

	"accountd/internal/store"
	"accountd/tokens"
)

// fieldValue is a configured field with a value for it; nil: none.
type fieldValue struct {
	field Field
	value any
}

// userQueries are the ways to find users. Their text depends on the fields that are configured, and on nothing else:
// one query reads a user whole, and without such fields it costs nothing to have the possibility.
type userQueries struct {
	shown                                  string // what readShown reads
	byID, byUsername, byAddress, bySession string // what readUser reads
}

func newUserQueries(fields []Field) userQueries {
	columns := shownColumns
	for _, f := range fields {
		// A value of no type that read knows might be a blob, which no JSON can have.
		columns += fmt.Sprintf(", (SELECT iif(typeof(value) = 'blob', NULL, value) FROM user_fields WHERE user_id = u.id AND name = %s)", f.literal())
	}
	sel := "SELECT json_array(" + columns + ", " + hiddenColumns + ") FROM users u" + besideUser
	return userQueries{
		shown:      "json_array(" + columns + ")",
		byID:       sel + `WHERE u.id = ?`,
		byUsername: sel + `WHERE u.username_key = ?`,
		byAddress:  sel + `WHERE u.id = (SELECT user_id FROM addresses WHERE canonical = ?)`,
		bySession:  sel + `WHERE u.id = ?1 AND u.is_active AND ` + tokens.LiveSession,
	}
}

// literal is the field's name in SQL.
func (f Field) literal() string { return "'" + strings.ReplaceAll(f.Name, "'", "''") + "'" }

// fieldTaken reports whether somebody but except has this value, or whether it is held.
func fieldTaken(ctx context.Context, tx *store.Tx, name string, value any, except int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM user_fields WHERE name = ?1 AND value = ?2 AND user_id <> ?3)
		OR EXISTS (SELECT 1 FROM held_values WHERE name = ?1 AND value = ?2)`, name, value, except)
}

// heldSkeleton is the name under which the skeletons of usernames are held. No field can be called that.
const heldSkeleton = "username skeleton"

// holdValues keeps values from others that a registration would have taken.
func holdValues(ctx context.Context, tx *store.Tx, registration int64, values []fieldValue) error {
	for _, v := range values {
		const insert = `INSERT INTO held_values (name, value, registration, held_at) VALUES (?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, insert, v.field.Name, stored(v.value), registration, tx.Now.Unix()); err != nil {
			return fmt.Errorf("hold %s: %w", v.field.Name, err)
		}
	}
	return nil
}

func releaseValues(ctx context.Context, tx *store.Tx, values []fieldValue) error {
	for _, v := range values {
		const release = `DELETE FROM held_values WHERE name = ? AND value = ?`
		if _, err := tx.ExecContext(ctx, release, v.field.Name, stored(v.value)); err != nil {
			return fmt.Errorf("release %s: %w", v.field.Name, err)
		}
	}
	return nil
}

// setFields stores values, and deletes those that are nil.
func setFields(ctx context.Context, tx *store.Tx, id int64, values []fieldValue) error {
	for _, v := range values {
		var err error
		if v.value == nil {
			_, err = tx.ExecContext(ctx, `DELETE FROM user_fields WHERE user_id = ? AND name = ?`, id, v.field.Name)
		} else {
			_, err = tx.ExecContext(ctx, `
				INSERT INTO user_fields (user_id, name, value, is_unique) VALUES (?, ?, ?, ?)
				ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value, is_unique = excluded.is_unique`,
				id, v.field.Name, stored(v.value), v.field.Unique)
		}
		if err != nil {
			return fmt.Errorf("store field %s: %w", v.field.Name, err)
		}
	}
	return nil
}

// countClashes counts the values of a field that more than one account has.
func countClashes(ctx context.Context, tx *store.Tx, name string) (n int, err error) {
	const query = `SELECT count(*) FROM (SELECT 1 FROM user_fields WHERE name = ? GROUP BY value HAVING count(*) > 1)`
	if err := tx.QueryRowContext(ctx, query, name).Scan(&n); err != nil {
		return 0, fmt.Errorf("count values of field %s: %w", name, err)
	}
	return n, nil
}
