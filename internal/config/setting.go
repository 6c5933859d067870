package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

const envPrefix = "ACCOUNTD_"

// setting is one key, as the tags of the field that has its value describe it:
//
//	toml:"tokens.leeway"   the key; "-": the fields of this struct are decoded elsewhere
//	min:"0s" max:"60s"     the bounds of a number; a unit of bytes, as in "64KiB", makes it a size
//	unit:"KiB"             the unit of a size in its field, instead of bytes
//	one:"rotate,keep"      the words that a text can be
type setting struct {
	key           string
	env           string // "ACCOUNTD_TOKENS_LEEWAY"
	index         []int  // of the field in Config
	typ           reflect.Type
	as            reflect.Type // the type that is read and printed: of readAs, Size or typ
	unit          int64        // of a number: a Size is this many times the value of the field
	min, max, one string
}

// readAs has the types of fields that are read and printed as another type.
var readAs = map[reflect.Type]reflect.Type{
	reflect.TypeFor[time.Duration]():    reflect.TypeFor[Duration](),
	reflect.TypeFor[ratelimit.Rate]():   reflect.TypeFor[singleRate](),
	reflect.TypeFor[[]ratelimit.Rate](): reflect.TypeFor[rateList](),
	reflect.TypeFor[uint8]():            reflect.TypeFor[int](),
	reflect.TypeFor[uint32]():           reflect.TypeFor[int](),
}

var (
	settings = map[string]setting{} // by key
	sections = map[string]bool{}    // the headers of config.toml
	order    []setting              // every setting, in the order of config.toml
)

func init() {
	describe(reflect.TypeFor[Config](), nil)
	section := ""
	for line := range strings.Lines(string(defaults)) {
		name, _, _ := strings.Cut(line, " = ")
		key, isHeader := section+"."+name, line[0] == '['
		if isHeader {
			section = strings.Trim(line, "[]\n")
			key = section
		}
		if s, ok := settings[key]; ok { // also by the header of a table whose keys are free
			order = append(order, s)
		} else if isHeader {
			sections[section] = true
		}
	}
}

// describe adds the settings in a struct and in the structs inside it. index is the path of the struct in Config.
func describe(t reflect.Type, index []int) {
	for field := range t.Fields() {
		tag, at := field.Tag, slices.Concat(index, field.Index)
		key := tag.Get("toml")
		if key == "" && field.IsExported() && field.Type.Kind() == reflect.Struct {
			describe(field.Type, at)
		}
		if key == "" || key == "-" {
			continue
		}
		s := setting{
			key: key, env: envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
			index: at, typ: field.Type, as: cmp.Or(readAs[field.Type], field.Type), unit: 1,
			min: tag.Get("min"), max: tag.Get("max"), one: tag.Get("one"),
		}
		if strings.HasSuffix(s.max, "B") {
			s.as = reflect.TypeFor[Size]()
		}
		if tag.Get("unit") == "KiB" {
			s.unit = 1024
		}
		settings[key] = s
	}
}

// isTable reports whether the setting is a table, or a list of tables, instead of one value.
func (s setting) isTable() bool {
	return s.typ.Kind() == reflect.Map || s.typ == reflect.TypeFor[[]accounts.Field]()
}

// in returns the setting's field in c.
func (s setting) in(c *Config) reflect.Value { return reflect.ValueOf(c).Elem().FieldByIndex(s.index) }

// value returns the setting in c, of the type s.as.
func (s setting) value(c *Config) any {
	v := reflect.New(s.as).Elem()
	v.Set(s.in(c).Convert(s.as))
	if s.unit != 1 {
		v.SetInt(v.Int() * s.unit)
	}
	return v.Interface()
}

// store sets the field in c to a value of the type s.as.
func (s setting) store(c *Config, v reflect.Value) {
	if s.unit != 1 {
		v.SetInt(v.Int() / s.unit)
	}
	s.in(c).Set(v.Convert(s.typ))
}
