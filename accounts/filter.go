package accounts

import (
	"slices"
	"time"

	"accountd/internal/store"
)

// Lookup is how a filter compares a field with its value.
type Lookup string

// The lookups. Texts are compared in NFKC, and without case by Unicode's full folding; addresses never with case.
const (
	Exact       Lookup = "exact"
	IExact      Lookup = "iexact"
	Contains    Lookup = "contains"
	IContains   Lookup = "icontains"
	StartsWith  Lookup = "startswith"
	IStartsWith Lookup = "istartswith"
	In          Lookup = "in" // one of a list, separated by commas
)

// whole reports whether a lookup compares whole texts, so that an index finds them.
func (l Lookup) whole() bool { return l == Exact || l == IExact || l == In }

type filterKind int

const (
	textFilter filterKind = iota
	addressFilter
	switchFilter
	valueFilter // of a configured field that is no text
)

// FilterField is a field that users can be filtered by, and where its values are.
type FilterField struct {
	Type FieldType // of what it is compared with

	kind filterKind

	// folded is the value as store.Fold makes it, or the switch: an expression over user_search f.
	folded string

	// substrings is where the index of substrings has the same text; nil: nowhere, so that they are looked for row by row.
	substrings *store.SearchColumn

	// shown is the value as store.Normal makes it, of a textFilter.
	shown string

	// owner is a query, to be completed by what a canonical address is compared with, for the id of an addressFilter's
	// user.
	owner string

	// values is a condition for the rows of user_fields v that are the field's; "": it is not a configured one.
	values string

	// stored are the types that SQLite gives to a valueFilter's values; read shows no other.
	stored string

	// unique says that no two users have the same text.
	unique bool

	// usual is the value that most users have, of a switchFilter: the other one is worth an index.
	usual bool

	// common says of a configured field that many users have the same value.
	common bool
}

// FilterFields are the fields that users can be filtered by, by their names in settings: built-in ones and those of the
// configured ones that are public, since a filter tells what it looks at.
func (s Settings) FilterFields() map[string]FilterField {
	fields := map[string]FilterField{
		"username": {
			Type: String, kind: textFilter, folded: "f.username", substrings: new(store.SearchUsername), unique: true,
			shown: "(SELECT normal(coalesce(u.username, p.address)) FROM users u JOIN addresses p ON p.canonical = u.email WHERE u.id = f.user_id)",
		},
		"first_name": {
			Type: String, kind: textFilter, folded: "f.first_name", substrings: new(store.SearchFirstName),
			shown: "(SELECT normal(u.first_name) FROM users u WHERE u.id = f.user_id)",
		},
		"last_name": {
			Type: String, kind: textFilter, folded: "f.last_name", substrings: new(store.SearchLastName),
			shown: "(SELECT normal(u.last_name) FROM users u WHERE u.id = f.user_id)",
		},
		"email": {
			Type: String, kind: addressFilter, folded: "f.email", substrings: new(store.SearchEmail), unique: true,
			owner: "SELECT u.id FROM users u WHERE u.email",
		},
		"status__secondary_email": {
			Type: String, kind: addressFilter, folded: "f.secondary_email", substrings: new(store.SearchSecondaryEmail), unique: true,
			owner: "SELECT s.user_id FROM user_status s WHERE s.secondary_email",
		},
		"is_active":        {Type: Boolean, kind: switchFilter, folded: "f.is_active", usual: true},
		"is_staff":         {Type: Boolean, kind: switchFilter, folded: "f.is_staff"},
		"status__verified": {Type: Boolean, kind: switchFilter, folded: "f.verified", usual: true},
		"status__archived": {Type: Boolean, kind: switchFilter, folded: "f.archived"},
	}
	for _, f := range s.Fields {
		if f.Public {
			fields[f.Name] = f.filter()
		}
	}
	return fields
}

// filter is how users are filtered by a configured field.
func (f Field) filter() FilterField {
	out := FilterField{Type: f.Type, kind: valueFilter, values: "v.name = " + f.literal(), common: f.Type == Boolean || len(f.Choices) > 0}
	switch f.Type {
	case String:
		const of, where = "(SELECT ", " FROM user_fields v WHERE v.user_id = f.user_id AND "
		out.kind = textFilter
		out.folded, out.shown = of+"v.folded"+where+out.values+")", of+normalValue+where+out.values+")"
	case Float:
		out.stored = "'real', 'integer'"
	default:
		out.stored = "'integer'"
	}
	return out
}

// Lookups are the ones that fit the field.
func (f FilterField) Lookups() []Lookup {
	if f.Type != String {
		return []Lookup{Exact}
	}
	return []Lookup{Exact, IExact, Contains, IContains, StartsWith, IStartsWith, In}
}

// takes reports whether a filter by the field can have this value.
func (f FilterField) takes(value any) bool {
	switch value.(type) {
	case string:
		return f.Type == String
	case bool:
		return f.Type == Boolean
	case int:
		return f.Type == Int
	case float64:
		return f.Type == Float
	case time.Time:
		return f.Type == DateTime
	}
	return false
}

// FilterArgument is the name that a filter has in the API: status_SecondaryEmail_Icontains.
func FilterArgument(field string, lookup Lookup) string {
	if lookup != Exact {
		field += "__" + string(lookup)
	}
	return ArgumentName(field)
}

// Filter is one condition on the users of a query. A text is trimmed, and "" is no condition.
type Filter struct {
	Field  string // of Settings.FilterFields
	Lookup Lookup // one of the field's
	Value  any    // as the field's Type has it: string, bool, int, float64 or time.Time
}

// filterField is the field of a filter; a filter that has none, or whose value does not fit it, is a programmer's
// mistake.
func (s *Service) filterField(f Filter) FilterField {
	field, ok := s.filters[f.Field]
	if !ok || !slices.Contains(field.Lookups(), f.Lookup) || !field.takes(f.Value) {
		panic("accounts: no filter " + f.Field + " " + string(f.Lookup))
	}
	return field
}
