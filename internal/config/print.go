package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"accountd/accounts"
	"accountd/internal/ratelimit"
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
			if section != "" {
				b.WriteByte('\n')
			}
			section = s.key[:dot]
			fmt.Fprintf(&b, "[%s]\n", section)
		}
		value := s.value(c)
		comment := ""
		if origin := c.origins[s.key]; origin != "" {
			comment = " # " + strings.Map(printable, origin)
		}
		if in, ok := derived[s.key]; ok && value == "" {
			value, comment = in, " # derived"
		}
		fmt.Fprintf(&b, "%s = %s%s\n", s.key[dot+1:], render(value), comment)
	}
	return b.String()
}

// printable replaces control characters, which would end a comment.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
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
	case string:
		return quote(v)
	case []string:
		return renderList(v)
	case []any:
		return renderList(v)
	case Duration, Size:
		return quote(fmt.Sprint(v))
	case ratelimit.Rate:
		return quote(formatRates(v))
	case []ratelimit.Rate:
		return quote(formatRates(v...))
	case map[string]string:
		return renderTable(v)
	case map[string][]string:
		return renderTable(v)
	case []accounts.Field:
		return renderFields(v)
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

func renderList[T any](list []T) string {
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = render(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

// quote writes a basic string of TOML.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// renderTable writes an inline table.
func renderTable[T any](table map[string]T) string {
	items := make([]string, 0, len(table))
	for _, name := range sortedKeys(table) {
		items = append(items, joinKey([]string{name})+" = "+render(table[name]))
	}
	return "{" + strings.Join(items, ", ") + "}"
}

// renderFields writes a list of inline tables.
func renderFields(fields []accounts.Field) string {
	items := make([]string, len(fields))
	for i, f := range fields {
		v, keys := reflect.ValueOf(f), []string{}
		for j := range v.NumField() {
			name := v.Type().Field(j).Tag.Get("toml")
			if !v.Field(j).IsZero() || name == "public" {
				keys = append(keys, name+" = "+render(v.Field(j).Interface()))
			}
		}
		items[i] = "{" + strings.Join(keys, ", ") + "}"
	}
	return "[" + strings.Join(items, ", ") + "]"
}
