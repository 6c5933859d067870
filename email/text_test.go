package email

import (
	"strings"
	"testing"
)

func TestHTMLText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"no tags", "a  b\n c", "a b c"},
		{"entities", "a &lt;b&gt; &amp;amp; &#43;&nbsp;&euro; &unknown; &", "a <b> &amp; + € &unknown; &"},
		{"inline", "a<b>b</b> <i>c</i>d", "ab cd"},
		{"blocks", "<div>a<div>b</div></div>c<p>d</p><p>e</p>f", "a\nb\nc\n\nd\n\ne\n\nf"},
		{"breaks", "a<br>b<br/><br />c<br><br><br>d", "a\nb\n\nc\n\nd"},
		{"list", "<ul>\n<li>a</li>\n<li>b <b>c</b></li>\n</ul>", "- a\n- b c"},
		{"table", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		{"comments", "a<!-- <b> > -- x -->b<!DOCTYPE html>c<?xml ?>d<!-- e", "abcd"},
		{"head, style, script", "<html><head><title>t</title><style>p{a:b}</style></head><body>x<script>if (a < b " +
			"&& c > d) '</b>'</script><STYLE>s</Style>y</body>", "xy"},
		{"not displayed", `a<div style="x:y; display : NONE">b<div>c</div>d<br></div>e<span ` +
			`style="display:none">f</span>`, "ae"},
		{"image", `<img src="x.png" alt="Acme &amp; Co"> b<img src=y.png>`, "Acme & Co b"},
		{"link", `<a href="https://x.example/?a=1&amp;b=2">Go</a> on`, "Go\nhttps://x.example/?a=1&b=2\non"},
		{"link that is shown", `<a href="https://x.example/">Go</a><p>or https://x.example/</p>`,
			"Go\n\nor https://x.example/"},
		{"links that lead nowhere", `<a href="#top">up</a> <a>x</a> <a href="javascript:x">y</a></a>`, "up x y"},
		{"attributes", `<p title="a > b" data-x='"<i>'>c</p><a href=https://x.example/>d</a>`,
			"c\n\nd\nhttps://x.example/"},
		{"no tag", "1 < 2 > 0 <3 <", "1 < 2 > 0 <3 <"},
		{"a tag without an end", `a <b title="x`, "a"},
		{"an element without an end", "a<script>b", "a"},
		{"nested too deeply", strings.Repeat("<div>", 600) + "a", ""},
		{"closed too often", "</div>a</p></script>b", "a\n\nb"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := htmlText(test.in); got != test.want+"\n" {
				t.Errorf("%q, want %q", got, test.want+"\n")
			}
		})
	}
}

// FuzzHTMLText: htmlText terminates and returns normalised text.
func FuzzHTMLText(f *testing.F) {
	for _, seed := range []string{"<a href='x'>y</a>", "<style><p", "&#x3c;b>", strings.Repeat("<a ", 9),
		"İ<SCRIPT>İ</script>x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		text := htmlText(in)
		if strings.Contains(text, "\n\n\n") || strings.Contains(text, "  ") ||
			strings.TrimSpace(text) != strings.TrimSuffix(text, "\n") {
			t.Errorf("htmlText(%q): got %q, want no blank lines in a row and no double spaces", in, text)
		}
	})
}
