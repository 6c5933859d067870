package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"accountd/accounts"
)

// Toggle is a switch. Auto depends on other settings.
type Toggle string

// The values of a Toggle.
const (
	Auto Toggle = "auto"
	On   Toggle = "on"
	Off  Toggle = "off"
)

// toggles has the spellings of a Toggle, which include booleans.
var toggles = map[string]Toggle{"auto": Auto, "on": On, "off": Off, "true": On, "false": Off}

// isTable reports whether the setting is a table, or a list of tables, instead of one value.
func (s setting) isTable() bool {
	return s.typ.Kind() == reflect.Map || s.typ == reflect.TypeFor[[]accounts.Field]()
}

func decodeMap[T any](v reflect.Value, raw any) error {
	table, ok := raw.(map[string]any)
	if !ok {
		return errors.New("is not a table")
	}
	decoded := make(map[string]T, len(table))
	var problems []error
	for _, name := range sortedKeys(table) {
		var item T
		if err := decode(reflect.ValueOf(&item).Elem(), table[name]); err != nil {
			problems = append(problems, fmt.Errorf("has an item %s that %w", joinKey([]string{name}), err))
		}
		decoded[name] = item
	}
	v.Set(reflect.ValueOf(decoded))
	return errors.Join(problems...)
}

func decodeFields(v reflect.Value, raw any) error {
	list, ok := raw.([]any)
	if !ok {
		return errors.New("is not a list of tables")
	}
	fields := make([]accounts.Field, len(list))
	var problems []error
	for i, item := range list {
		table, ok := item.(map[string]any)
		if !ok {
			return errors.New("has an item that is no table")
		}
		for _, problem := range decodeField(&fields[i], table) {
			problems = append(problems, fmt.Errorf("has an item %s that %s", quote(fields[i].Name), problem))
		}
	}
	v.Set(reflect.ValueOf(fields))
	return errors.Join(problems...)
}

// decodeField reads one table of [[accounts.fields]] and returns the problems of its keys. checkField validates its
// values.
func decodeField(f *accounts.Field, table map[string]any) (problems []string) {
	f.Public = true
	v := reflect.ValueOf(f).Elem()
	keys := map[string]reflect.Value{}
	for i := range v.NumField() {
		keys[v.Type().Field(i).Tag.Get("toml")] = v.Field(i)
	}
	if name, ok := table["name"].(string); ok {
		f.Name = name // first, because problems of other keys name the field
	}
	for _, key := range sortedKeys(table) {
		field, known := keys[key]
		if !known {
			problems = append(problems, fmt.Sprintf("has an unknown key %s; possible are %s",
				quote(key), strings.Join(sortedKeys(keys), ", ")))
			continue
		}
		if key == "choices" {
			list, ok := table[key].([]any)
			if !ok {
				problems = append(problems, "has choices that are no list")
			}
			f.Choices = list
			continue
		}
		if err := decode(field, table[key]); err != nil {
			problems = append(problems, fmt.Sprintf("has a %s that %s", key, err))
		}
	}
	return problems
}
