package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

const envPrefix = "ACCOUNTD_"

// setting is one key, as the tags of Config describe it.
type setting struct {
	key           string // "tokens.issuer"
	env           string // "ACCOUNTD_TOKENS_ISSUER"
	index         []int  // of the field in Config
	typ           reflect.Type
	min, max, one string // tags
}

// order has every setting as config.toml has them; settings and sections find them by key.
var (
	order    = describe(reflect.TypeFor[Config](), "", nil)
	settings = byKey(order)
	sections = sectionsOf(order)
)

func describe(t reflect.Type, prefix string, index []int) []setting {
	var found []setting
	for i := range t.NumField() {
		field := t.Field(i)
		name := field.Tag.Get("toml")
		if name == "" {
			continue
		}
		at := append(append([]int{}, index...), i)
		if field.Type.Kind() == reflect.Struct {
			found = append(found, describe(field.Type, prefix+name+".", at)...)
			continue
		}
		key := prefix + name
		found = append(found, setting{
			key: key, env: envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			index: at, typ: field.Type,
			min: field.Tag.Get("min"), max: field.Tag.Get("max"), one: field.Tag.Get("one"),
		})
	}
	return found
}

func byKey(list []setting) map[string]setting {
	m := make(map[string]setting, len(list))
	for _, s := range list {
		m[s.key] = s
	}
	return m
}

func sectionsOf(list []setting) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		for key := s.key; strings.Contains(key, "."); m[key] = true {
			key = key[:strings.LastIndexByte(key, '.')]
		}
	}
	return m
}

func envNames() []string {
	names := make([]string, 0, len(order))
	for _, s := range order {
		names = append(names, s.env)
	}
	return names
}

// in returns the setting's field in c.
func (s setting) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

// decodeTOML stores what go-toml made of a value.
func decodeTOML(v reflect.Value, raw any) error {
	switch v.Interface().(type) {
	case Duration, Size:
		text, ok := raw.(string)
		if n, isInt := raw.(int64); isInt && n == 0 {
			text, ok = map[bool]string{true: "0s", false: "0B"}[v.Type() == reflect.TypeFor[Duration]()], true
		}
		if !ok {
			return errors.New("has the wrong type")
		}
		return decodeText(v, text)
	case string:
		if text, ok := raw.(string); ok {
			return decodeText(v, text)
		}
	case bool:
		if b, ok := raw.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case int:
		if n, ok := raw.(int64); ok {
			if int64(int(n)) != n {
				return errors.New("is out of range")
			}
			v.SetInt(n)
			return nil
		}
	case float64:
		switch n := raw.(type) {
		case float64:
			v.SetFloat(n)
			return nil
		case int64:
			v.SetFloat(float64(n))
			return nil
		}
	case []string:
		list, ok := raw.([]any)
		if !ok {
			break
		}
		texts := make([]string, len(list))
		for i, item := range list {
			if texts[i], ok = item.(string); !ok {
				return errors.New("has an item of the wrong type")
			}
		}
		v.Set(reflect.ValueOf(texts))
		return nil
	case Rates:
		if text, ok := raw.(string); ok {
			return decodeText(v, text)
		}
	case Toggle:
		switch on := raw.(type) {
		case bool:
			return decodeText(v, strconv.FormatBool(on))
		case string:
			return decodeText(v, on)
		}
	case map[string]string, map[string][]string, []Field:
		return decodeTable(v, raw)
	}
	return errors.New("has the wrong type")
}

// decodeText stores what a variable, a flag or a tag says.
func decodeText(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case Duration:
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	case Size:
		n, err := parseSize(text)
		v.SetInt(int64(n))
		return err
	case Rates:
		rates, err := parseRates(text)
		v.SetString(string(rates))
		return err
	case string:
		v.SetString(text)
	case bool:
		if text != "true" && text != "false" {
			return errors.New("is not a boolean")
		}
		v.SetBool(text == "true")
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is not a whole number")
		}
		v.SetInt(int64(n))
	case float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errors.New("is not a number")
		}
		v.SetFloat(f)
	case []string:
		list := []string{}
		if strings.TrimSpace(text) != "" {
			for item := range strings.SplitSeq(text, ",") {
				list = append(list, strings.TrimSpace(item))
			}
		}
		v.Set(reflect.ValueOf(list))
	case Toggle:
		on, ok := toggles[text]
		if !ok {
			return errors.New("is not possible")
		}
		v.SetString(string(on))
	case map[string]string, map[string][]string, []Field:
		return decodeTableText(v, text)
	default:
		return fmt.Errorf("has the unsupported type %s", v.Type())
	}
	return nil
}

// check holds v against the tags. Texts have no control characters: they end up in headers and logs.
func (s setting) check(v reflect.Value) error {
	switch value := v.Interface().(type) {
	case string:
		if s.one != "" && !containsWord(s.one, value) {
			return errors.New("is not possible")
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return errors.New("has a control character")
		}
	case []string:
		for _, item := range value {
			if strings.ContainsFunc(item, unicode.IsControl) {
				return errors.New("has a control character")
			}
		}
	case map[string]string:
		for _, item := range value {
			if strings.ContainsFunc(item, unicode.IsControl) {
				return errors.New("has a control character")
			}
		}
	case float64:
		if math.IsNaN(value) || value < s.bound(s.min).Float() || value > s.bound(s.max).Float() {
			return errors.New("is out of bounds")
		}
	case int, Duration, Size:
		if v.Int() < s.bound(s.min).Int() || v.Int() > s.bound(s.max).Int() {
			return errors.New("is out of bounds")
		}
	}
	return nil
}

func (s setting) bound(tag string) reflect.Value {
	v := reflect.New(s.typ).Elem()
	if err := decodeText(v, tag); err != nil {
		panic(fmt.Sprintf("%s: bound %q %v", s.key, tag, err))
	}
	return v
}

// remedy says what the setting takes.
func (s setting) remedy() string {
	switch reflect.New(s.typ).Elem().Interface().(type) {
	case Duration:
		return fmt.Sprintf(`use a duration from "%s" to "%s", such as "90s", "5m" or "7d"`, s.min, s.max)
	case Size:
		return fmt.Sprintf(`use a size from "%s" to "%s", such as "512B", "64KiB" or "1MiB"`, s.min, s.max)
	case bool:
		return "use true or false"
	case int:
		return fmt.Sprintf("use a whole number from %s to %s", s.min, s.max)
	case float64:
		return fmt.Sprintf("use a number from %s to %s", s.min, s.max)
	case []string:
		return `use a list of strings, such as ["a", "b"]; separated by commas in a variable`
	case Rates:
		return `use a number and a time from "1s" to "7d", such as "10/15m", several such as "3/h, 10/d", or "off"`
	case Toggle:
		return `use "auto", true or false`
	case map[string]string:
		return `use a table of strings, such as { support = "help@example.com" }`
	case map[string][]string:
		return `use a table of lists, such as { username = ["exact", "icontains"] }`
	case []Field:
		return `use tables such as { name = "phone", type = "String", max_length = 20 }`
	}
	if s.one != "" {
		return `use "` + strings.ReplaceAll(s.one, ",", `", "`) + `"`
	}
	return "use a string without control characters"
}

func containsWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}
