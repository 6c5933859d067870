package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"accountd/accounts"
)

// decodeText stores the text of a variable, a flag or a tag in v, which is zero.
func decodeText(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case bool:
		if v.SetBool(text == "true"); text != "true" && text != "false" {
			return errors.New("is not a boolean")
		}
	case int:
		n, err := strconv.Atoi(text)
		if v.SetInt(int64(n)); err != nil {
			return errors.New("is not a whole number")
		}
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		if v.SetFloat(n); err != nil {
			return errors.New("is not a number")
		}
	case []string:
		list := []any{}
		if strings.TrimSpace(text) != "" {
			for item := range strings.SplitSeq(text, ",") {
				list = append(list, strings.TrimSpace(item))
			}
		}
		return decode(v, list)
	case map[string]string, map[string][]string, []accounts.Field:
		var doc map[string]any
		if err := toml.Unmarshal([]byte("value = "+text), &doc); err != nil || len(doc) != 1 {
			return errors.New("is not a TOML value on one line")
		}
		return decode(v, doc["value"])
	default:
		return decode(v, text)
	}
	return nil
}

var errType = errors.New("has the wrong type")

// refusal is an error, or the reason of one, with a remedy of its own.
type refusal struct{ message, remedy string }

func (r *refusal) Error() string { return r.message }

// decode stores what go-toml made of a value in v, which is zero. It fails if that is not of the type of v.
func decode(v reflect.Value, raw any) error {
	switch into := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		if on, ok := raw.(bool); ok && v.Type() == reflect.TypeFor[Toggle]() {
			raw = strconv.FormatBool(on)
		}
		if raw == int64(0) && v.CanInt() { // a duration or a size without its unit
			return nil
		}
		text, ok := raw.(string)
		if !ok {
			return errType
		}
		return into.UnmarshalText([]byte(text))
	case *[]string:
		list, ok := raw.([]any)
		if !ok {
			return errType
		}
		*into = make([]string, len(list))
		for i, item := range list {
			if err := decode(v.Index(i), item); errors.Is(err, errType) {
				return errors.New("has an item of the wrong type")
			} else if err != nil {
				return err
			}
		}
		return nil
	case *map[string]string:
		return decodeMap(into, raw)
	case *map[string][]string:
		return decodeMap(into, raw)
	case *[]accounts.Field:
		return decodeFields(into, raw)
	}
	// Texts get into headers and logs.
	if text, ok := raw.(string); ok && strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("has a control character")
	}
	return decodeScalar(v, raw)
}

func decodeScalar(v reflect.Value, raw any) error {
	from := reflect.ValueOf(raw)
	switch {
	case from.Kind() == v.Kind():
		v.Set(from.Convert(v.Type()))
	case from.CanInt() && v.CanFloat():
		v.SetFloat(float64(from.Int()))
	case from.CanInt() && v.CanInt() && v.OverflowInt(from.Int()):
		return errors.New("is out of range")
	case from.CanInt() && v.CanInt():
		v.SetInt(from.Int())
	default:
		return errType
	}
	return nil
}

func decodeMap[T any](into *map[string]T, raw any) error {
	table, ok := raw.(map[string]any)
	if !ok {
		return errors.New("is not a table")
	}
	*into = make(map[string]T, len(table))
	var problems []error
	for _, name := range sortedKeys(table) {
		var item T
		if err := decode(reflect.ValueOf(&item).Elem(), table[name]); err != nil {
			problems = append(problems, fmt.Errorf("has an item %s that %w", joinKey(name), err))
		}
		(*into)[name] = item
	}
	return errors.Join(problems...)
}

func decodeFields(into *[]accounts.Field, raw any) error {
	list, ok := raw.([]any)
	if !ok {
		return errors.New("is not a list of tables")
	}
	*into = make([]accounts.Field, len(list))
	var problems []error
	for i, item := range list {
		table, ok := item.(map[string]any)
		if !ok {
			return errors.New("has an item that is no table")
		}
		f := &(*into)[i]
		for _, problem := range decodeField(f, table) {
			problems = append(problems, fmt.Errorf("has an item %s that %s", quote(f.Name), problem))
		}
	}
	return errors.Join(problems...)
}

