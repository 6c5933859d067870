package config

import (
	"reflect"
	"slices"
	"strings"
	"time"
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
	as            reflect.Type // the type that is read and printed: Duration, Size, int or typ
	unit          int64        // of a number: a Size is this many times the value of the field
	min, max, one string
}

// order has every setting in the order of config.toml.
var (
	order    = describeAll()
	settings = byKey(order)
	sections = sectionsOf(order)
)

func describeAll() []setting {
	place := map[string]int{} // of keys and sections in config.toml
	section := ""
	for line := range strings.Lines(string(defaults)) {
		if line[0] == '[' {
			section = strings.Trim(line, "[]\n")
			place[section] = len(place)
		} else if name, _, ok := strings.Cut(line, " = "); ok {
			place[section+"."+name] = len(place)
		}
	}
	all := describe(reflect.TypeFor[Config](), nil)
	slices.SortFunc(all, func(a, b setting) int { return place[a.key] - place[b.key] })
	return all
}

// describe returns the settings in a struct and in the structs inside it. index is the path of the struct in Config.
func describe(t reflect.Type, index []int) (found []setting) {
	for i := range t.NumField() {
		field := t.Field(i)
		key, at := field.Tag.Get("toml"), append(slices.Clone(index), i)
		switch {
		case key == "" && field.IsExported() && field.Type.Kind() == reflect.Struct:
			found = append(found, describe(field.Type, at)...)
		case key != "" && key != "-":
			found = append(found, describeField(field, key, at))
		}
	}
	return found
}

func describeField(field reflect.StructField, key string, index []int) setting {
	tag := field.Tag
	s := setting{
		key: key, env: envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_")),
		index: index, typ: field.Type, as: field.Type, unit: 1,
		min: tag.Get("min"), max: tag.Get("max"), one: tag.Get("one"),
	}
	switch {
	case s.typ == reflect.TypeFor[time.Duration]():
		s.as = reflect.TypeFor[Duration]()
	case strings.HasSuffix(s.max, "B"):
		s.as = reflect.TypeFor[Size]()
		if tag.Get("unit") == "KiB" {
			s.unit = 1024
		}
	case reflect.Zero(s.typ).CanUint():
		s.as = reflect.TypeFor[int]()
	}
	return s
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
