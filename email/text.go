package email

import (
	"html"
	"regexp"
	"slices"
	"strings"

	"accountd/internal/pattern"
)

// htmlText is the text of an HTML document: what of it is seen, without tags, with entities decoded and with lines
// where blocks end. A link shows its address, unless the text has it anyway. It is for documents of our own templates,
// and gives something readable for any input.
func htmlText(document string) string {
	seen := (&textWriter{}).read(document)
	w := &textWriter{follow: func(address string) bool { return !strings.Contains(seen, address) }}
	return w.read(document) + "\n"
}

// textWriter collects text and the space between it.
type textWriter struct {
	follow func(address string) bool // whether to write the address of a link; nil: of none

	b     strings.Builder
	space bool // before the next word
	lines int  // before the next word
	links []string
}

// Elements by what they do to the text around them.
var (
	paragraphs = []string{"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "blockquote", "pre", "hr"}
	blocks     = []string{"address", "article", "body", "center", "dd", "div", "dt", "footer", "form", "header", "li", "main", "nav", "section", "tr"}
	cells      = []string{"td", "th"}
	unseen     = []string{"head", "script", "style", "template", "title"}
	void       = []string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}

	// raw have no tags inside: each with how its closing tag begins.
	raw = map[string]func() *regexp.Regexp{
		"script": pattern.Lazy(`(?i)</script`), "style": pattern.Lazy(`(?i)</style`), "title": pattern.Lazy(`(?i)</title`),
	}
)

var (
	tagPattern    = pattern.Lazy(`(?s)^<(/?)([A-Za-z][A-Za-z0-9:-]*)((?:"[^"]*"|'[^']*'|[^"'>])*)>`)
	tagBegin      = pattern.Lazy(`^</?[A-Za-z]`)
	attribute     = pattern.Lazy(`(?s)([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
	hiddenByStyle = pattern.Lazy(`(?i)display\s*:\s*none`)
)

func (w *textWriter) read(document string) string {
	hidden, depth := "", 0 // the element that hides all inside it, and how many of its name are open
	for document != "" {
		next := strings.IndexByte(document, '<')
		if next != 0 {
			text := document
			if next > 0 {
				text = document[:next]
			}
			document = document[len(text):]
			if hidden == "" {
				w.text(text)
			}
			continue
		}
		if strings.HasPrefix(document, "<!") || strings.HasPrefix(document, "<?") {
			document = afterDeclaration(document)
			continue
		}
		tag := tagPattern().FindStringSubmatch(document)
		if tag == nil && tagBegin().MatchString(document) {
			break // a tag that never ends: browsers show nothing after it
		}
		if tag == nil {
			if hidden == "" {
				w.text("<")
			}
			document = document[1:]
			continue
		}
		document = document[len(tag[0]):]
		closing, name, attributes := tag[1] == "/", strings.ToLower(tag[2]), attributesOf(tag[3])
		switch {
		case hidden == name && closing:
			if depth--; depth == 0 {
				hidden = ""
			}
		case hidden == name:
			depth++
		case hidden != "":
		case !closing && !slices.Contains(void, name) && (slices.Contains(unseen, name) || hiddenByStyle().MatchString(attributes["style"])):
			hidden, depth = name, 1
			if end, ok := raw[name]; ok {
				document = fromMatch(document, end())
			}
		default:
			w.tag(name, closing, attributes)
		}
	}
	return strings.TrimSpace(w.b.String())
}

func afterDeclaration(document string) string {
	end := ">"
	if strings.HasPrefix(document, "<!--") {
		end = "-->"
	}
	_, rest, _ := strings.Cut(document, end)
	return rest
}

// fromMatch is the document from what matches on; nothing where nothing does.
func fromMatch(document string, pattern *regexp.Regexp) string {
	if at := pattern.FindStringIndex(document); at != nil {
		return document[at[0]:]
	}
	return ""
}

func attributesOf(text string) map[string]string {
	found := map[string]string{}
	for _, match := range attribute().FindAllStringSubmatch(text, -1) {
		found[strings.ToLower(match[1])] = html.UnescapeString(match[2] + match[3] + match[4])
	}
	return found
}

func (w *textWriter) tag(name string, closing bool, attributes map[string]string) {
	switch {
	case name == "br":
		w.lines = min(w.lines+1, 2)
	case name == "img":
		w.text(attributes["alt"])
	case name == "a" && closing:
		if last := len(w.links) - 1; last >= 0 {
			address := w.links[last]
			w.links = w.links[:last]
			w.address(address)
		}
	case name == "a":
		w.links = append(w.links, attributes["href"])
	case slices.Contains(paragraphs, name):
		w.lines = 2
	case slices.Contains(blocks, name):
		w.lines = max(w.lines, 1)
		if name == "li" && !closing {
			w.text("- ")
		}
	case slices.Contains(cells, name):
		w.space = true
	}
}

func (w *textWriter) address(address string) {
	if w.follow == nil || !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") || !w.follow(address) {
		return
	}
	w.lines = max(w.lines, 1)
	w.text(address)
	w.lines = max(w.lines, 1)
}

// text writes words. White space of any length is one space, as in HTML.
func (w *textWriter) text(s string) {
	s = html.UnescapeString(s)
	words := strings.Fields(s)
	if len(words) == 0 {
		w.space = w.space || s != ""
		return
	}
	switch {
	case w.b.Len() == 0:
	case w.lines > 0:
		w.b.WriteString(strings.Repeat("\n", w.lines))
	case w.space || s[0] != words[0][0]:
		w.b.WriteByte(' ')
	}
	w.b.WriteString(strings.Join(words, " "))
	last := words[len(words)-1]
	w.lines, w.space = 0, !strings.HasSuffix(s, last)
}
