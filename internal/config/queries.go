package config

import (
	"fmt"
	"slices"
	"strings"

	"accountd/accounts"
)

// validateQueries checks the names of fields and lookups, each of which becomes a part of the schema.
func (l *loader) validateQueries() {
	q := l.config.Queries
	for _, name := range q.ExcludeFields {
		switch {
		case name == "id":
			l.complain("queries.exclude_fields", "has id, by which clients tell accounts apart", `leave it out; "pk" can be excluded`)
		case !slices.Contains(accounts.FieldNames(), name) && !neverShown(name):
			l.complain("queries.exclude_fields", "has "+quote(name)+", which UserNode does not have",
				suggest(name, accounts.FieldNames(), "use some of "+strings.Join(accounts.FieldNames()[1:], ", ")))
		}
	}
	fields := accounts.FilterFields()
	for _, name := range sortedKeys(q.FilterFields) {
		field, ok := fields[name]
		if !ok {
			l.complain("queries.filter_fields", "has "+quote(name)+", by which users cannot be filtered",
				suggest(name, sortedKeys(fields), "use some of "+strings.Join(sortedKeys(fields), ", ")))
			continue
		}
		var fitting []string
		for _, lookup := range field.Lookups() {
			fitting = append(fitting, string(lookup))
		}
		for _, lookup := range q.FilterFields[name] {
			if !slices.Contains(fitting, lookup) {
				l.complain("queries.filter_fields", fmt.Sprintf("has the lookup %s of %s, which does not fit", quote(lookup), name),
					suggest(lookup, fitting, "use some of "+strings.Join(fitting, ", ")))
			}
		}
	}
}

// neverShown are the fields that the API we follow has to exclude, and that no schema here has.
func neverShown(name string) bool { return name == "password" || name == "is_superuser" }

// queryWarnings are about what others than staff get to know.
func (c *Config) queryWarnings() []string {
	var warnings []string
	if c.Queries.Users == "public" && !c.Loopback() {
		warnings = append(warnings, "queries.users is public: everybody can list every account and its addresses")
	}
	for _, name := range sortedKeys(c.Queries.FilterFields) {
		hidden := strings.TrimPrefix(name, "status__")
		if c.Queries.Users != "staff" && slices.Contains(c.Queries.ExcludeFields, hidden) && len(c.Queries.FilterFields[name]) > 0 {
			warnings = append(warnings, fmt.Sprintf("queries.filter_fields has %s: whoever may list users finds out by it what queries.exclude_fields hides", name))
		}
	}
	return warnings
}