// decodeField reads one table of [[accounts.fields]] and returns the problems of its keys. checkField validates its
// values.
func decodeField(f *accounts.Field, table map[string]any) (problems []string) {
	f.Public = true
	keys := map[string]reflect.Value{}
	for field, value := range reflect.ValueOf(f).Elem().Fields() {
		keys[field.Tag.Get("toml")] = value
	}
	f.Name, _ = table["name"].(string) // first, because problems of other keys name the field
	for _, key := range sortedKeys(table) {
		field, known := keys[key]
		if !known {
			problems = append(problems, fmt.Sprintf("has an unknown key %s; possible are %s",
				quote(key), strings.Join(sortedKeys(keys), ", ")))
		} else if err := decodeScalar(field, table[key]); err != nil {
			message := fmt.Sprintf("has a %s that %s", key, err)
			if key == "choices" {
				message = "has choices that are no list"
			}
			problems = append(problems, message)
		}
	}
	return problems
}

// check compares a value with the tags.
func (s setting) check(v reflect.Value) error {
	switch {
	case s.one != "" && !slices.Contains(strings.Split(s.one, ","), v.String()):
		return errors.New("is not possible")
	case v.CanFloat() && !(v.Float() >= s.bound(s.min).Float() && v.Float() <= s.bound(s.max).Float()), // also NaN
		v.CanInt() && (v.Int() < s.bound(s.min).Int() || v.Int() > s.bound(s.max).Int()):
		return errors.New("is out of bounds")
	case v.CanInt() && v.Int()%s.unit != 0:
		return &refusal{"is not a whole number of KiB", `use "KiB" or "MiB"`}
	}
	return nil
}

func (s setting) bound(tag string) reflect.Value {
	v := reflect.New(s.as).Elem()
	if err := decodeText(v, tag); err != nil {
		panic(fmt.Sprintf("%s: bound %q %v", s.key, tag, err))
	}
	return v
}

// remedies say what settings of a type take, from MIN to MAX.
var remedies = map[reflect.Type]string{
	reflect.TypeFor[Duration]():   `use a duration from "MIN" to "MAX", such as "90s", "5m" or "7d"`,
	reflect.TypeFor[Size]():       `use a size from "MIN" to "MAX", such as "512B", "64KiB" or "1MiB"`,
	reflect.TypeFor[bool]():       "use true or false",
	reflect.TypeFor[int]():        "use a whole number from MIN to MAX",
	reflect.TypeFor[float64]():    "use a number from MIN to MAX",
	reflect.TypeFor[[]string]():   `use a list of strings, such as ["a", "b"]; separated by commas in a variable`,
	reflect.TypeFor[singleRate](): rateRemedy,
	reflect.TypeFor[rateList]():   rateRemedy,
	reflect.TypeFor[Toggle]():     `use "auto", true or false`,

	reflect.TypeFor[map[string]string]():   `use a table of strings, such as { support = "help@example.com" }`,
	reflect.TypeFor[map[string][]string](): `use a table of lists, such as { username = ["exact", "icontains"] }`,
	reflect.TypeFor[[]accounts.Field]():    `use tables such as { name = "phone", type = "String", max_length = 20 }`,
}

const rateRemedy = `use a number and a time from "1s" to "7d", such as "10/15m", several such as "3/h, 10/d", or "off"`

// remedy says what the setting takes.
func (s setting) remedy() string {
	if remedy, ok := remedies[s.as]; ok {
		return strings.NewReplacer("MIN", s.min, "MAX", s.max).Replace(remedy)
	}
	if s.one != "" {
		return `use "` + strings.ReplaceAll(s.one, ",", `", "`) + `"`
	}
	return "use a string without control characters"
}
