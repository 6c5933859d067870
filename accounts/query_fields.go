package accounts

import (
	"context"
	"fmt"
	"strings"

	"accountd/internal/store"
)

// fieldValue is a configured field with a value for it; nil: none.
type fieldValue struct {
	field Field
	value any
}

// userQueries are the ways to find users. Their text depends on the fields that are configured, and on nothing else:
// one query reads a user whole, and without such fields it costs nothing to have the possibility.
type userQueries struct {
	selectFrom                        string // to be completed by a condition
	byID, byUsername, byAddress, list string
}

func newUserQueries(fields []Field) userQueries {
	var columns strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&columns, ", (SELECT value FROM user_fields WHERE user_id = u.id AND name = '%s')", strings.ReplaceAll(f.Name, "'", "''"))
	}
	sel := selectUser + columns.String() + fromUser
	return userQueries{
		selectFrom: sel,
		byID:       sel + `WHERE u.id = ?`,
		byUsername: sel + `WHERE u.username_key = ?`,
		byAddress:  sel + `WHERE u.id = (SELECT user_id FROM addresses WHERE canonical = ?)`,
		list:       sel + `WHERE u.id > ? ORDER BY u.id LIMIT ?`,
	}
}

// fieldTaken reports whether somebody but except has this value.
func fieldTaken(ctx context.Context, tx *store.Tx, name string, value any, except int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM user_fields WHERE name = ? AND value = ? AND user_id <> ?)`, name, value, except)
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
