package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"accountd/internal/store"
	"accountd/tokens"
)

// fieldValue is a configured field and its value; nil: no value.
type fieldValue struct {
	field Field
	value any
}

// userQueries are the queries that find accounts. Each reads all columns at once. Their text depends on the configured
// fields only.
type userQueries struct {
	shown                                               string // the expression that readShown reads
	byID, byUsername, byAddress, byReference, bySession string // of one row, which readAccount reads
}

func newUserQueries(fields []Field) userQueries {
	columns := shownColumns
	for _, f := range fields {
		// JSON has no blobs. Field.read drops values of other wrong types.
		columns += fmt.Sprintf(", (SELECT iif(typeof(value) = 'blob', NULL, value) FROM user_fields"+
			" WHERE user_id = u.id AND name = '%s')", strings.ReplaceAll(f.Name, "'", "''"))
	}
	sel := "SELECT json_array(" + columns + ", " + hiddenColumns + ") FROM users u" + besideUser
	return userQueries{
		shown:      "json_array(" + columns + ")",
		byID:       sel + `WHERE u.id = ?`,
		byUsername: sel + `WHERE u.username_key = ?`,
		byAddress:  sel + `WHERE u.id = (SELECT user_id FROM addresses WHERE canonical = ?)`,
		byReference: sel + `WHERE u.id = coalesce((SELECT id FROM users WHERE id = ?),
			(SELECT id FROM users WHERE username_key = ?), (SELECT user_id FROM addresses WHERE canonical = ?))`,
		bySession: sel + `WHERE u.id = ?1 AND u.is_active AND ` + tokens.LiveSession,
	}
}

// fieldTaken reports whether an account other than except has a value, or whether it is held.
func fieldTaken(ctx context.Context, tx *store.Tx, name string, value any, except int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM user_fields WHERE name = ?1 AND value = ?2 AND user_id <> ?3)
		OR EXISTS (SELECT 1 FROM held_values WHERE name = ?1 AND value = ?2)`, name, value, except)
}

// heldSkeleton is the name under which skeletons of usernames are held. Names of fields have no spaces.
const heldSkeleton = "username skeleton"

// holdValues reserves, for a registration of a claimed address, what a new account would have taken: an id and the
// unique values. Otherwise a second registration, or the id of a third, would reveal that the address is claimed. The
// values are held as long as an unverified account would keep them.
func holdValues(ctx context.Context, tx *store.Tx, values []fieldValue) error {
	registration, err := store.NextID(ctx, tx, "users")
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := exec(ctx, tx, "hold "+v.field.Name,
			`INSERT INTO held_values (name, value, registration, held_at) VALUES (?, ?, ?, ?)`,
			v.field.Name, stored(v.value), registration, tx.Now.Unix()); err != nil {
			return err
		}
	}
	return nil
}

// releaseValues undoes holdValues for some values.
func releaseValues(ctx context.Context, tx *store.Tx, values []fieldValue) error {
	for _, v := range values {
		if err := exec(ctx, tx, "release "+v.field.Name, `DELETE FROM held_values WHERE name = ? AND value = ?`,
			v.field.Name, stored(v.value)); err != nil {
			return err
		}
	}
	return nil
}

// setFields stores values of an account and deletes nil ones.
func setFields(ctx context.Context, tx *store.Tx, id int64, values []fieldValue) error {
	for _, v := range values {
		statement := `
			INSERT INTO user_fields (user_id, name, value, is_unique) VALUES (?, ?, ?, ?)
			ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value, is_unique = excluded.is_unique`
		args := []any{id, v.field.Name, stored(v.value), v.field.Unique}
		if v.value == nil {
			statement, args = `DELETE FROM user_fields WHERE user_id = ? AND name = ?`, args[:2]
		}
		if err := exec(ctx, tx, "store field "+v.field.Name, statement, args...); err != nil {
			return err
		}
	}
	return nil
}

// CheckFields logs a warning for each unique field with values that several accounts share, from before it was unique.
// Those accounts keep such a value, and no other account gets it.
func (s *Service) CheckFields(ctx context.Context) error {
	const query = `SELECT count(*) FROM (SELECT 1 FROM user_fields WHERE name = ? GROUP BY value HAVING count(*) > 1)`
	return s.db.Read(ctx, func(tx *store.Tx) error {
		for _, f := range s.settings.Fields {
			shared := 0
			if !f.Unique {
				continue
			}
			if err := tx.QueryRowContext(ctx, query, f.Name).Scan(&shared); err != nil {
				return fmt.Errorf("count values of field %s: %w", f.Name, err)
			}
			if shared > 0 {
				s.log.LogAttrs(ctx, slog.LevelWarn, "a unique field has values that several accounts share",
					slog.String("field", f.Name), slog.Int("values", shared))
			}
		}
		return nil
	})
}
