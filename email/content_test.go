package email

import (
	"strings"
	"testing"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"ada":                               "ada",
		"ada.lovelace@example.com":          "ada.lovelace@example.com",
		"Ada  Byron\tLovelace":              "Ada Byron Lovelace",
		"AC/DC jr.":                         "AC/DC jr.",
		"ada.www.x":                         "ada.www.x",
		"swww.x":                            "swww.x",
		"عائشة":                             "عائشة",
		"می\u200cخواهم":                     "می\u200cخواهم",
		"http://evil.example":               "http evil . example",
		"HTTPS://Evil.example/x":            "HTTPS Evil . example/x",
		"://":                               "",
		"www.evil.example":                  "www . evil . example",
		"(WWW.evil.example)":                "(WWW . evil . example)",
		"visit evil.example/x":              "visit evil . example/x",
		"1/2.5 3.5/x":                       "1/2.5 3 . 5/x",
		"a\r\nb\u2028c\u0085d":              "a b c d",
		"\u202ea\u200bb\ufeff\u2066c\u00ad": "abc",
		"a\x00b":                            "a b",
		"\xff":                              "\ufffd",
		strings.Repeat("ü", 80):             strings.Repeat("ü", 80),
		strings.Repeat("ü", 81):             strings.Repeat("ü", 79) + "…",
	} {
		if got := sanitizeName(in); got != want {
			t.Errorf("sanitizeName(%q) = %q, want %q", in, got, want)
		}
	}
}
