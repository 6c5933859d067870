package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

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

// decode stores what go-toml made of a value in v. It fails if that is not of the type of v.
func decode(v reflect.Value, raw any) error {
	switch v.Interface().(type) {
	case Duration:
		d, err := decodeUnit(raw, "0s", parseDuration)
		v.SetInt(int64(d))
		return err
	case Size:
		n, err := decodeUnit(raw, "0B", parseSize)
		v.SetInt(int64(n))
		return err
	case ratelimit.Rate, []ratelimit.Rate:
		return decodeRates(v, raw)
	case Toggle:
		if on, ok := raw.(bool); ok {
			raw = strconv.FormatBool(on)
		}
		text, ok := raw.(string)
		if !ok {
			return errType
		}
		on, ok := toggles[text]
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

// decodeUnit reads a number with a unit, which may be left out of zero.
func decodeUnit[T any](raw any, zero string, parse func(string) (T, error)) (n T, err error) {
	if raw == int64(0) {
		raw = zero
	}
	text, ok := raw.(string)
	if !ok {
		return n, errType
	}
	return parse(text)
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
		if v.CanFloat() {
			v.SetFloat(n)
			return nil
		}
	case int64:
		switch {
		case v.CanFloat():
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

// check compares a value with the tags. Texts must not have control characters: they get into headers and logs.
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
