package email

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// htmlText is the visible text of an HTML document, with line breaks where blocks end. The address of a link follows
// its text, unless the document shows it anyway. It is "\n" for a document that is nested too deeply to be parsed.
func htmlText(document string) string {
	root, err := html.ParseWithOptions(strings.NewReader(document), html.ParseOptionEnableScripting(false))
	if err != nil {
		return "\n"
	}
	var shown textWriter
	shown.node(root)
	w := textWriter{addLink: func(address string) bool { return !strings.Contains(shown.b.String(), address) }}
	w.node(root)
	return strings.TrimSpace(w.b.String()) + "\n"
}

// textWriter collects text and the space between it.
type textWriter struct {
	addLink func(address string) bool // whether to write the address of a link; nil: never

	b     strings.Builder
	space bool // before the next word
	lines int  // line breaks before the next word
}

// Elements by what they do to the text around them.
var (
	paragraphs = []string{"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "dl", "blockquote", "pre", "hr"}
	blocks     = []string{
		"address", "article", "body", "center", "dd", "div", "dt", "footer", "form", "header", "li",
		"main", "nav", "section", "tr",
	}
	hidden = []string{"head", "iframe", "script", "style", "template", "title"}
)

func (w *textWriter) node(n *html.Node) {
	switch {
	case n.Type == html.TextNode:
		w.text(n.Data)
		return
	case n.Type != html.ElementNode && n.Type != html.DocumentNode, slices.Contains(hidden, n.Data), isUndisplayed(n):
		return
	}
	w.separate(n.Data)
	switch n.Data {
	case "br":
		w.lines = min(w.lines+1, 2)
	case "img":
		w.text(attribute(n, "alt"))
	case "li":
		w.text("- ")
	}
	for child := range n.ChildNodes() {
		w.node(child)
	}
	if n.Data == "a" {
		w.link(attribute(n, "href"))
	}
	w.separate(n.Data)
}

// separate puts space or line breaks before or after an element.
func (w *textWriter) separate(element string) {
	switch {
	case slices.Contains(paragraphs, element):
		w.lines = 2
	case slices.Contains(blocks, element):
		w.lines = max(w.lines, 1)
	case element == "td" || element == "th":
		w.space = true
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func isUndisplayed(n *html.Node) bool {
	style := strings.Join(strings.Fields(strings.ToLower(attribute(n, "style"))), "")
	return strings.Contains(style, "display:none")
}

func (w *textWriter) link(address string) {
	isWeb := strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://")
	if !isWeb || w.addLink == nil || !w.addLink(address) {
		return
	}
	w.lines = max(w.lines, 1)
	w.text(address)
	w.lines = max(w.lines, 1)
}

// text writes words. White space of any length is one space, as in HTML.
func (w *textWriter) text(s string) {
	words := strings.Fields(s)
	if len(words) == 0 {
		w.space = w.space || s != ""
		return
	}
	switch {
	case w.b.Len() == 0:
	case w.lines > 0:
		w.b.WriteString(strings.Repeat("\n", w.lines))
	case w.space || !strings.HasPrefix(s, words[0]):
		w.b.WriteByte(' ')
	}
	w.b.WriteString(strings.Join(words, " "))
	w.lines, w.space = 0, !strings.HasSuffix(s, words[len(words)-1])
}
