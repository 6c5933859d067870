package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

// file applies a TOML document; name "" is the defaults. go-toml decodes it, which finds every violation of
// TOML; its own strict decoding into a struct would stop at the first wrong type, so the assignment is ours and
// a second walk over the syntax tree says which line each key is on.
func (l *loader) file(name string, doc []byte) {
	tree := map[string]any{}
	if err := toml.Unmarshal(doc, &tree); err != nil {
		l.problem(syntaxProblem(name, err))
		return
	}
	w := walker{loader: l, name: name, tree: tree, doc: doc, whole: map[string]bool{}}
	w.parser.Reset(doc)
	for w.parser.NextExpression() {
		w.expression(w.parser.Expression())
	}
	if err := w.parser.Error(); err != nil {
		l.problem(syntaxProblem(name, err))
	}
}

func syntaxProblem(name string, err error) Problem {
	p := Problem{Origin: name, Message: strings.TrimPrefix(err.Error(), "toml: "), Remedy: "see https://toml.io for what a file may look like"}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := at.Position()
		p.Origin = fmt.Sprintf("%s:%d:%d", name, line, column)
		p.Key = strings.Join(at.Key(), ".")
	}
	return p
}

type walker struct {
	loader *loader
	name   string
	tree   map[string]any
	doc    []byte
	parser unstable.Parser
	table  []string        // the path of the table that the walk is in
	skip   bool            // that table was reported, or applied, already
	whole  map[string]bool // settings that are tables and were applied, by key
}

func (w *walker) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table, unstable.ArrayTable:
		path, line := w.path(n.Key())
		w.table, w.skip = path, false
		key := joinKey(path)
		switch {
		case w.applyWhole(path, line):
			w.skip = true
		case n.Kind == unstable.Table && sections[key]:
		case sections[key]:
			w.report(line, key, "", "has two pairs of brackets", "write ["+key+"]")
		default:
			w.unknown(line, path, "", sortedKeys(sections))
		}
	case unstable.KeyValue:
		if !w.skip {
			w.pair(w.table, n)
		}
	}
}

// pair applies one key with its value, and an inline table as the section that it stands for.
func (w *walker) pair(prefix []string, n *unstable.Node) {
	below, line := w.path(n.Key())
	path := append(append([]string{}, prefix...), below...)
	key := joinKey(path)
	value := w.value(path)
	if w.applyWhole(path, line) {
		return
	}
	if s, ok := settings[key]; ok {
		w.apply(s, line, value)
		return
	}
	inline := n.Value().Kind == unstable.InlineTable
	switch {
	case sections[key] && inline:
		for items := n.Value().Children(); items.Next(); {
			w.pair(path, items.Node())
		}
	case sections[key]:
		w.report(line, key, render(value), "is a section", "write ["+key+"] and its keys below it")
	default:
		w.unknown(line, path, render(value), sortedKeys(settings))
	}
}

func (w *walker) apply(s setting, line int, value any) {
	origin := ""
	if w.name != "" {
		origin = w.origin(line)
	}
	w.loader.set(s, origin, render(value), value)
}

// applyWhole applies a setting that is a table, at the first sight of it or of anything in it, and says whether path is
// one or lies in one.
func (w *walker) applyWhole(path []string, line int) bool {
	for n := range len(path) {
		key := joinKey(path[:n+1])
		s, ok := settings[key]
		if !ok || !s.isTable() {
			continue
		}
		if !w.whole[key] {
			w.whole[key] = true
			w.apply(s, line, w.value(path[:n+1]))
		}
		return true
	}
	return false
}

func (w *walker) unknown(line int, path []string, value string, candidates []string) {
	key := joinKey(path)
	otherwise := "remove it; config.toml in the distribution lists every setting"
	if s, ok := settings[key]; ok { // [tokens.issuer]
		w.report(line, key, value, "is no section", s.remedy())
		return
	}
	w.report(line, key, value, "is no setting", suggestKey(key, candidates, otherwise))
}

func (w *walker) report(line int, key, value, message, remedy string) {
	w.skip = w.skip || value == ""
	w.loader.problem(Problem{Origin: w.origin(line), Key: key, Value: value, Message: message, Remedy: remedy})
}

func (w *walker) origin(line int) string { return w.name + ":" + strconv.Itoa(line) }

// path reads a dotted key and the line that it begins on.
func (w *walker) path(parts unstable.Iterator) (path []string, line int) {
	for parts.Next() {
		if line == 0 {
			start := w.parser.Shape(parts.Node().Raw).Start
			line = start.Line
		}
		path = append(path, string(parts.Node().Data))
	}
	return path, line
}

func (w *walker) value(path []string) any {
	var at any = w.tree
	for _, name := range path {
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[name]
	}
	return at
}

// joinKey writes a path as TOML would, so that a quoted "server.listen" is not taken for listen in [server].
func joinKey(path []string) string {
	parts := make([]string, len(path))
	for i, part := range path {
		bare := part != "" && !strings.ContainsFunc(part, func(r rune) bool {
			return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
		if parts[i] = part; !bare {
			parts[i] = quote(part)
		}
	}
	return strings.Join(parts, ".")
}

// render writes a decoded value as the file would have it.
func render(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return quote(v)
	case []string:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = quote(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = render(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
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
		if !strings.ContainsAny(text, ".ein") { // a whole number, which TOML would take for an integer
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

// quote is a TOML basic string.
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
