package accounts

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"accountd/internal/usersearch"
)

// Lookup is how a filter compares a field with its value. The value of In is a list that is separated by commas.
type Lookup = usersearch.Lookup

// FilterField is a field by which users can be filtered.
type FilterField struct {
	Type FieldType // of the filter's value

	field usersearch.Field
}

// FilterFields returns the fields by which users can be filtered, by their names in settings: built-in ones, and public
// configured ones. Filters by others would reveal their values.
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
		if !f.Public {
			continue
		}
		field := usersearch.ConfiguredValue(f.Name, "integer") // values that Field.read does not return are not found
		switch f.Type {
		case String:
			field = usersearch.ConfiguredText(f.Name)
		case Float:
			field = usersearch.ConfiguredValue(f.Name, "real", "integer")
		}
		fields[f.Name] = FilterField{f.Type, field}
	}
	return fields
}

// Lookups returns the lookups that fit the field.
func (f FilterField) Lookups() []Lookup {
	if f.Type != String {
		return []Lookup{usersearch.Exact}
	}
	return []Lookup{
		usersearch.Exact, usersearch.IExact, usersearch.Contains, usersearch.IContains, usersearch.StartsWith,
		usersearch.IStartsWith, usersearch.In,
	}
}

// FilterArgument returns the name of a filter in the API, as in status_SecondaryEmail_Icontains.
func FilterArgument(field string, lookup Lookup) string {
	if lookup != usersearch.Exact {
		field += "__" + string(lookup)
	}
	return ArgumentName(field)
}

// Filter is one condition of a query. A text is trimmed; "" is no condition.
type Filter struct {
	Field  string // of Settings.FilterFields
	Lookup Lookup // one of the field's
	Value  any    // of the field's Type: string, bool, int, float64 or time.Time
}

// maxIn is the greatest number of values in the list of one filter.
const maxIn = 100

// search returns the query for the users that match all filters. It fails with *UsageError for too many values. It
// panics for a filter without a field, or with a lookup or value that does not fit the field.
func (s *Service) search(filters []Filter) (*usersearch.Query, error) {
	var conditions []usersearch.Condition
	for _, f := range filters {
		field, ok := s.filters[f.Field]
		if !ok || !slices.Contains(field.Lookups(), f.Lookup) || reflect.TypeOf(f.Value) != goTypes[field.Type] {
			panic("accounts: no filter " + f.Field + " " + string(f.Lookup))
		}
		c := usersearch.Condition{Field: field.field, Lookup: f.Lookup, Value: stored(f.Value)}
		text, isText := f.Value.(string)
		if isText {
			text = trim(text)
			c.Value = text
		}
		switch {
		case isText && text == "":
			continue
		case f.Lookup == usersearch.In:
			items := strings.Split(text, ",")
			if len(items) > maxIn {
				const message = "A filter by %s takes at most %d values, not %d."
				return nil, &UsageError{fmt.Sprintf(message, f.Field, maxIn, len(items))}
			}
			c.Value = field.items(items)
		case field.field.Address() && (f.Lookup == usersearch.Exact || f.Lookup == usersearch.IExact):
			c.Lookup, c.Value = usersearch.In, field.items([]string{text})
		}
		if strings.ContainsRune(text, 0) {
			c.Lookup, c.Value = usersearch.In, []string{} // stored texts have none
		}
		conditions = append(conditions, c)
	}
	return usersearch.New(conditions), nil
}

// items returns the values of a list in the form in which a search takes them, without invalid ones.
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
