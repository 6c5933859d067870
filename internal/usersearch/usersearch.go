// Package usersearch finds users by filters: texts, addresses, switches and configured fields.
//
// It reads the table user_search, which holds the texts in NFKC without case, the full-text indexes of trigrams
// search_username, search_email and so on over it, and the table user_fields. Triggers keep all of them up to date;
// internal/store has these and the SQL functions that they call.
//
// An index only says where to look: each condition is checked on the row itself, so a search is exact. A part of one or
// two letters has no trigram, so it is looked for user by user. What a client sent reaches SQL as an argument, never as
// text.
//
// The caller decides who may search, by which fields, and what is read of the users that are found.
package usersearch

import "strings"

// Lookup is how a condition compares a field with its value.
type Lookup string

// The lookups. Texts are compared in NFKC, and without case by Unicode's full folding; addresses never with case.
const (
	Exact       Lookup = "exact"
	IExact      Lookup = "iexact"
	Contains    Lookup = "contains"
	IContains   Lookup = "icontains"
	StartsWith  Lookup = "startswith"
	IStartsWith Lookup = "istartswith"
	In          Lookup = "in" // one of a list
)

type kind int

const (
	text       kind = iota
	address         // a text that has a canonical form
	boolean         // a switch
	configured      // a configured field that has no texts
)

// Field is a field that users can be searched by, and where its values are.
type Field struct {
	kind kind

	// folded is the value as store.Fold makes it, or the switch: an expression over user_search f.
	folded string

	// shown is the value as store.Normal makes it, of a text.
	shown string

	// trigrams is the full-text index of the folded text; "": there is none.
	trigrams string

	// table, id and column are where an index has the texts, or the canonical addresses, in their order.
	table, id, column string

	// values is a condition for the rows of user_fields v that are the field's; "": it is not a configured one.
	values string

	// stored are the types that SQLite gives to the values of a configured field; no other is found.
	stored string

	// unique says that no two users have the same text.
	unique bool

	// indexed are the values of a switch that an index finds.
	indexed []bool
}

// The fields that every user has.
var (
	Username = Field{
		kind: text, unique: true, folded: "f.username", trigrams: "search_username",
		table: "user_search k", id: "k.user_id", column: "k.username",
		shown: "(SELECT normal(coalesce(u.username, p.address)) FROM users u JOIN addresses p ON p.canonical = u.email" +
			" WHERE u.id = f.user_id)",
	}
	FirstName = Field{
		kind: text, folded: "f.first_name", trigrams: "search_first_name",
		table: "user_search k", id: "k.user_id", column: "k.first_name",
		shown: "(SELECT normal(u.first_name) FROM users u WHERE u.id = f.user_id)",
	}
	LastName = Field{
		kind: text, folded: "f.last_name", trigrams: "search_last_name",
		table: "user_search k", id: "k.user_id", column: "k.last_name",
		shown: "(SELECT normal(u.last_name) FROM users u WHERE u.id = f.user_id)",
	}
	Email = Field{
		kind: address, folded: "f.email", trigrams: "search_email",
		table: "users k", id: "k.id", column: "k.email",
	}
	SecondaryEmail = Field{
		kind: address, folded: "f.secondary_email", trigrams: "search_secondary_email",
		table: "user_status k", id: "k.user_id", column: "k.secondary_email",
	}
	Active   = Field{kind: boolean, folded: "f.is_active", indexed: []bool{false}}
	Staff    = Field{kind: boolean, folded: "f.is_staff", indexed: []bool{true}}
	Verified = Field{kind: boolean, folded: "f.verified", indexed: []bool{false, true}}
	Archived = Field{kind: boolean, folded: "f.archived", indexed: []bool{true}}
)

// normalValue is the value of a row of user_fields v as store.Normal makes it, NULL for one that is no text.
const normalValue = "iif(typeof(v.value) = 'text', normal(v.value), NULL)"

// ConfiguredText is a field of a site's own that has texts.
func ConfiguredText(name string) Field {
	const of, where = "(SELECT ", " FROM user_fields v WHERE v.user_id = f.user_id AND "
	f := Field{kind: text, values: named(name)}
	f.folded, f.shown = of+"v.folded"+where+f.values+")", of+normalValue+where+f.values+")"
	return f
}

// ConfiguredValue is a field of a site's own that has no texts. A value is found if its type in SQLite is one of
// stored: integer, real.
func ConfiguredValue(name string, stored ...string) Field {
	return Field{kind: configured, values: named(name), stored: "'" + strings.Join(stored, "', '") + "'"}
}

// named is the condition that a row of user_fields v is the field's.
func named(name string) string { return "v.name = '" + strings.ReplaceAll(name, "'", "''") + "'" }

// Address reports whether the field has email addresses.
func (f Field) Address() bool { return f.kind == address }

// Condition is one condition on users.
type Condition struct {
	Field  Field
	Lookup Lookup

	// Value is a []string for In and for whole addresses, these in their canonical form; otherwise a text, not empty
	// and without NUL; a bool for a switch; and for a configured field that has no texts what user_fields stores.
	Value any
}
