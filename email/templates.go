package email

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strconv"
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
	p := parser{dir: c.settings.TemplatesDir, files: map[string]string{}}
	p.readDir()
	parsed := map[Kind]func() *templates{}
	for _, kind := range kinds {
		if !p.overrides(kind) {
			parsed[kind] = sync.OnceValue(func() *templates { return parseEmbedded(kind) })
		} else if t := p.parse(kind); t != nil {
			parsed[kind] = func() *templates { return t }
			p.check(c, kind, t)
		}
	}
	return parsed, p.err()
}

func parseEmbedded(kind Kind) *templates {
	var p parser
	t := p.parse(kind)
	if err := p.err(); err != nil {
		panic(err)
	}
	return t
}

// parser parses templates and collects their problems.
type parser struct {
	dir      string
	files    map[string]string // overrides by name
	problems []problem
}

// problem is an error in a template.
type problem struct {
	file string // as shown
	line int    // 0: the whole file
	text string
}

func (p *parser) problem(name string, line int, text string) {
	file := "embedded " + name
	if _, ours := p.files[name]; ours || !isTemplate(name) {
		file = p.path(name)
	}
	// A problem of the layout occurs in every kind.
	if found := (problem{file, line, text}); !slices.Contains(p.problems, found) {
		p.problems = append(p.problems, found)
	}
}

func (p *parser) err() error {
	if len(p.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(p.problems, func(a, b problem) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line)
	})
	lines := []string{"the email templates cannot be used:"}
	for _, found := range p.problems {
		at := found.file
		if found.line > 0 {
			at += ":" + strconv.Itoa(found.line)
		}
		lines = append(lines, "  "+at+": "+found.text)
	}
	return errors.New(strings.Join(lines, "\n"))
}

// file returns the text of a template and whether it is an override.
func (p *parser) file(name string) (string, bool) {
	if text, ok := p.files[name]; ok {
		return text, true
	}
	text, err := embedded.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // only for a kind without embedded templates
	}
	return string(text), false
}

// overrides reports whether a template of the kind is overridden.
func (p *parser) overrides(kind Kind) bool {
	for _, name := range []string{string(kind) + ".subject", string(kind) + ".txt", string(kind) + ".html",
		layoutFile} {
		if _, ok := p.files[name]; ok {
			return true
		}
	}
	return false
}

// parse returns nil if a template of the kind has a problem.
func (p *parser) parse(kind Kind) *templates {
	subjectFile, textFile, htmlFile := string(kind)+".subject", string(kind)+".txt", string(kind)+".html"
	subject, _ := p.file(subjectFile)
	text, textIsOurs := p.file(textFile)
	html, htmlIsOurs := p.file(htmlFile)
	layout, _ := p.file(layoutFile)

	var t templates
	var errs [4]error
	t.subject, errs[0] = texttemplate.New(subjectFile).Funcs(functions).Option("missingkey=error").Parse(subject)
	t.text, errs[1] = texttemplate.New(textFile).Funcs(functions).Option("missingkey=error").Parse(text)
	t.html, errs[2] = htmltemplate.New(layoutFile).Funcs(functions).Option("missingkey=error").Parse(layout)
	if errs[2] == nil {
		var own *htmltemplate.Template
		own, errs[3] = t.html.New(htmlFile).Parse(html)
		if errs[3] == nil && own.Tree != nil && !parse.IsEmptyTree(own.Tree.Root) {
			t.html = own // a whole document, not just blocks of the layout
		}
	}
	broken := false
	for i, name := range []string{subjectFile, textFile, layoutFile, htmlFile} {
		if errs[i] != nil {
			p.failed(name, errs[i])
			broken = true
		}
	}
	if broken {
		return nil
	}
	if htmlIsOurs && !textIsOurs {
		t.text = nil // the embedded text would differ from the message
	}
	return &t
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
		p.checkSubject(string(kind)+".subject", out.Subject)
		p.checkBody(string(kind)+".html", htmlText(out.HTML), m.Token)
		if t.text != nil {
			p.checkBody(string(kind)+".txt", out.Text, m.Token)
		}
	}
}

// checkBody checks the visible text.
func (p *parser) checkBody(name, text, token string) {
	switch {
	case strings.TrimSpace(text) == "":
		p.problem(name, 0, "shows no text")
	case !strings.Contains(text, token):
		p.problem(name, 0, "shows neither {{.Link}} nor {{.Token}}: the reader needs one of them")
	}
}

// maxSubject bounds a subject, in characters. Mail programs show about 60.
const maxSubject = 200

func (p *parser) checkSubject(name, subject string) {
	subject = strings.TrimSpace(subject)
	switch {
	case subject == "":
		p.problem(name, 0, "is empty: write the subject into it, in one line")
	case strings.ContainsAny(subject, "\r\n"):
		p.problem(name, 0, "has more than one line: a subject is one")
	case utf8.RuneCountInString(subject) > maxSubject:
		p.problem(name, 0, fmt.Sprintf("makes a subject of more than %d characters: mail programs show the first 60",
			maxSubject))
	}
}

var (
	templateError = pattern.Lazy(`(?s)^(?:html/)?template: ?([^:\s]+):(?:(\d+)(?::\d+)?:)? (.*)$`)
	executing     = pattern.Lazy(`(?s)^executing "[^"]*" at (<.*?>): (.*)$`)
	unknownField  = pattern.Lazy(`^can't evaluate field (\w+) in type (.+)$`)
	unknownKey    = pattern.Lazy(`^map has no entry for key "(.*)"$`)
)

// failed translates an error of a template package into a problem.
func (p *parser) failed(name string, err error) {
	match := templateError().FindStringSubmatch(err.Error())
	if match == nil {
		p.problem(name, 0, err.Error())
		return
	}
	line, _ := strconv.Atoi(match[2])               // "" means the whole file
	text, _, _ := strings.Cut(match[3], ": {state") // html/template adds its internal state
	if at := executing().FindStringSubmatch(text); at != nil {
		text = at[1] + ": " + reason(at[1], at[2])
	}
	p.problem(match[1], line, strings.ReplaceAll(text, "\n", " "))
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
