package spelling

import "testing"

func TestNearest(t *testing.T) {
	candidates := []string{"activation.txt", "activation.html", "layout.html", "Link"}
	for name, want := range map[string]string{
		"activaton.txt": "activation.txt", "activation.htm": "activation.html", "activation.txt": "activation.txt", "layuot.html": "layout.html",
		"Lnk": "Link", "Token": "", "readme.md": "", "": "",
	} {
		if got := Nearest(name, candidates); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"issuer", "isuer", 1}} {
		if got := Distance(test.a, test.b); got != test.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
