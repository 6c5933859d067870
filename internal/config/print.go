package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"accountd/accounts"
)

// Redacted returns the settings in force as a file that Load reads. Comments say where a value was set or that it is
// derived. There are no secrets in it: settings have none, and Load refuses a URL with a password.
func (c *Config) Redacted() string {
	derived := map[string]string{
		"server.public_url": c.PublicURL(), "tokens.issuer": c.issuer(), "tokens.keys_file": c.KeysFile(),
		"email.link_base": c.linkBase(), "email.spool_dir": c.SpoolDir(),
	}
	var b strings.Builder
	section := ""
	for _, s := range order {
		dot := strings.LastIndexByte(s.key, '.')
		if s.key[:dot] != section {
			section = s.key[:dot]
			fmt.Fprintf(&b, "\n[%s]\n", section)
		}
		value := s.value(c)
		comment := ""
		if origin := c.origins[s.key]; origin != "" {
			comment = " # " + strings.Map(func(r rune) rune {
				if unicode.IsControl(r) { // it would end the comment
					return '?'
				}
				return r
			}, origin)
		}
		if in, ok := derived[s.key]; ok && value == "" {
			value, comment = in, " # derived"
		}
		fmt.Fprintf(&b, "%s = %s%s\n", s.key[dot+1:], render(value), comment)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// joinKey writes a path as a dotted key of TOML, with quotes where it needs them.
func joinKey(path ...string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		if parts[i] = part; part == "" || !onlyAlphanumeric(part, "_-") {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// render writes a value as in a file, and tables inline. A table of unknown keys is "{…}".
func render(value any) string {
	v := reflect.ValueOf(value)
	var items []string
	switch typed := value.(type) {
	case nil:
		return ""
	case Duration, Size, rateList, singleRate:
		return quote(fmt.Sprint(value))
	case float64:
		text := strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(typed, 'g', -1, 64), "+"))
		if !strings.ContainsAny(text, ".ein") { // TOML would read an integer
			text += ".0"
		}
		return text
	case time.Time:
		return typed.Format(time.RFC3339)
	case map[string]any:
		return "{…}"
	case accounts.Field:
		for field, in := range v.Fields() {
			if key := field.Tag.Get("toml"); !in.IsZero() || key == "public" {
				items = append(items, key+" = "+render(in.Interface()))
			}
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		for i := range v.Len() {
			items = append(items, render(v.Index(i).Interface()))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			items = append(items, joinKey(key.String())+" = "+render(v.MapIndex(key).Interface()))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(value)
}

// quote writes a basic string of TOML.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}
