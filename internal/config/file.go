package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"accountd/internal/spelling"
)

// file sets the keys of a TOML document; name "" is the defaults. go-toml decodes it into a map, which finds all syntax
// errors. Its decoding into a struct would stop at the first wrong type, so keys are assigned here: a second walk over
// the syntax tree finds them in order, with their lines.
func (l *loader) file(name string, doc []byte) {
	w := walker{loader: l, name: name, done: map[string]bool{}}
	err := toml.Unmarshal(doc, &w.tree)
	if err == nil {
		for w.parser.Reset(doc); w.parser.NextExpression(); {
			w.expression(w.parser.Expression())
		}
		err = w.parser.Error()
	}
	if err == nil {
		return
	}
	p := Problem{
		Origin: name, Message: strings.TrimPrefix(err.Error(), "toml: "),
		Remedy: "see https://toml.io for what a file may look like",
	}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := at.Position()
		p.Origin = fmt.Sprintf("%s:%d:%d", name, line, column)
		p.Key = strings.Join(at.Key(), ".")
	}
	l.problem(p)
}

// walker finds the keys of a document.
type walker struct {
	loader *loader
	name   string
	tree   map[string]any // the decoded document
	parser unstable.Parser
	table  []string        // path of the current table
	skip   bool            // the keys of the current table are set or reported as a whole
	done   map[string]bool // keys of settings that have been set
}

func (w *walker) expression(n *unstable.Node) {
	if n.Kind == unstable.KeyValue {
		if !w.skip {
			w.pair(w.table, n)
		}
		return
	}
	path, line := w.path(n.Key())
	key := joinKey(path...)
	w.table, w.skip = path, true
	switch {
	case w.set(path, line, true):
	case !sections[key]:
		w.unknown(line, path, "", sortedKeys(sections))
	case n.Kind == unstable.Table:
		w.skip = false
	default:
		w.report(line, key, "", "has two pairs of brackets", "write ["+key+"]")
	}
}

// pair sets one key. An inline table may be a section: then its keys are set.
func (w *walker) pair(prefix []string, n *unstable.Node) {
	below, line := w.path(n.Key())
	path := slices.Concat(prefix, below)
	key := joinKey(path...)
	switch {
	case w.set(path, line, false):
	case !sections[key]:
		w.unknown(line, path, render(w.value(path)), sortedKeys(settings))
	case n.Value().Kind == unstable.InlineTable:
		for items := n.Value().Children(); items.Next(); {
			w.pair(path, items.Node())
		}
	default:
		w.report(line, key, render(w.value(path)), "is a section", "write ["+key+"] and its keys below it")
	}
}

// set sets the setting at path, or that which is a table and has path in it. It reports whether there is one. A table
// is set as a whole by the first of its keys. A header is never that of another setting.
func (w *walker) set(path []string, line int, isHeader bool) bool {
	for n := range path {
		part := path[:n+1]
		s, ok := settings[joinKey(part...)]
		if !ok || !s.isTable() && (isHeader || n+1 < len(path)) {
			continue
		}
		if !w.done[s.key] {
			w.done[s.key] = true
			value := w.value(part)
			w.loader.set(s, w.origin(line), render(value), func(v reflect.Value) error { return decode(v, value) })
		}
		return true
	}
	return false
}

// unknown reports a key that is not among the candidates, and suggests one of them, also one of another section.
func (w *walker) unknown(line int, path []string, value string, candidates []string) {
	key := joinKey(path...)
	if s, ok := settings[key]; ok { // such as [tokens.issuer]
		w.report(line, key, value, "is no section", s.remedy())
		return
	}
	remedy := "remove it; config.toml in the distribution lists every setting"
	name := "." + key[strings.LastIndexByte(key, '.')+1:]
	if i := slices.IndexFunc(candidates, func(c string) bool { return strings.HasSuffix("."+c, name) }); i >= 0 {
		remedy = "did you mean " + candidates[i] + "?"
	}
	w.report(line, key, value, "is no setting", spelling.Suggest(key, candidates, remedy))
}

func (w *walker) report(line int, key, value, message, remedy string) {
	w.loader.problem(Problem{Origin: w.origin(line), Key: key, Value: value, Message: message, Remedy: remedy})
}

func (w *walker) origin(line int) string {
	if w.name == "" {
		return ""
	}
	return w.name + ":" + strconv.Itoa(line)
}

// path returns the parts of a dotted key and its line.
func (w *walker) path(parts unstable.Iterator) (path []string, line int) {
	for parts.Next() {
		if line == 0 {
			line = w.parser.Shape(parts.Node().Raw).Start.Line
		}
		path = append(path, string(parts.Node().Data))
	}
	return path, line
}

// value returns the decoded value at path.
func (w *walker) value(path []string) any {
	var at any = w.tree
	for _, name := range path {
		table, _ := at.(map[string]any)
		at = table[name]
	}
	return at
}
