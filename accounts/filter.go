package accounts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"accountd/internal/usersearch"
)

// Lookup is how a filter compares a field with its value. The list that In takes is separated by commas.
type Lookup = usersearch.Lookup

// The lookups.
const (
	Exact       = usersearch.Exact
	IExact      = usersearch.IExact
	Contains    = usersearch.Contains
	IContains   = usersearch.IContains
	StartsWith  = usersearch.StartsWith
	IStartsWith = usersearch.IStartsWith
	In          = usersearch.In
)

// FilterField is a field that users can be filtered by.
type FilterField struct {
	Type FieldType // of what it is compared with

	field usersearch.Field
}

// FilterFields are the fields that users can be filtered by, by their names in settings: built-in ones and those of the
// configured ones that are public, since a filter tells what it looks at.
func (s Settings) FilterFields() map[string]FilterField {
	fields := map[string]FilterField{
		"username":                {String, usersearch.Username},
		"first_name":              {String, usersearch.FirstName},
		"last_name":               {String, usersearch.LastName},
		"email":                   {String, usersearch.Email},
		"status__secondary_email": {String, usersearch.SecondaryEmail},
		"is_active":               {Boolean, usersearch.Active},
		"is_staff":                {Boolean, usersearch.Staff},
		"status__verified":        {Boolean, usersearch.Verified},
		"status__archived":        {Boolean, usersearch.Archived},
	}
	for _, f := range s.Fields {
		if f.Public {
			fields[f.Name] = FilterField{f.Type, f.search()}
		}
	}
	return fields
}

// search is how users are searched by a configured field. Values of a type that read does not show are not found.
func (f Field) search() usersearch.Field {
	switch f.Type {
	case String:
		return usersearch.ConfiguredText(f.Name)
	case Float:
		return usersearch.ConfiguredValue(f.Name, "real", "integer")
	default:
		return usersearch.ConfiguredValue(f.Name, "integer")
	}
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

// maxIn is how many values one filter may list.
const maxIn = 100

// search is the query for the users that filters leave. It fails with *UsageError for a value that nobody may ask for. A
// filter that has no field, or whose value does not fit it, is a programmer's mistake.
func (s *Service) search(filters []Filter) (*usersearch.Query, error) {
	var conditions []usersearch.Condition
	for _, f := range filters {
		field, ok := s.filters[f.Field]
		if !ok || !slices.Contains(field.Lookups(), f.Lookup) || !field.takes(f.Value) {
			panic("accounts: no filter " + f.Field + " " + string(f.Lookup))
		}
		text, isText := f.Value.(string)
		if !isText {
			conditions = append(conditions, usersearch.Condition{Field: field.field, Lookup: f.Lookup, Value: stored(f.Value)})
			continue
		}
		if text = trim(text); text == "" {
			continue
		}
		c := usersearch.Condition{Field: field.field, Lookup: f.Lookup, Value: text}
		switch {
		case f.Lookup == In:
			items := strings.Split(text, ",")
			if len(items) > maxIn {
				return nil, &UsageError{fmt.Sprintf("A filter by %s takes at most %d values, not %d.", f.Field, maxIn, len(items))}
			}
			c.Value = field.items(items)
		case field.field.Address() && (f.Lookup == Exact || f.Lookup == IExact):
			c.Lookup, c.Value = In, field.items([]string{text})
		}
		if strings.ContainsRune(text, 0) {
			c.Lookup, c.Value = In, []string{} // no text has one
		}
		conditions = append(conditions, c)
	}
	return usersearch.New(conditions), nil
}

// items are the values of a list that can be somebody's, as a search takes them.
func (f FilterField) items(list []string) []string {
	items := []string{}
	for _, item := range list {
		item = trim(item)
		if f.field.Address() {
			address, err := ParseAddress(item)
			if err != nil {
				continue
			}
			item = address.Canonical
		}
		if item != "" {
			items = append(items, item)
		}
	}
	return items
}
