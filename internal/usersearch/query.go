package usersearch

import (
	"encoding/json"
	"slices"
	"strings"

	"accountd/internal/store"
)

// Query finds the users that meet all conditions, by SQL over user_search f. Use it in one transaction only.
type Query struct {
	where  []string // conditions
	args   []any    // arguments of where
	ways   []way    // indexes that weigh chooses from
	taken  way      // the chosen index; zero: none
	found  bool     // where has a condition that an index answers, so no other index is needed
	single bool     // that condition finds at most one user
	count  int      // number of conditions
	none   bool     // no user can match
}

// way is an index that finds the users of one condition.
type way struct {
	from, id, where string   // table, the user's id in it, and the condition on its rows
	args            []any    // arguments of where, and of check
	unordered       bool     // rows are not in the order of ids, so they are sorted; only for few users
	check           string   // the condition on a user f, if another way is taken; "": Query.where has it
	index           string   // full-text index, of which args is to be the rarest of trigrams; "": args is complete
	trigrams        []string // full-text queries
}

// New returns the query for the users that meet all conditions.
func New(conditions []Condition) *Query {
	q := &Query{count: len(conditions)}
	for _, c := range conditions {
		items, _ := c.Value.([]string)
		text, _ := c.Value.(string)
		whole := c.Lookup == Exact || c.Lookup == IExact
		switch {
		case c.Field.kind == boolean:
			q.flag(c.Field, c.Value.(bool))
		case c.Field.kind == configured:
			q.value(c.Field, "v.value = ? AND typeof(v.value) IN ("+c.Field.stored+")", c.Value)
		case c.Lookup == In:
			q.oneOf(c.Field, items)
		case whole && c.Field.values == "":
			q.found, q.single = true, q.single || c.Field.unique
			q.and(c.Field.folded+" <> '' AND "+c.Field.folded+" = ?", store.Fold(text)) // for partial indexes
			if c.Lookup == Exact {
				q.and(c.Field.shown+" = ?", store.Normal(text))
			}
		case c.Lookup == Exact:
			q.value(c.Field, "v.folded = ? AND "+normalValue+" = ?", store.Fold(text), store.Normal(text))
		case c.Lookup == IExact:
			q.value(c.Field, "v.folded = ?", store.Fold(text))
		default:
			q.part(c.Field, c.Lookup, text)
		}
	}
	return q
}

// None reports whether no user can match.
func (q *Query) None() bool { return q.none }

// All reports whether there are no conditions.
func (q *Query) All() bool { return q.count == 0 }

// Single reports whether an index finds at most one user.
func (q *Query) Single() bool { return q.single }

func (q *Query) and(condition string, args ...any) {
	q.where, q.args = append(q.where, condition), append(q.args, args...)
}

// flag adds a condition on a switch. The + keeps SQLite from using the index: weigh decides that.
func (q *Query) flag(field Field, value bool) {
	condition := field.folded + map[bool]string{true: " = 1", false: " = 0"}[value]
	if slices.Contains(field.indexed, value) {
		q.ways = append(q.ways, way{from: "user_search f", id: "f.user_id", where: condition, check: "+" + condition})
	} else {
		q.and(condition)
	}
}

// value adds a condition on the row of user_fields v of a configured field.
func (q *Query) value(field Field, condition string, args ...any) {
	w := way{from: "user_fields v", id: "v.user_id", where: field.values + " AND " + condition, args: args}
	w.check = "EXISTS (SELECT 1 FROM user_fields v WHERE v.user_id = f.user_id AND " + w.where + ")"
	if strings.Contains(condition, oneOfList) {
		w.id, w.unordered = "+"+w.id, true
	}
	q.ways = append(q.ways, w)
}

// oneOfList follows a column or an expression. Its argument is a list in JSON.
const oneOfList = " IN (SELECT value FROM json_each(?))"

// oneOf adds the condition that a text is one of a list.
func (q *Query) oneOf(field Field, items []string) {
	q.none = q.none || len(items) == 0
	folded, shown := list(changed(items, store.Fold)), list(changed(items, store.Normal))
	switch {
	case field.values != "":
		q.value(field, "v.folded"+oneOfList+" AND "+normalValue+oneOfList, folded, shown)
		return
	case field.kind == address && len(items) == 1:
		q.single = true
		q.and("f.user_id = (SELECT "+field.id+" FROM "+field.table+" WHERE "+field.column+" = ?)", items[0])
	case field.kind == address:
		q.and("f.user_id IN (SELECT "+field.id+" FROM "+field.table+" WHERE "+field.column+oneOfList+")", list(items))
	default:
		q.and(field.folded+" <> '' AND "+field.folded+oneOfList, folded)
		q.and(field.shown+oneOfList, shown)
	}
	q.found = true
}

// list returns texts in JSON, as the argument of json_each.
func list(texts []string) string {
	encoded, err := json.Marshal(texts)
	if err != nil {
		panic("list: " + err.Error()) // strings always encode
	}
	return string(encoded)
}

func changed(texts []string, change func(string) string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = change(text)
	}
	return all
}

// part adds the condition that a text contains a part or starts with it.
func (q *Query) part(field Field, lookup Lookup, part string) {
	folded, begins := store.Fold(part), lookup == StartsWith || lookup == IStartsWith
	at := "> 0"
	if begins {
		at = "= 1"
	}
	q.and("instr("+field.folded+", ?) "+at, folded)
	if field.kind == text && (lookup == Contains || lookup == StartsWith) {
		q.and("instr("+field.shown+", ?) "+at, store.Normal(part))
	}
	if field.trigrams == "" {
		return
	}
	if begins {
		q.ways = append(q.ways, field.beginning(folded))
		folded = mark + folded
	}
	if found := trigrams(folded); found != nil {
		q.ways = append(q.ways, way{
			from: field.trigrams + " x", id: "x.rowid", where: "x." + field.trigrams + " MATCH ?",
			index: field.trigrams, trigrams: found,
		})
	}
}

// beginning returns the index of texts in order, as a way to those that start with a folded text. Addresses are in
// order by their canonical form, which is the same as the folded one up to the @.
func (f Field) beginning(folded string) way {
	if local, _, found := strings.Cut(folded, "@"); found && f.kind == address {
		folded = local + "@"
	}
	return way{
		from: f.table, id: "+" + f.id, unordered: true,
		where: f.column + " <> '' AND " + f.column + " >= ? AND " + f.column + " < ?",
		args:  []any{folded, folded + "\xff"}, // UTF-8 never has this byte
	}
}
