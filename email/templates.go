package email

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	texttemplate "text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"accountd/internal/pattern"
	"accountd/internal/spelling"
)

//go:embed templates
var embedded embed.FS

// layoutFile is the layout of all HTML templates.
const layoutFile = "layout.html"

// templates are the templates of one kind.
type templates struct {
	subject, text *texttemplate.Template // text may be nil: it is made from the HTML then
	html          *htmltemplate.Template
}

var functions = map[string]any{"when": when}

// execute returns the texts of a message and joins the errors of all templates. Line ends are those of the templates.
func (t *templates) execute(c content) (Message, error) {
	var subject, text, html strings.Builder
	errs := []error{t.subject.Execute(&subject, c), t.html.Execute(&html, c)}
	out := Message{Subject: subject.String(), HTML: html.String()}
	if t.text == nil {
		out.Text = htmlText(out.HTML)
	} else {
		errs = append(errs, t.text.Execute(&text, c))
		out.Text = text.String()
	}
	return out, errors.Join(errs...)
}

// parseTemplates parses and checks the kinds with an override. Tests check the embedded templates, which are parsed
// at their first message: parsing them all took a tenth of the start.
func (c *Composer) parseTemplates() (map[Kind]func() *templates, error) {
	p := parser{dir: c.settings.TemplatesDir, files: map[string]string{}, problems: map[string]bool{}}
	p.readDir()
	parsed := map[Kind]func() *templates{}
	for _, kind := range kinds {
		if subject, text, html := kind.files(); !p.overrides(subject, text, html, layoutFile) {
			embedded := parser{problems: map[string]bool{}}
			parsed[kind] = sync.OnceValue(func() *templates { return embedded.parse(kind) })
		} else if t := p.parse(kind); t != nil {
			parsed[kind] = func() *templates { return t }
			p.check(c, kind, t)
		}
	}
	if len(p.problems) > 0 {
		lines := slices.Sorted(maps.Keys(p.problems))
		return nil, errors.New("the email templates cannot be used:\n" + strings.Join(lines, "\n"))
	}
	return parsed, nil
}

// parser parses templates and collects their problems.
type parser struct {
	dir      string
	files    map[string]string // overrides by name
	problems map[string]bool   // lines of the error; a problem of the layout occurs in every kind
}

// problem collects what is wrong at a place, such as "FILE" or "FILE:LINE".
func (p *parser) problem(at, text string) { p.problems["  "+at+": "+text] = true }

// shown is the name of a template for messages.
func (p *parser) shown(name string) string {
	if _, ok := p.files[name]; ok {
		return filepath.Join(p.dir, name)
	}
	return "embedded " + name
}

// file returns the text of a template.
func (p *parser) file(name string) string {
	if text, ok := p.files[name]; ok {
		return text
	}
	text, err := embedded.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // only for a kind without embedded templates
	}
	return string(text)
}

// overrides reports whether one of the templates is overridden.
func (p *parser) overrides(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := p.files[name]; return ok })
}

// parse returns nil if a template of the kind has a problem.
func (p *parser) parse(kind Kind) *templates {
	subject, text, html := kind.files()
	t := &templates{subject: p.text(subject), text: p.text(text), html: p.html(html)}
	if t.subject == nil || t.text == nil || t.html == nil {
		return nil
	}
	if p.overrides(html) && !p.overrides(text) {
		t.text = nil // the embedded text would differ from the message
	}
	return t
}

// text returns nil if the template has a problem, like html.
func (p *parser) text(name string) *texttemplate.Template {
	t, err := texttemplate.New(name).Funcs(functions).Option("missingkey=error").Parse(p.file(name))
	p.failed(name, err)
	return t
}

// html parses a template that fills the blocks of the layout, or is a whole document.
func (p *parser) html(name string) *htmltemplate.Template {
	layout, err := htmltemplate.New(layoutFile).Funcs(functions).Option("missingkey=error").Parse(p.file(layoutFile))
	if p.failed(layoutFile, err) {
		return nil
	}
	t, err := layout.New(name).Parse(p.file(name))
	if p.failed(name, err) {
		return nil
	}
	if t.Tree == nil || parse.IsEmptyTree(t.Tree.Root) {
		return layout
	}
	return t
}

// check composes messages of a kind: a template that can be parsed may still use unknown data.
func (p *parser) check(c *Composer, kind Kind, t *templates) {
	at := time.Unix(0, 0)
	for _, sparse := range []bool{false, true} {
		m := c.sample(kind, at, sparse)
		out, err := t.execute(c.content(m, at))
		if err != nil {
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() { // of errors.Join
				p.failed(string(kind), err)
			}
			return
		}
		subject, text, html := kind.files()
		p.checkSubject(p.shown(subject), out.Subject)
		p.checkBody(p.shown(html), htmlText(out.HTML), m.Token)
		if t.text != nil {
			p.checkBody(p.shown(text), out.Text, m.Token)
		}
	}
}

// checkBody checks the visible text.
func (p *parser) checkBody(file, text, token string) {
	switch {
	case strings.TrimSpace(text) == "":
		p.problem(file, "shows no text")
	case !strings.Contains(text, token):
		p.problem(file, "shows neither {{.Link}} nor {{.Token}}: the reader needs one of them")
	}
}

// maxSubject bounds a subject, in characters. Mail programs show about 60.
const maxSubject = 200

func (p *parser) checkSubject(file, subject string) {
	subject = strings.TrimSpace(subject)
	switch {
	case subject == "":
		p.problem(file, "is empty: write the subject into it, in one line")
	case strings.ContainsAny(subject, "\r\n"):
		p.problem(file, "has more than one line: a subject is one")
	case utf8.RuneCountInString(subject) > maxSubject:
		p.problem(file, fmt.Sprintf("makes a subject of more than %d characters: mail programs show the first 60",
			maxSubject))
	}
}

var (
	templateError = pattern.Lazy(`(?s)^(?:html/)?template: ?([^:\s]+):(?:(\d+)(?::\d+)?:)? (.*)$`)
	executing     = pattern.Lazy(`(?s)^executing "[^"]*" at (<.*?>): (.*)$`)
	unknownField  = pattern.Lazy(`^can't evaluate field (\w+) in type (.+)$`)
	unknownKey    = pattern.Lazy(`^map has no entry for key "(.*)"$`)
)

// failed translates an error of a template package into a problem. It reports whether there is one.
func (p *parser) failed(name string, err error) bool {
	if err == nil {
		return false
	}
	match := templateError().FindStringSubmatch(err.Error())
	if match == nil {
		match = []string{"", name, "", err.Error()}
	}
	file := p.shown(match[1])
	if line := match[2]; line != "" {
		file += ":" + line
	}
	text, _, _ := strings.Cut(match[3], ": {state") // html/template adds its internal state
	if at := executing().FindStringSubmatch(text); at != nil {
		text = at[1] + ": " + reason(at[1], at[2])
	}
	p.problem(file, strings.ReplaceAll(text, "\n", " "))
	return true
}

func reason(at, text string) string {
	if field := unknownField().FindStringSubmatch(text); field != nil {
		names := variables
		if field[2] == "email.User" {
			names = userVariables
		}
		return "there is no " + field[1] + ": " + spelling.Suggest(field[1], names,
			"possible are "+strings.Join(names, ", "))
	}
	if key := unknownKey().FindStringSubmatch(text); key != nil {
		if strings.Contains(at, "Fields") {
			return "there is no public field " + key[1] + " in [[accounts.fields]]"
		}
		return "there is no " + key[1] + ": add it to [email.variables]"
	}
	return text
}
