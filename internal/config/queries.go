package config

import (
	"fmt"
	"slices"
	"strings"

	"accountd/accounts"
	"accountd/internal/spelling"
)

// validateQueries validates the names of fields and lookups, which become parts of the schema. It does not report
// unknown names if accounts.fields has been reported.
func (l *loader) validateQueries() {
	const exclude, filters = "queries.exclude_fields", "queries.filter_fields"
	q, unsure := l.config.Schema, l.bad["accounts.fields"]
	var site accounts.Settings
	hidden := map[string]bool{}
	if !unsure {
		site = l.config.Accounts
		for _, f := range site.Fields {
			hidden[f.Name] = !f.Public
		}
	}
	shown := site.FieldNames()
	for _, name := range q.ExcludeFields {
		switch {
		case name == "id":
			l.complain(exclude, "has id, by which clients tell accounts apart", `leave it out; "pk" can be excluded`)
		case hidden[name]:
			l.complain(exclude, "has "+quote(name)+", which is not public",
				"leave it out: UserNode does not have it anyway")
		case !slices.Contains(shown, name) && !slices.Contains(neverShown, name) && !unsure:
			l.complain(exclude, "has "+quote(name)+", which UserNode does not have",
				spelling.Suggest(name, shown, "use some of "+strings.Join(shown[1:], ", ")))
		}
	}
	fields := site.FilterFields()
	arguments := []string{"id", "first", "last", "before", "after", "offset"}
	for _, name := range sortedKeys(q.FilterFields) {
		field, ok := fields[name]
		switch {
		case ok:
			arguments = append(arguments, l.lookups(filters, name, field, q.FilterFields[name])...)
		case hidden[name]:
			l.complain(filters, "has "+quote(name)+", which is not public: a filter would tell what is hidden",
				"leave it out, or make the field public")
		case !unsure:
			l.complain(filters, "has "+quote(name)+", by which users cannot be filtered",
				spelling.Suggest(name, sortedKeys(fields), "use some of "+strings.Join(sortedKeys(fields), ", ")))
		}
	}
	l.require(!q.AllowArgument || !slices.Contains(arguments, q.ArgumentName),
		"tokens.argument_name", "is an argument of the queries user and users already",
		`choose another name, such as "token"`, "tokens.allow_argument", filters)
}

// lookups validates the lookups of one field and returns their arguments. Arguments of different fields differ, because
// names of fields have no "__" and no capitals.
func (l *loader) lookups(key, name string, field accounts.FilterField, lookups []string) (arguments []string) {
	kind := "a " + string(field.Type)
	if field.Type == accounts.Int {
		kind = "an Int"
	}
	var fitting []string
	for _, lookup := range field.Lookups() {
		fitting = append(fitting, string(lookup))
	}
	for i, lookup := range lookups {
		switch {
		case !slices.Contains(fitting, lookup):
			l.complain(key, fmt.Sprintf("has the lookup %s of %s, which does not fit %s", quote(lookup), name, kind),
				spelling.Suggest(lookup, fitting, "use some of "+strings.Join(fitting, ", ")))
		case slices.Contains(lookups[:i], lookup):
			l.complain(key, fmt.Sprintf("has the lookup %s of %s twice", quote(lookup), name), "remove one of them")
		}
		arguments = append(arguments, accounts.FilterArgument(name, accounts.Lookup(lookup)))
	}
	return arguments
}

// neverShown are fields that django-graphql-auth has to exclude and that no schema here has.
var neverShown = []string{"password", "is_superuser"}

// queryWarnings warns of what others than staff can find out.
func (c *Config) queryWarnings() (w warnings) {
	q := c.Schema
	w.when(q.Users == "public" && !c.Loopback(),
		"queries.users is public: anyone can list all accounts and their addresses")
	for _, name := range sortedKeys(q.FilterFields) {
		excluded := slices.Contains(q.ExcludeFields, strings.TrimPrefix(name, "status__"))
		w.when(q.Users != "staff" && excluded && len(q.FilterFields[name]) > 0, "queries.filter_fields has "+name+
			": a filter reveals what queries.exclude_fields hides")
	}
	return w
}
