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
	match   string          // of user_substrings; "": it is of no use
	lead    *valueCondition // whose index leads to the users; nil: none
	where   []string        // all have to hold
	args    []any           // of where
	found   bool            // lead or where says which rows, by an index, so that no other index is wanted
	filters int
	none    bool // nobody can match
}

// filter adds one condition each. It fails with *UsageError for a value that nobody may ask for.
func (s *Service) filter(list []Filter) (*filtered, error) {
	q := &filtered{}
	var values []valueCondition // of configured fields
	var rare, usual []string    // switches, by whether few users have the value
	for _, f := range list {
		field := s.filterField(f)
		switch field.kind {
		case switchFilter:
			condition := field.folded + map[any]string{true: " = 1", false: " = 0"}[f.Value]
			if f.Value != field.usual {
				rare = append(rare, condition)
			} else {
				usual = append(usual, condition)
			}
			q.filters++
			continue
		case valueFilter:
			values = append(values, field.holding(f.Value))
			q.filters++
			continue
		}
		text := trim(f.Value.(string))
		if text == "" {
			continue
		}
		q.filters++
		if strings.ContainsRune(text, 0) {
			q.none = true // no text has one
			continue
		}
		if f.Lookup == In && strings.Count(text, ",") >= maxIn {
			return nil, &UsageError{fmt.Sprintf("A filter by %s takes at most %d values, not %d.", f.Field, maxIn, strings.Count(text, ",")+1)}
		}
		if field.values != "" && f.Lookup.whole() {
			values = append(values, field.being(f.Lookup, text))
		} else {
			q.text(f.Lookup, field, text)
		}
	}
	q.choose(values, len(rare) > 0)
	q.switches(append(rare, usual...))
	return q, nil
}

func (q *filtered) and(condition string, args ...any) {
	q.where, q.args = append(q.where, condition), append(q.args, args...)
}

// choose decides which index leads to the users, if where has none: the one of a configured field that tells them apart,
// the one of substrings, the one of a rare switch, the one of any other configured field.
func (q *filtered) choose(values []valueCondition, rareSwitch bool) {
	best := slices.IndexFunc(values, func(v valueCondition) bool { return !v.common })
	if best < 0 && q.match == "" && !rareSwitch {
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

func (q *filtered) text(lookup Lookup, field FilterField, value string) {
	switch lookup {
	case In:
		q.oneOf(field, value)
		return
	case Exact, IExact:
		q.found = true
		if field.kind == addressFilter {
			address, err := ParseAddress(value)
			q.none = q.none || err != nil
			q.and("f.user_id = ("+field.owner+" = ?)", address.Canonical)
			return
		}
		q.and(field.folded+" <> '' AND "+field.folded+" = ?", store.Fold(value)) // as its index is
		if lookup == Exact {
			q.and(field.shown+" = ?", store.Normal(value))
		}
		return
	}
	folded := store.Fold(value)
	at, phrase := "> 0", folded
	if lookup == StartsWith || lookup == IStartsWith {
		at, phrase = "= 1", "\x02"+folded // one of the two marks is enough, unless only one letter follows
		if utf8.RuneCountInString(folded) == 1 {
			phrase = "\x02\x02" + folded
		}
	}
	q.and("instr("+field.folded+", ?) "+at, folded)
	if field.kind == textFilter && (lookup == Contains || lookup == StartsWith) {
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

// oneOfList completes a column or an expression.
const oneOfList = " IN (SELECT value FROM json_each(?))"

func (q *filtered) oneOf(field FilterField, value string) {
	q.found = true
	if field.kind != addressFilter {
		folded, shown := items(value)
		q.and(field.folded+" <> '' AND "+field.folded+oneOfList, folded)
		q.and(field.shown+oneOfList, shown)
		return
	}
	addresses := []string{}
	for item := range strings.SplitSeq(value, ",") {
		if address, err := ParseAddress(trim(item)); err == nil {
			addresses = append(addresses, address.Canonical)
		}
	}
	q.and("f.user_id IN ("+field.owner+oneOfList+")", list(addresses))
}

// items are the values of a list, as store.Fold and as store.Normal make them, for oneOfList.
func items(value string) (folded, shown string) {
	f, n := []string{}, []string{}
	for item := range strings.SplitSeq(value, ",") {
		if item = trim(item); item != "" {
			f, n = append(f, store.Fold(item)), append(n, store.Normal(item))
		}
	}
	return list(f), list(n)
}

func list(items []string) string {
	encoded, err := json.Marshal(items)
	if err != nil {
		panic("list: " + err.Error()) // strings always encode
	}
	return string(encoded)
}

// switches lets SQLite use the index of at most one, the first, if nothing else finds users and few have its value. A +
// keeps it from the others, between which it could not choose.
func (q *filtered) switches(conditions []string) {
	for i, condition := range conditions {
		if q.found || q.match != "" || i > 0 {
			condition = "+" + condition
		}
		q.and(condition)
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
	if q.lead != nil {
		from, id = "user_fields v CROSS JOIN user_search f ON f.user_id = v.user_id", "v.user_id"
		where, args = append(where, q.lead.where), append(args, q.lead.args...)
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
