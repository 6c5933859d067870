package usersearch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"accountd/internal/store"
)

// Query is the users that conditions leave, as SQL over user_search f. What a client sent is in args only. It is for one
// transaction.
type Query struct {
	words  []string // of user_substrings, that all of them have
	common *CommonWords
	rarest string          // of words, if it may do alone; "": that is decided
	match  string          // what user_substrings is asked for next; "": it is of no use
	lead   *valueCondition // whose index leads to the users; nil: none
	where  []string        // all have to hold
	args   []any           // of where
	found  bool            // lead or where says which rows, by an index or one by one, so that no other index is wanted
	rare   []string        // switches with the value that few users have, the one whose index may be used first
	usual  []string        // the other switches
	single bool            // one user fits at most, whom an index finds
	count  int             // of conditions
	none   bool            // nobody can match
}

// New returns the query for the users that meet all conditions.
func New(conditions []Condition, common *CommonWords) *Query {
	q := &Query{common: common, count: len(conditions)}
	var values []valueCondition // of configured fields
	for _, c := range conditions {
		switch value := c.Value.(type) {
		case string:
			if c.Field.values != "" && c.Lookup.whole() {
				values = append(values, c.Field.being(c.Lookup, value))
			} else {
				q.text(c.Lookup, c.Field, value)
			}
		case []string:
			q.none = q.none || len(value) == 0
			if c.Field.values != "" {
				values = append(values, c.Field.beingOneOf(value))
			} else {
				q.oneOf(c.Field, value)
			}
		default:
			if c.Field.kind == configured {
				values = append(values, c.Field.holding(value))
				continue
			}
			condition := c.Field.folded + map[any]string{true: " = 1", false: " = 0"}[value]
			if value != c.Field.usual {
				q.rare = append(q.rare, condition)
			} else {
				q.usual = append(q.usual, condition)
			}
		}
	}
	q.match = allOf(q.words)
	q.choose(values)
	return q
}

// None reports whether nobody can match.
func (q *Query) None() bool { return q.none }

// All reports whether everybody matches.
func (q *Query) All() bool { return q.count == 0 }

// Single reports whether one user matches at most, whom an index finds.
func (q *Query) Single() bool { return q.single }

// Ascending reports whether the index that the query uses goes in the order of ids only, so that the last user takes
// much longer to find than the first.
func (q *Query) Ascending() bool { return q.match != "" }

func (q *Query) and(condition string, args ...any) {
	q.where, q.args = append(q.where, condition), append(q.args, args...)
}

// choose decides which index leads to the users, if where has none: the one of a configured field that tells them apart,
// the one of substrings, the one of a rare switch, the one of any other configured field.
func (q *Query) choose(values []valueCondition) {
	best := slices.IndexFunc(values, func(v valueCondition) bool { return !v.common })
	if best < 0 && q.match == "" && len(q.rare) == 0 {
		best = 0
	}
	for i, v := range values {
		if i == best && !q.found {
			q.lead = &v
		} else {
			q.and("EXISTS (SELECT 1 FROM user_fields v WHERE v.user_id = f.user_id AND "+v.where+")", v.args...)
		}
	}
	q.found = q.found || q.lead != nil
	if q.found {
		q.match = "" // one index is enough
	}
}

func (q *Query) text(lookup Lookup, field Field, value string) {
	switch lookup {
	case Exact, IExact:
		q.found, q.single = true, q.single || field.unique
		q.and(field.folded+" <> '' AND "+field.folded+" = ?", store.Fold(value)) // as its index is
		if lookup == Exact {
			q.and(field.shown+" = ?", store.Normal(value))
		}
		return
	}
	folded, begins := store.Fold(value), lookup == StartsWith || lookup == IStartsWith
	at := "> 0"
	if begins {
		at = "= 1"
	}
	q.and("instr("+field.folded+", ?) "+at, folded)
	if field.kind == text && (lookup == Contains || lookup == StartsWith) {
		q.and("instr("+field.shown+", ?) "+at, store.Normal(value))
	}
	if field.substrings != nil {
		q.words = append(q.words, store.Substring(*field.substrings, folded, begins)...)
	}
}

// oneOfList completes a column or an expression.
const oneOfList = " IN (SELECT value FROM json_each(?))"

func (q *Query) oneOf(field Field, items []string) {
	q.found = true
	if field.kind == address && len(items) == 1 {
		q.single = true
		q.and("f.user_id = ("+field.owner+" = ?)", items[0])
		return
	}
	if field.kind == address {
		q.and("f.user_id IN ("+field.owner+oneOfList+")", list(items, noChange))
		return
	}
	q.and(field.folded+" <> '' AND "+field.folded+oneOfList, list(items, store.Fold))
	q.and(field.shown+oneOfList, list(items, store.Normal))
}

func noChange(s string) string { return s }

// list is the items, as change makes them, for oneOfList.
func list(items []string, change func(string) string) string {
	changed := make([]string, len(items))
	for i, item := range items {
		changed[i] = change(item)
	}
	encoded, err := json.Marshal(changed)
	if err != nil {
		panic("list: " + err.Error()) // strings always encode
	}
	return string(encoded)
}

// valueCondition is a condition on one row of user_fields v, which fits one user at most once.
type valueCondition struct {
	where  string
	args   []any
	common bool // many users may fit
}

