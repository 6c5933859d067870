package accounts

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"accountd/internal/store"
)

// filtered is the users that filters leave, as SQL over user_search f. What a client sent is in args only.
type filtered struct {
	words   []string // of user_substrings, that all of them have
	common  *commonWords
	rarest  string          // of words, if it may do alone; "": that is decided
	match   string          // what user_substrings is asked for next; "": it is of no use
	lead    *valueCondition // whose index leads to the users; nil: none
	where   []string        // all have to hold
	args    []any           // of where
	found   bool            // lead or where says which rows, by an index or one by one, so that no other index is wanted
	rare    []string        // switches with the value that few users have, the one whose index may be used first
	usual   []string        // the other switches
	single  bool            // one user fits at most, whom an index finds
	filters int
	none    bool // nobody can match
}

// filter adds one condition each. It fails with *UsageError for a value that nobody may ask for.
func (s *Service) filter(list []Filter) (*filtered, error) {
	q := &filtered{common: &s.common}
	var values []valueCondition // of configured fields
	for _, f := range list {
		field := s.filterField(f)
		switch field.kind {
		case switchFilter:
			condition := field.folded + map[any]string{true: " = 1", false: " = 0"}[f.Value]
			if f.Value != field.usual {
				q.rare = append(q.rare, condition)
			} else {
				q.usual = append(q.usual, condition)
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
	q.match = allOf(q.words)
	q.choose(values)
	return q, nil
}

func (q *filtered) and(condition string, args ...any) {
	q.where, q.args = append(q.where, condition), append(q.args, args...)
}

// choose decides which index leads to the users, if where has none: the one of a configured field that tells them apart,
// the one of substrings, the one of a rare switch, the one of any other configured field.
func (q *filtered) choose(values []valueCondition) {
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

func (q *filtered) text(lookup Lookup, field FilterField, value string) {
	switch lookup {
	case In:
		q.oneOf(field, value)
		return
	case Exact, IExact:
		q.found, q.single = true, q.single || field.unique
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
	folded, begins := store.Fold(value), lookup == StartsWith || lookup == IStartsWith
	at := "> 0"
	if begins {
		at = "= 1"
	}
	q.and("instr("+field.folded+", ?) "+at, folded)
	if field.kind == textFilter && (lookup == Contains || lookup == StartsWith) {
		q.and("instr("+field.shown+", ?) "+at, store.Normal(value))
	}
	if field.substrings != nil {
		q.words = append(q.words, store.Substring(*field.substrings, folded, begins)...)
	}
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

// fewUsers is how many users with the value of a switch are looked at one by one, whatever the other filters are.
const fewUsers = 500

// weigh has the switch that the fewest users have lead to them, if these are few, rather than the index of substrings or another
// switch: between filters of which each leaves many there is no telling. Of the index of substrings it has the rarest words lead.
func (q *filtered) weigh(ctx context.Context, tx *store.Tx) error {
	if err := q.weighSwitches(ctx, tx); err != nil {
		return err
	}
	return q.weighWords(ctx, tx)
}

func (q *filtered) weighSwitches(ctx context.Context, tx *store.Tx) error {
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
func (q *filtered) switches() (conditions []string) {
	for i, condition := range slices.Concat(q.rare, q.usual) {
		if q.found || q.match != "" || i > 0 {
			condition = "+" + condition
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

// stretch is a part of a list by ids: the first ones after one id and before another or, with descending, the last, in the
// opposite order. Of these, limit after the first offset.
type stretch struct {
	after, before int64
	descending    bool
	limit, offset int
}

// selectIDs is the query for the ids of a stretch.
func (q *filtered) selectIDs(part stretch) (query string, args []any) {
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
	args = append(append(append(args, part.after, part.before), q.args...), part.limit, part.offset)
	query = "SELECT f.user_id FROM " + from + " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + id
	if part.descending {
		query += " DESC"
	}
	return query + " LIMIT ? OFFSET ?", args
}

// row runs a query of one row. Those with one filter are few and are prepared once; the many combinations of several are
// not kept.
func (q *filtered) row(ctx context.Context, tx *store.Tx, text string, args []any) *store.Row {
	if q.filters <= 1 {
		return tx.QueryRowContext(ctx, text, args...)
	}
	return tx.Tx.QueryRowContext(ctx, text, args...)
}

// nth is the id of the user at offset after one; 0 where there is none.
func (q *filtered) nth(ctx context.Context, tx *store.Tx, after int64, offset int) (id int64, err error) {
	part := stretch{after: after, before: noEnd, limit: 1, offset: offset}
	if err := q.narrow(ctx, tx, part); err != nil {
		return 0, err
	}
	text, args := q.selectIDs(part)
	if err := q.row(ctx, tx, text, args).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("look for users: %w", err)
	}
	return id, nil
}

// filteredUsers are the users of a stretch, in the order of their ids, as readShown reads them. others tells whether there is
// anybody in another stretch; nil: it is not asked. One row has it all, because the driver interrupts nothing but the step to
// the first.
func (s *Service) filteredUsers(ctx context.Context, tx *store.Tx, q *filtered, part stretch, other *stretch) (users []*User, others bool, err error) {
	if err := q.narrow(ctx, tx, part); err != nil {
		return nil, false, err
	}
	if other != nil && q.match == q.rarest {
		if err := q.narrow(ctx, tx, *other); err != nil {
			return nil, false, err
		}
	}
	ids, args := q.selectIDs(part)
	beyond := "NULL"
	if other != nil {
		id, more := q.selectIDs(*other)
		beyond, args = "("+id+")", append(args, more...)
	}
	text := "WITH page (id) AS (" + ids + ") SELECT (SELECT json_group_array(" + s.users.shown +
		") FROM page CROSS JOIN users u ON u.id = page.id" + besideUser + "), " + beyond
	var list string
	var id sql.NullInt64
	if err = q.row(ctx, tx, text, args).Scan(&list, &id); err == nil {
		users, err = s.readUsers(list)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list users: %w", err)
	}
	return users, id.Valid, nil
}
