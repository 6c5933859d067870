package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

const envPrefix = "ACCOUNTD_"

// setting is one key, as the tags of the field that has its value describe it:
//
//	toml:"tokens.leeway"   the key; "-": the fields of this struct are decoded elsewhere
//	min:"0s" max:"60s"     the bounds of a number; a unit of bytes, as in "64KiB", makes it a size
//	unit:"KiB"             of a size whose field counts KiB
//	one:"rotate,keep"      the words that a text can be
type setting struct {
	key           string
	env           string // "ACCOUNTD_TOKENS_LEEWAY"
	index         []int  // of the field in Config
	typ           reflect.Type
	as            reflect.Type // what it is read and printed as: typ, Duration, Size or int
	unit          int64        // of a number: bytes, for a size
	min, max, one string
}

// order has every setting in the order of config.toml; settings and sections find them by key.
var (
	order    = describeAll()
	settings = byKey(order)
	sections = sectionsOf(order)
)

func describeAll() []setting {
	place := map[string]int{} // of keys and sections in config.toml
	section := ""
	for line := range strings.Lines(string(defaults)) {
		name, _, isKey := strings.Cut(line, " = ")
		if line[0] == '[' {
			section = strings.Trim(line, "[]\n")
			name, isKey = "", true
		}
		if isKey {
			place[strings.TrimSuffix(section+"."+name, ".")] = len(place)
		}
	}
	all := describe(reflect.TypeFor[Config](), nil)
	slices.SortFunc(all, func(a, b setting) int { return place[a.key] - place[b.key] })
	return all
}

func describe(t reflect.Type, index []int) (found []setting) {
	for i := range t.NumField() {
		field := t.Field(i)
		key, at := field.Tag.Get("toml"), append(slices.Clone(index), i)
		switch {
		case key == "" && field.IsExported() && field.Type.Kind() == reflect.Struct:
			found = append(found, describe(field.Type, at)...)
		case key != "" && key != "-":
			s := setting{
				key: key, env: envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")), index: at,
				typ: field.Type, as: field.Type, unit: 1,
				min: field.Tag.Get("min"), max: field.Tag.Get("max"), one: field.Tag.Get("one"),
			}
			switch {
			case s.typ == reflect.TypeFor[time.Duration]():
				s.as = reflect.TypeFor[Duration]()
			case strings.HasSuffix(s.max, "B"):
				s.as = reflect.TypeFor[Size]()
				if field.Tag.Get("unit") == "KiB" {
					s.unit = 1024
				}
			case reflect.Zero(s.typ).CanUint():
				s.as = reflect.TypeFor[int]()
			}
			found = append(found, s)
		}
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

// in returns the setting's field in c.
func (s setting) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

// value returns the setting in c as it is printed.
func (s setting) value(c *Config) any {
	v := reflect.New(s.as).Elem()
	v.Set(s.in(c).Convert(s.as))
	if s.unit != 1 {
		v.SetInt(v.Int() * s.unit)
	}
	return v.Interface()
}

// store sets the field in c to a value of the type as.
func (s setting) store(c *Config, v reflect.Value) {
	if s.unit != 1 {
		v.SetInt(v.Int() / s.unit)
	}
	s.in(c).Set(v.Convert(s.typ))
}

// fromText turns the text of a variable, a flag or a tag into what go-toml would have made of it.
func (s setting) fromText(text string) (any, error) {
	switch {
	case s.as.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return nil, errors.New("is not a boolean")
		}
		return text == "true", nil
	case s.as.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, errors.New("is not a whole number")
		}
		return int64(n), nil
	case s.as.Kind() == reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, errors.New("is not a number")
		}
		return n, nil
	case s.as == reflect.TypeFor[[]string]():
		list := []any{}
		if strings.TrimSpace(text) != "" {
			for item := range strings.SplitSeq(text, ",") {
				list = append(list, strings.TrimSpace(item))
			}
		}
		return list, nil
	case s.isTable():
		var doc map[string]any
		if err := toml.Unmarshal([]byte("value = "+text), &doc); err != nil || len(doc) != 1 {
			return nil, errors.New("is not a TOML value on one line")
		}
		return doc["value"], nil
	}
	return text, nil
}

var errType = errors.New("has the wrong type")

// refusal is an error with a remedy of its own.
type refusal struct{ message, remedy string }

func (r *refusal) Error() string { return r.message }

