// Package usersearch finds users by conditions on texts, addresses, switches and configured fields.
//
// It reads the table user_search, which holds the texts in NFKC without case, one full-text index of trigrams for
// each text (search_username and so on), and the table user_fields. Triggers keep them up to date; the triggers and
// their SQL functions are in internal/store.
//
// An index only narrows the search: every condition is checked on the row itself, so a search is exact. A part of one
// or two letters has no trigram, so it is searched user by user. Values from clients reach SQL as arguments, never as
// text.
//
// The caller decides who may search, by which fields, and which columns of the users are read.
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

// Field is a field that users can be searched by.
type Field struct {
	kind   kind
	folded string // SQL for the value of user_search f: a text as store.Fold makes it, or a switch
	shown  string // SQL for the text as store.Normal makes it

	trigrams          string // full-text index of the folded text; "": none
	table, id, column string // where an index has the texts or canonical addresses in order, and the user's id

	values string // condition on the rows of user_fields v of a configured field; "": not a configured field
	stored string // types in SQLite of the values of a configured field

	unique  bool   // two users never have the same text
	indexed []bool // values of a switch that have an index
}

// The fields that every user has.
var (
	Username = Field{
		kind: text, unique: true, folded: "f.username", trigrams: "search_username",
		table: "user_search k", id: "k.user_id", column: "k.username",
		shown: "(SELECT normal(coalesce(u.username, p.address)) FROM users u" +
			" JOIN addresses p ON p.canonical = u.email WHERE u.id = f.user_id)",
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

// normalValue is the value of a row of user_fields v in NFKC; NULL if it is not a text.
const normalValue = "iif(typeof(v.value) = 'text', normal(v.value), NULL)"

// ConfiguredText returns a configured field of texts.
func ConfiguredText(name string) Field {
	const of, where = "(SELECT ", " FROM user_fields v WHERE v.user_id = f.user_id AND "
	f := Field{kind: text, values: named(name)}
	f.folded, f.shown = of+"v.folded"+where+f.values+")", of+normalValue+where+f.values+")"
	return f
}

// ConfiguredValue returns a configured field of other values. A value is found only if its type in SQLite is one of
// stored: integer, real.
func ConfiguredValue(name string, stored ...string) Field {
	return Field{kind: configured, values: named(name), stored: "'" + strings.Join(stored, "', '") + "'"}
}

// named returns the condition that a row of user_fields v belongs to a field.
func named(name string) string { return "v.name = '" + strings.ReplaceAll(name, "'", "''") + "'" }

// Address reports whether the field has email addresses.
func (f Field) Address() bool { return f.kind == address }

// Condition is one condition on users.
type Condition struct {
	Field  Field
	Lookup Lookup

	// Value is a []string for In, and for whole addresses, which are in their canonical form. Otherwise it is a text
	// without NUL that is not empty, a bool for a switch, or the value that user_fields stores.
	Value any
}
