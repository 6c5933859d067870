package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// file sets the keys of a TOML document; name "" is the defaults. go-toml decodes it into a map, which finds all syntax
// errors. Its decoding into a struct would stop at the first wrong type, so keys are assigned here: a second walk over
// the syntax tree finds them in order, with their lines.
func (l *loader) file(name string, doc []byte) {
	tree := map[string]any{}
	if err := toml.Unmarshal(doc, &tree); err != nil {
		l.problem(syntaxProblem(name, err))
		return
	}
	w := walker{loader: l, name: name, tree: tree, whole: map[string]bool{}}
	w.parser.Reset(doc)
	for w.parser.NextExpression() {
		w.expression(w.parser.Expression())
	}
	if err := w.parser.Error(); err != nil {
		l.problem(syntaxProblem(name, err))
	}
}

func syntaxProblem(name string, err error) Problem {
	p := Problem{
		Origin: name, Message: strings.TrimPrefix(err.Error(), "toml: "),
		Remedy: "see https://toml.io for what a file may look like",
	}
	if at, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := at.Position()
		p.Origin = fmt.Sprintf("%s:%d:%d", name, line, column)
		p.Key = strings.Join(at.Key(), ".")
	}
	return p
}

// walker finds the keys of a document.
type walker struct {
	loader *loader
	name   string
	tree   map[string]any // the decoded document
	parser unstable.Parser
	table  []string        // path of the current table
	skip   bool            // the keys of the current table are set or reported as a whole
	whole  map[string]bool // keys of the settings of isTable that have been set
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

// pair sets one key. An inline table may be a section: then its keys are set.
func (w *walker) pair(prefix []string, n *unstable.Node) {
	below, line := w.path(n.Key())
	path := slices.Concat(prefix, below)
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

// applyWhole reports whether path is, or is inside, a setting that is a table. The first call for a table sets all of
// it.
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
	if s, ok := settings[key]; ok { // such as [tokens.issuer]
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
		table, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = table[name]
	}
	return at
}
