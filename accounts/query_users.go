package accounts

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"accountd/internal/store"
)

// maxTrigrams is how many threes of characters of one text are looked for in the index of substrings. Few are enough to
// leave few users, each of which is compared with the whole text; each one more costs every search.
const maxTrigrams = 4

// filtered is the users that filters leave, as SQL over user_search f. What a client sent is in args only.
type filtered struct {
	match   string   // of user_substrings; "": it is of no use
	where   []string // all have to hold
	args    []any    // of where
	found   bool     // where says which rows, by an index, so that no other index is wanted
	filters int
	none    bool // nobody can match
}

// filter adds one condition each. It fails with *UsageError for a value that nobody may ask for.
func filter(list []Filter) (*filtered, error) {
	q := &filtered{}
	var switches []Filter
	for _, f := range list {
		field := f.field()
		if field.Kind == SwitchFilter {
			switches = append(switches, f)
			continue
		}
		value := trim(f.Value.(string))
		if value == "" {
			continue
		}
		q.filters++
		if strings.ContainsRune(value, 0) {
			q.none = true // no text has one
			continue
		}
		if err := q.text(f, field, value); err != nil {
			return nil, err
		}
	}
	if q.found {
		q.match = "" // one index is enough
	}
	q.switches(switches)
	return q, nil
}

func (q *filtered) and(condition string, args ...any) {
	q.where, q.args = append(q.where, condition), append(q.args, args...)
}

func (q *filtered) text(f Filter, field FilterField, value string) error {
	switch f.Lookup {
	case In:
		return q.oneOf(f, field, value)
	case Exact, IExact:
		q.found = true
		if field.Kind == AddressFilter {
			address, err := ParseAddress(value)
			q.none = q.none || err != nil
			q.and("f.user_id = ("+field.owner+" = ?)", address.Canonical)
			return nil
		}
		q.and(field.folded+" <> '' AND "+field.folded+" = ?", store.Fold(value)) // as its index is
		if f.Lookup == Exact {
			q.and(field.shown+" = ?", store.Normal(value))
		}
		return nil
	}
	folded := store.Fold(value)
	at, phrase := "> 0", folded
	if f.Lookup == StartsWith || f.Lookup == IStartsWith {
		at, phrase = "= 1", "\x02"+folded // one of the two marks is enough, unless only one letter follows
		if utf8.RuneCountInString(folded) == 1 {
			phrase = "\x02\x02" + folded
		}
	}
	q.and("instr("+field.folded+", ?) "+at, folded)
	if field.Kind == TextFilter && (f.Lookup == Contains || f.Lookup == StartsWith) {
		q.and("instr("+field.shown+", ?) "+at, store.Normal(value))
	}
	for _, trigram := range trigrams(phrase) {
		if field.substrings == "" {
			break
		}
		if q.match != "" {
			q.match += " AND "
		}
		q.match += field.substrings + ` : "` + strings.ReplaceAll(trigram, `"`, `""`) + `"`
	}
	return nil
}

// trigrams are threes of characters that a text with s in it has: side by side, and the last one.
func trigrams(s string) []string {
	runes := []rune(s)
	var list []string
	for i := 0; i+3 <= len(runes) && len(list) < maxTrigrams-1; i += 3 {
		list = append(list, string(runes[i:i+3]))
	}
	if len(runes) > 3 {
		list = append(list, string(runes[len(runes)-3:]))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// maxIn is how many values one filter may list.
const maxIn = 100

func (q *filtered) oneOf(f Filter, field FilterField, value string) error {
	folded, shown := []string{}, []string{}
	for item := range strings.SplitSeq(value, ",") {
		item = trim(item)
		if item == "" {
			continue
		}
		if field.Kind == AddressFilter {
			if address, err := ParseAddress(item); err == nil {
				folded = append(folded, address.Canonical)
			}
			continue
		}
		folded, shown = append(folded, store.Fold(item)), append(shown, store.Normal(item))
	}
	if n := strings.Count(value, ",") + 1; n > maxIn {
		return &UsageError{fmt.Sprintf("A filter by %s takes at most %d values, not %d.", f.Field, maxIn, n)}
	}
	const item = " IN (SELECT value FROM json_each(?))"
	q.found = true
	if field.Kind == AddressFilter {
		q.and("f.user_id IN ("+field.owner+item+")", list(folded))
		return nil
	}
	q.and(field.folded+" <> '' AND "+field.folded+item, list(folded))
	q.and(field.shown+item, list(shown))
	return nil
}

func list(items []string) string {
	encoded, err := json.Marshal(items)
	if err != nil {
		panic("list: " + err.Error()) // strings always encode
	}
	return string(encoded)
}

// switches lets SQLite use the index of at most one: the first that few users have, if nothing else finds them. A + keeps
// it from the others, between which it could not choose.
func (q *filtered) switches(list []Filter) {
	best := -1
	for i, f := range list {
		if f.Value != f.field().usual && best < 0 {
			best = i
		}
	}
	for i, f := range list {
		column := f.field().folded
		if q.found || q.match != "" || i != max(best, 0) {
			column = "+" + column
		}
		q.and(column + map[any]string{true: " = 1", false: " = 0"}[f.Value])
		q.filters++
	}
}

// selectIDs is the query for the ids after one and before another, in order or, with descending, in the opposite one.
// args are followed by those of LIMIT and OFFSET.
func (q *filtered) selectIDs(after, before int64, descending bool) (query string, args []any) {
	from, id := "user_search f", "f.user_id"
	var where []string
	if q.match != "" {
		from, id = "user_substrings x CROSS JOIN user_search f ON f.user_id = x.rowid", "x.rowid"
		where, args = append(where, "x.user_substrings MATCH ?"), append(args, q.match)
	}
	where = append(append(where, id+" > ?", id+" < ?"), q.where...)
	args = append(append(args, after, before), q.args...)
	query = "SELECT f.user_id FROM " + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + id
	if descending {
		query += " DESC"
	}
	return query + " LIMIT ? OFFSET ?", args
}

// query runs one text. Those with one filter are few and are prepared once; the many combinations of several are not
// kept.
func (q *filtered) query(ctx context.Context, tx *store.Tx, text string, args []any) (*sql.Rows, error) {
	if q.filters <= 1 {
		return tx.QueryContext(ctx, text, args...)
	}
	return tx.Tx.QueryContext(ctx, text, args...)
}

// nth is the id of the user at offset among those after one and before another; 0 where there is none.
func (q *filtered) nth(ctx context.Context, tx *store.Tx, after, before int64, descending bool, offset int) (id int64, err error) {
	text, args := q.selectIDs(after, before, descending)
	rows, err := q.query(ctx, tx, text, append(args, 1, offset))
	if err != nil {
		return 0, fmt.Errorf("look for users: %w", err)
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&id)
	}
	return id, errors.Join(err, rows.Err())
}

// filteredUsers are the first limit users after one and before another, or, with descending, the last from the end.
func (s *Service) filteredUsers(ctx context.Context, tx *store.Tx, q *filtered, after, before int64, descending bool, limit int) ([]*User, error) {
	ids, args := q.selectIDs(after, before, descending)
	order := " ORDER BY u.id"
	if descending {
		order += " DESC"
	}
	// The ids come first and all at once: the driver interrupts nothing but the step to the first row.
	text := "WITH page (id) AS MATERIALIZED (" + ids + ") " + s.users.selectFrom + "WHERE u.id IN (SELECT id FROM page)" + order
	rows, err := q.query(ctx, tx, text, append(args, limit, 0))
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return s.scanUsers(rows)
}
