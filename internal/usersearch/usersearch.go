// Package usersearch finds users by filters: texts, addresses, switches and configured fields.
//
// What it searches are the table user_search, which holds the texts in NFKC without case, the full-text index
// user_substrings over it, and the table user_fields. Triggers keep all of them; internal/store has these and the SQL
// functions that they call. An index only says where to look: each condition is checked on the row itself, so a search
// is exact. What a client sent reaches SQL as an argument, never as text.
//
// The caller decides who may search, by which fields, and what is read of a user who is found.
package usersearch

import (
	"strings"

	"accountd/internal/store"
)

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

// whole reports whether a lookup compares whole texts, so that an index finds them.
func (l Lookup) whole() bool { return l == Exact || l == IExact || l == In }

type kind int

const (
	text kind = iota
	address
	boolean
	configured // and no text
)

// Field is a field that users can be searched by, and where its values are.
type Field struct {
	kind kind

	// folded is the value as store.Fold makes it, or the switch: an expression over user_search f.
	folded string

	// substrings is where the index of substrings has the same text; nil: nowhere, so that they are looked for row by row.
	substrings *store.SearchColumn

	// shown is the value as store.Normal makes it, of a text.
	shown string

	// owner is a query, to be completed by what a canonical address is compared with, for the id of an address's user.
	owner string

	// values is a condition for the rows of user_fields v that are the field's; "": it is not a configured one.
	values string

	// stored are the types that SQLite gives to a configured field's values, if it is no text; no other is found.
	stored string

	// unique says that no two users have the same text.
	unique bool

	// usual is the value that most users have, of a switch: the other one is worth an index.
	usual bool

	// common says of a configured field that many users have the same value.
	common bool
}

// The fields that every user has.
var (
	Username = Field{
		kind: text, folded: "f.username", substrings: new(store.SearchUsername), unique: true,
		shown: "(SELECT normal(coalesce(u.username, p.address)) FROM users u JOIN addresses p ON p.canonical = u.email" +
			" WHERE u.id = f.user_id)",
	}
	FirstName = Field{
		kind: text, folded: "f.first_name", substrings: new(store.SearchFirstName),
		shown: "(SELECT normal(u.first_name) FROM users u WHERE u.id = f.user_id)",
	}
	LastName = Field{
		kind: text, folded: "f.last_name", substrings: new(store.SearchLastName),
		shown: "(SELECT normal(u.last_name) FROM users u WHERE u.id = f.user_id)",
	}
	Email = Field{
		kind: address, folded: "f.email", substrings: new(store.SearchEmail), unique: true,
		owner: "SELECT u.id FROM users u WHERE u.email",
	}
	SecondaryEmail = Field{
		kind: address, folded: "f.secondary_email", substrings: new(store.SearchSecondaryEmail), unique: true,
		owner: "SELECT s.user_id FROM user_status s WHERE s.secondary_email",
	}
	Active   = Field{kind: boolean, folded: "f.is_active", usual: true}
	Staff    = Field{kind: boolean, folded: "f.is_staff"}
	Verified = Field{kind: boolean, folded: "f.verified", usual: true}
	Archived = Field{kind: boolean, folded: "f.archived"}
)

// normalValue is the value of a row of user_fields v as store.Normal makes it, NULL for one that is no text.
const normalValue = "iif(typeof(v.value) = 'text', normal(v.value), NULL)"

// ConfiguredText is a field of a site's own that has texts. common says that many users may have the same one.
func ConfiguredText(name string, common bool) Field {
	const of, where = "(SELECT ", " FROM user_fields v WHERE v.user_id = f.user_id AND "
	f := Field{kind: text, values: named(name), common: common}
	f.folded, f.shown = of+"v.folded"+where+f.values+")", of+normalValue+where+f.values+")"
	return f
}

// ConfiguredValue is a field of a site's own that has no texts. A value is found if its type in SQLite is one of stored:
// integer, real.
func ConfiguredValue(name string, common bool, stored ...string) Field {
	return Field{kind: configured, values: named(name), common: common, stored: "'" + strings.Join(stored, "', '") + "'"}
}

// named is the condition that a row of user_fields v is the field's.
func named(name string) string { return "v.name = '" + strings.ReplaceAll(name, "'", "''") + "'" }

// Address reports whether the field has email addresses.
func (f Field) Address() bool { return f.kind == address }

// Condition is one condition on users.
type Condition struct {
	Field  Field
	Lookup Lookup

	// Value is a []string for In and for whole addresses, in their canonical form; otherwise a text, not empty and without
	// NUL; a bool for a switch; and for a configured field that has no texts what user_fields stores.
	Value any
}