// decode stores what go-toml made of a value, if that is of the type of v.
func decode(v reflect.Value, raw any) error {
	text, isText := raw.(string)
	switch v.Interface().(type) {
	case Duration:
		if raw == int64(0) {
			text, isText = "0s", true
		}
		if !isText {
			return errType
		}
		d, err := parseDuration(text)
		v.SetInt(int64(d))
		return err
	case Size:
		if raw == int64(0) {
			text, isText = "0B", true
		}
		if !isText {
			return errType
		}
		n, err := parseSize(text)
		v.SetInt(int64(n))
		return err
	case ratelimit.Rate, []ratelimit.Rate:
		if !isText {
			return errType
		}
		rates, err := parseRates(text)
		switch {
		case err != nil:
			return err
		case v.Kind() == reflect.Slice:
			v.Set(reflect.ValueOf(rates))
		case len(rates) > 1:
			return &refusal{"has several rates: its delay grows by itself", `use one, such as "10/15m", or "off"`}
		case len(rates) == 1:
			v.Set(reflect.ValueOf(rates[0]))
		}
		return nil
	case Toggle:
		if on, ok := raw.(bool); ok {
			text, isText = strconv.FormatBool(on), true
		}
		on, ok := toggles[text]
		if !isText {
			return errType
		}
		if !ok {
			return errors.New("is not possible")
		}
		v.SetString(string(on))
		return nil
	case []string:
		list, ok := raw.([]any)
		if !ok {
			return errType
		}
		texts := make([]string, len(list))
		for i, item := range list {
			if texts[i], ok = item.(string); !ok {
				return errors.New("has an item of the wrong type")
			}
		}
		v.Set(reflect.ValueOf(texts))
		return nil
	case map[string]string:
		return decodeMap[string](v, raw)
	case map[string][]string:
		return decodeMap[[]string](v, raw)
	case []accounts.Field:
		return decodeFields(v, raw)
	}
	return decodeScalar(v, raw)
}

func decodeScalar(v reflect.Value, raw any) error {
	switch n := raw.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(n)
			return nil
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(n)
			return nil
		}
	case float64:
		if v.Kind() == reflect.Float64 {
			v.SetFloat(n)
			return nil
		}
	case int64:
		switch {
		case v.Kind() == reflect.Float64:
			v.SetFloat(float64(n))
			return nil
		case v.CanInt() && v.OverflowInt(n):
			return errors.New("is out of range")
		case v.CanInt():
			v.SetInt(n)
			return nil
		}
	}
	return errType
}

// check holds v against the tags. Texts have no control characters: they end up in headers and logs.
func (s setting) check(v reflect.Value) error {
	var texts []string
	switch {
	case v.Kind() == reflect.String:
		if s.one != "" && !slices.Contains(strings.Split(s.one, ","), v.String()) {
			return errors.New("is not possible")
		}
		texts = []string{v.String()}
	case v.Type() == reflect.TypeFor[[]string]():
		texts = v.Interface().([]string)
	case v.Type() == reflect.TypeFor[map[string]string]():
		for _, text := range v.Interface().(map[string]string) {
			texts = append(texts, text)
		}
	case v.CanFloat():
		n := v.Float()
		if math.IsNaN(n) || n < s.bound(s.min).Float() || n > s.bound(s.max).Float() {
			return errors.New("is out of bounds")
		}
	case v.CanInt():
		if v.Int() < s.bound(s.min).Int() || v.Int() > s.bound(s.max).Int() {
			return errors.New("is out of bounds")
		}
		if v.Int()%s.unit != 0 {
			return &refusal{"is not a whole number of KiB", `use "KiB" or "MiB"`}
		}
	}
	for _, text := range texts {
		if strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("has a control character")
		}
	}
	return nil
}

func (s setting) bound(tag string) reflect.Value {
	v := reflect.New(s.as).Elem()
	raw, err := s.fromText(tag)
	if err == nil {
		err = decode(v, raw)
	}
	if err != nil {
		panic(fmt.Sprintf("%s: bound %q %v", s.key, tag, err))
	}
	return v
}

// remedy says what the setting takes.
func (s setting) remedy() string {
	switch reflect.New(s.as).Elem().Interface().(type) {
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
	case ratelimit.Rate, []ratelimit.Rate:
		return `use a number and a time from "1s" to "7d", such as "10/15m", several such as "3/h, 10/d", or "off"`
	case Toggle:
		return `use "auto", true or false`
	case map[string]string:
		return `use a table of strings, such as { support = "help@example.com" }`
	case map[string][]string:
		return `use a table of lists, such as { username = ["exact", "icontains"] }`
	case []accounts.Field:
		return `use tables such as { name = "phone", type = "String", max_length = 20 }`
	}
	if s.one != "" {
		return `use "` + strings.ReplaceAll(s.one, ",", `", "`) + `"`
	}
	return "use a string without control characters"
}
