package accounts

import "slices"

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

// FilterKind is what the values of a field are, for a filter.
type FilterKind int

// The kinds of filters. A text's value is a string, an address's too, a switch's a bool.
const (
	TextFilter FilterKind = iota
	AddressFilter
	SwitchFilter
)

// FilterField is a field that users can be filtered by, and where its values are.
type FilterField struct {
	Kind FilterKind

	// folded is the value as store.Fold makes it, or the switch: an expression over user_search f.
	folded string

	// substrings is the column of user_substrings with the same text; "": none, so that substrings are looked for row
	// by row.
	substrings string

	// shown is the value as store.Normal makes it, of a TextFilter.
	shown string

	// owner is a query, to be completed by what a canonical address is compared with, for the id of an AddressFilter's
	// user.
	owner string

	// usual is the value that most users have, of a SwitchFilter: the other one is worth an index.
	usual bool
}

// FilterFields are the fields that users can be filtered by, by their names in settings.
func FilterFields() map[string]FilterField {
	return map[string]FilterField{
		"username": {
			Kind: TextFilter, folded: "f.username", substrings: "username",
			shown: "(SELECT normal(coalesce(u.username, p.address)) FROM users u JOIN addresses p ON p.canonical = u.email WHERE u.id = f.user_id)",
		},
		"first_name": {
			Kind: TextFilter, folded: "f.first_name", substrings: "first_name",
			shown: "(SELECT normal(u.first_name) FROM users u WHERE u.id = f.user_id)",
		},
		"last_name": {
			Kind: TextFilter, folded: "f.last_name", substrings: "last_name",
			shown: "(SELECT normal(u.last_name) FROM users u WHERE u.id = f.user_id)",
		},
		"email": {
			Kind: AddressFilter, folded: "f.email", substrings: "email", owner: "SELECT u.id FROM users u WHERE u.email",
		},
		"status__secondary_email": {
			Kind: AddressFilter, folded: "f.secondary_email", substrings: "secondary_email",
			owner: "SELECT s.user_id FROM user_status s WHERE s.secondary_email",
		},
		"is_active":        {Kind: SwitchFilter, folded: "f.is_active", usual: true},
		"is_staff":         {Kind: SwitchFilter, folded: "f.is_staff"},
		"status__verified": {Kind: SwitchFilter, folded: "f.verified", usual: true},
		"status__archived": {Kind: SwitchFilter, folded: "f.archived"},
	}
}

// Lookups are the ones that fit the field.
func (f FilterField) Lookups() []Lookup {
	if f.Kind == SwitchFilter {
		return []Lookup{Exact}
	}
	return []Lookup{Exact, IExact, Contains, IContains, StartsWith, IStartsWith, In}
}

// Filter is one condition on the users of a query. A text is trimmed, and "" is no condition.
type Filter struct {
	Field  string // of FilterFields
	Lookup Lookup // one of the field's
	Value  any    // string, or bool of a SwitchFilter
}

// field is the filter's field; a filter that has none, or whose value does not fit it, is a programmer's mistake.
func (f Filter) field() FilterField {
	field, ok := FilterFields()[f.Field]
	_, isSwitch := f.Value.(bool)
	if !ok || !slices.Contains(field.Lookups(), f.Lookup) || isSwitch != (field.Kind == SwitchFilter) {
		panic("accounts: no filter " + f.Field + " " + string(f.Lookup))
	}
	return field
}