// being is the condition that a configured text is what a lookup of whole texts asks for.
func (f Field) being(lookup Lookup, text string) valueCondition {
	c := valueCondition{f.values + " AND v.folded = ?", []any{store.Fold(text)}, f.common}
	if lookup == Exact {
		c.where, c.args = c.where+" AND "+normalValue+" = ?", append(c.args, store.Normal(text))
	}
	return c
}

func (f Field) beingOneOf(items []string) valueCondition {
	return valueCondition{
		where: f.values + " AND v.folded" + oneOfList + " AND " + normalValue + oneOfList,
		args:  []any{list(items, store.Fold), list(items, store.Normal)}, common: f.common,
	}
}

// holding is the condition that a configured field that is no text has a value.
func (f Field) holding(value any) valueCondition {
	return valueCondition{f.values + " AND v.value = ? AND typeof(v.value) IN (" + f.stored + ")", []any{value}, f.common}
}

// fewUsers is how many users with the value of a switch are looked at one by one, whatever the other filters are.
const fewUsers = 500

// Weigh has the switch that the fewest users have lead to them, if these are few, rather than the index of substrings or another
// switch: between filters of which each leaves many there is no telling. Of the index of substrings it has the rarest words lead.
func (q *Query) Weigh(ctx context.Context, tx *store.Tx) error {
	if err := q.weighSwitches(ctx, tx); err != nil {
		return err
	}
	return q.weighWords(ctx, tx)
}

func (q *Query) weighSwitches(ctx context.Context, tx *store.Tx) error {
	if q.found || len(q.rare) == 0 || q.match == "" && len(q.rare) == 1 {
		return nil
	}
	best, least := 0, fewUsers
	for i, condition := range q.rare {
		var users int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM user_search f WHERE "+condition+" LIMIT ?)", least).Scan(&users)
		if err != nil {
			return fmt.Errorf("count users: %w", err)
		}
		if users < least {
			best, least = i, users
		}
	}
	if least < fewUsers {
		q.match = ""
		q.rare[0], q.rare[best] = q.rare[best], q.rare[0]
	}
	return nil
}

// switches lets SQLite use the index of at most one, the first, if nothing else finds users and few have its value. A +
// keeps it from the others, between which it could not choose.
func (q *Query) switches() (conditions []string) {
	for i, condition := range slices.Concat(q.rare, q.usual) {
		if q.found || q.match != "" || i > 0 {
			condition = "+" + condition
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

// NoEnd is greater than any id.
const NoEnd = math.MaxInt64

// Stretch is a part of a list by ids: the first ones after one id and before another or, with Descending, the last, in the
// opposite order. Of these, Limit after the first Offset.
type Stretch struct {
	After, Before int64
	Descending    bool
	Limit, Offset int
}

// selectIDs is the query for the ids of a stretch.
func (q *Query) selectIDs(part Stretch) (query string, args []any) {
	from, id := "user_search f", "f.user_id"
	var where []string
	if q.match != "" {
		from, id = "user_substrings x CROSS JOIN user_search f ON f.user_id = x.rowid", "x.rowid"
		where, args = append(where, "x.user_substrings MATCH ?"), append(args, q.match)
	}
	if q.lead != nil {
		from, id = "user_fields v CROSS JOIN user_search f ON f.user_id = v.user_id", "v.user_id"
		where, args = append(where, q.lead.where), append(args, q.lead.args...)
	}
	where = append(append(append(where, id+" > ?", id+" < ?"), q.where...), q.switches()...)
	args = append(append(append(args, part.After, part.Before), q.args...), part.Limit, part.Offset)
	query = "SELECT f.user_id FROM " + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + id
	if part.Descending {
		query += " DESC"
	}
	return query + " LIMIT ? OFFSET ?", args
}

// row runs a query of one row. Those with one filter are few and are prepared once; the many combinations of several are
// not kept.
func (q *Query) row(ctx context.Context, tx *store.Tx, text string, args []any) *store.Row {
	if q.count <= 1 {
		return tx.QueryRowContext(ctx, text, args...)
	}
	return tx.Tx.QueryRowContext(ctx, text, args...)
}

// Nth is the id of the user at offset after one; 0 where there is none.
func (q *Query) Nth(ctx context.Context, tx *store.Tx, after int64, offset int) (id int64, err error) {
	part := Stretch{After: after, Before: NoEnd, Limit: 1, Offset: offset}
	if err := q.narrow(ctx, tx, part); err != nil {
		return 0, err
	}
	text, args := q.selectIDs(part)
	if err := q.row(ctx, tx, text, args).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("look for users: %w", err)
	}
	return id, nil
}

// Read reads the users of a stretch. show completes "SELECT (SELECT" to a query for one text about all users of page, whose
// column id says who they are. others tells whether there is anybody in another stretch; nil: it is not asked. One row has it
// all, because the driver interrupts nothing but the step to the first.
func (q *Query) Read(ctx context.Context, tx *store.Tx, show string, part Stretch, other *Stretch) (shown string, others bool, err error) {
	if err := q.narrow(ctx, tx, part); err != nil {
		return "", false, err
	}
	if other != nil && q.match == q.rarest {
		if err := q.narrow(ctx, tx, *other); err != nil {
			return "", false, err
		}
	}
	ids, args := q.selectIDs(part)
	beyond := "NULL"
	if other != nil {
		id, more := q.selectIDs(*other)
		beyond, args = "("+id+")", append(args, more...)
	}
	var id sql.NullInt64
	err = q.row(ctx, tx, "WITH page (id) AS ("+ids+") SELECT (SELECT "+show+"), "+beyond, args).Scan(&shown, &id)
	return shown, id.Valid, err
}
