package config

import (
	"fmt"
	"reflect"
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
func joinKey(path []string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		if parts[i] = part; part == "" || !onlyAlphanumeric(part, "_-") {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// render writes a value as in a file. A table of unknown keys is "{…}".
func render(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string, Toggle, Duration, Size, rateList, singleRate:
		return quote(fmt.Sprint(v))
	case []string:
		return renderList(v, quote)
	case []any:
		return renderList(v, render)
	case map[string]string:
		return renderTable(v)
	case map[string][]string:
		return renderTable(v)
	case []accounts.Field:
		return renderList(v, renderField)
	case float64:
		text := strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(v, 'g', -1, 64), "+"))
		if !strings.ContainsAny(text, ".ein") { // TOML would read an integer
			text += ".0"
		}
		return text
	case time.Time:
		return v.Format(time.RFC3339)
	case map[string]any:
		return "{…}"
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.String {
		return quote(v.String())
	}
	return fmt.Sprint(value)
}

func renderList[T any](list []T, render func(T) string) string {
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = render(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
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

// renderTable writes an inline table.
func renderTable[T any](table map[string]T) string {
	items := make([]string, 0, len(table))
	for _, name := range sortedKeys(table) {
		items = append(items, joinKey([]string{name})+" = "+render(table[name]))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// renderField writes an inline table of the keys that are not zero.
func renderField(f accounts.Field) string {
	var items []string
	v := reflect.ValueOf(f)
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("toml")
		if !v.Field(i).IsZero() || name == "public" {
			items = append(items, name+" = "+render(v.Field(i).Interface()))
		}
	}
	return "{" + strings.Join(items, ", ") + "}"
}
