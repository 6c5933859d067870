package usersearch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"accountd/internal/store"
)

// few is the largest number of users that are checked one by one, whatever the other conditions are. That takes a
// millisecond.
const few = 1024

// weigh chooses a way: the first that finds few users, or else the one whose first users spread over the most ids,
// which probably finds the fewest users.
func (q *Query) weigh(ctx context.Context, tx *store.Tx) error {
	ways, best, furthest := q.ways, -1, int64(0)
	q.ways = nil
	for i := range ways {
		if q.found {
			break // an index of where is better
		}
		w := &ways[i]
		if w.index != "" {
			match, err := q.rarest(ctx, tx, w.index, w.trigrams)
			if err != nil {
				return err
			}
			w.args = []any{match}
		}
		if !w.unordered && best < 0 && i == len(ways)-1 {
			best = i // the only one
			break
		}
		last, err := w.last(ctx, tx)
		if err != nil {
			return err
		}
		if last == 0 {
			best = i
			break
		}
		if !w.unordered && last > furthest {
			best, furthest = i, last
		}
	}
	for i, w := range ways {
		if i == best {
			q.taken = w
		} else if w.check != "" {
			q.and(w.check, w.args...)
		}
	}
	return nil
}

// last returns the id of user number few of a way, or 0 if the way finds no more users.
func (w way) last(ctx context.Context, tx *store.Tx) (id int64, err error) {
	query := "SELECT " + w.id + " FROM " + w.from + " WHERE " + w.where
	if !w.unordered {
		query += " ORDER BY " + w.id
	}
	err = tx.QueryRowContext(ctx, query+" LIMIT 1 OFFSET ?", append(slices.Clip(w.args), few)...).Scan(&id)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("count users: %w", err)
	}
	return id, nil
}

// NoEnd is greater than any id.
const NoEnd = math.MaxInt64

// Stretch is a part of a list in the order of ids: users after one id and before another, in the opposite order if
// Descending is set. Offset users are skipped, and at most Limit are returned.
type Stretch struct {
	After, Before int64
	Descending    bool
	Limit, Offset int
}

// selectIDs returns the query for the ids of a stretch.
func (q *Query) selectIDs(part Stretch) (query string, args []any) {
	from, id := "user_search f", "f.user_id"
	var where []string
	if q.taken.from != "" {
		where, args = append(where, q.taken.where), append(args, q.taken.args...)
	}
	if q.taken.from != "" && q.taken.from != from {
		id = q.taken.id
		from = q.taken.from + " CROSS JOIN user_search f ON f.user_id = " + id
	}
	where = append(append(where, id+" > ?", id+" < ?"), q.where...)
	args = append(append(append(args, part.After, part.Before), q.args...), part.Limit, part.Offset)
	query = "SELECT f.user_id FROM " + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + id
	if part.Descending {
		query += " DESC"
	}
	return query + " LIMIT ? OFFSET ?", args
}

// Nth returns the id of the user at offset after an id, or 0 for no such user.
func (q *Query) Nth(ctx context.Context, tx *store.Tx, after int64, offset int) (id int64, err error) {
	if err := q.weigh(ctx, tx); err != nil {
		return 0, err
	}
	text, args := q.selectIDs(Stretch{After: after, Before: NoEnd, Limit: 1, Offset: offset})
	if err := tx.QueryRowContext(ctx, text, args...).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("look for users: %w", err)
	}
	return id, nil
}

// Read reads the users of a stretch. show follows "SELECT (SELECT" and returns one text about all users of the table
// page, whose column id has their ids. others reports whether another stretch has users; nil: not asked. The result
// is one row, because the driver interrupts a query only before its first row.
func (q *Query) Read(
	ctx context.Context, tx *store.Tx, show string, part Stretch, other *Stretch,
) (shown string, others bool, err error) {
	if err := q.weigh(ctx, tx); err != nil {
		return "", false, err
	}
	ids, args := q.selectIDs(part)
	beyond := "NULL"
	if other != nil {
		id, more := q.selectIDs(*other)
		beyond, args = "("+id+")", append(args, more...)
	}
	var id sql.NullInt64
	query := "WITH page (id) AS (" + ids + ") SELECT (SELECT " + show + "), " + beyond
	err = tx.QueryRowContext(ctx, query, args...).Scan(&shown, &id)
	return shown, id.Valid, err
}
