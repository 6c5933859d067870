package accounts

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"accountd/internal/pattern"
)

// FieldType is the GraphQL type of a field's values.
type FieldType string

// The types of fields.
const (
	String   FieldType = "String"
	Int      FieldType = "Int"
	Float    FieldType = "Float"
	Boolean  FieldType = "Boolean"
	DateTime FieldType = "DateTime"
)

// goTypes are the types of values in Go. Integers have 32 bits, and floats are finite.
var goTypes = map[FieldType]reflect.Type{
	String: reflect.TypeFor[string](), Int: reflect.TypeFor[int](), Float: reflect.TypeFor[float64](),
	Boolean: reflect.TypeFor[bool](), DateTime: reflect.TypeFor[time.Time](),
}

// MaxFieldLength is the greatest length of a String, in code points.
const MaxFieldLength = 10_000

// Field is a field of every account, built in or configured by the site.
type Field struct {
	Name      string    `toml:"name"` // as in "phone_number", which is phoneNumber in the API
	Type      FieldType `toml:"type"`
	MaxLength int       `toml:"max_length"` // of a String, in code points; 0: MaxFieldLength
	Pattern   string    `toml:"pattern"`    // a regular expression that a whole String has to match; "": none
	Choices   []any     `toml:"choices"`    // of type string, int64 or float64; empty: any value
	Unique    bool      `toml:"unique"`
	Public    bool      `toml:"public"` // shown in UserNode and to templates; true by default
}

// builtIn are the built-in fields that settings can make arguments.
var builtIn = []Field{
	{Name: "email", Type: String, MaxLength: maxEmail},
	{Name: "username", Type: String, MaxLength: maxName},
	{Name: "first_name", Type: String, MaxLength: maxName},
	{Name: "last_name", Type: String, MaxLength: maxName},
}

// Values are the values of fields by their names. In an update nil or "" clears a field, and a missing field keeps its
// value.
type Values map[string]any

// Argument is a field as an argument of an operation.
type Argument struct {
	Name     string // as in "phoneNumber"
	Field    Field
	Required bool
}

// RegisterArguments returns the arguments of register without the passwords, in the order of the form.
func (s Settings) RegisterArguments() []Argument {
	return append(s.arguments(s.RegisterFields, true), s.arguments(s.RegisterOptionalFields, false)...)
}

// UpdateArguments returns the arguments of updateAccount.
func (s Settings) UpdateArguments() []Argument { return s.arguments(s.UpdateFields, false) }

func (s Settings) arguments(names []string, required bool) []Argument {
	var args []Argument
	fields := slices.Concat(builtIn, s.Fields)
	for _, name := range names {
		if i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }); i >= 0 {
			args = append(args, Argument{Name: ArgumentName(name), Field: fields[i], Required: required})
		}
	}
	return args
}

// ArgumentName returns the name of a field in the API: camelCase, as graphene makes it ("a_b" is aB, "a__b" is a_B).
func ArgumentName(field string) string {
	parts := strings.Split(field, "_")
	for i, part := range parts[1:] {
		if part == "" {
			part = "_"
		}
		parts[i+1] = strings.ToUpper(part[:1]) + strings.ToLower(part[1:])
	}
	return strings.Join(parts, "")
}

// Parse reads a value from a command line: a DateTime in RFC 3339, a Boolean as true or false.
func (f Field) Parse(text string) (any, error) {
	switch f.Type {
	case Int:
		if n, err := strconv.ParseInt(text, 10, 32); err == nil {
			return int(n), nil
		}
		return nil, errors.New("is not a whole number of 32 bits")
	case Float:
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
			return n, nil
		}
		return nil, errors.New("is not a number")
	case Boolean:
		if text == "true" || text == "false" {
			return text == "true", nil
		}
		return nil, errors.New("is neither true nor false")
	case DateTime:
		if t, ok := ParseDateTime(text); ok {
			return t, nil
		}
		return nil, errors.New("is not a time such as 2020-01-31T23:59:59+00:00")
	default:
		return text, nil
	}
}

// rfc3339 refuses what time.Parse takes beyond RFC 3339: hours of one digit, and fractions after a comma.
var rfc3339 = pattern.Lazy(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`)

// ParseDateTime reads a time of RFC 3339 in the years 1 to 9999. It drops fractions of a second.
func ParseDateTime(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !rfc3339().MatchString(text) {
		return time.Time{}, false
	}
	t = time.Unix(t.Unix(), 0).UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}

// FormatDateTime writes a time in whole seconds, in UTC: 2020-01-31T23:59:59+00:00.
func FormatDateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

// stored returns a value as it is stored: a time in unix seconds, others unchanged.
func stored(value any) any {
	if t, ok := value.(time.Time); ok {
		return t.Unix()
	}
	return value
}

// read returns a stored value that SQLite has written as JSON. It is nil for a value that does not fit the field's
// type, which can change in the settings.
func (f Field) read(value any) any {
	if text, ok := value.(string); ok && f.Type == String {
		return text
	}
	number, ok := value.(json.Number)
	if !ok {
		return nil
	}
	n, err := number.Int64()
	switch {
	case f.Type == Float:
		v, _ := number.Float64() // infinite for 9e999, which is how SQLite writes infinity
		return v
	case err != nil:
		return nil
	case f.Type == Int && n >= math.MinInt32 && n <= math.MaxInt32:
		return int(n)
	case f.Type == Boolean && (n == 0 || n == 1):
		return n == 1
	case f.Type == DateTime:
		if t := time.Unix(n, 0).UTC(); t.Year() >= 1 && t.Year() <= 9999 {
			return t
		}
	}
	return nil
}

// CompilePattern compiles the pattern of a field to match whole texts; nil for "".
func CompilePattern(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	if _, err := regexp.Compile(pattern); err != nil { // by itself: "a)|(b" is an error
		return nil, err
	}
	return regexp.Compile(`\A(?:` + pattern + `)\z`)
}
