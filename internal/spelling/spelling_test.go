package spelling

import "testing"

func TestSuggest(t *testing.T) {
	candidates := []string{"activation.txt", "activation.html", "layout.html", "Link"}
	for name, want := range map[string]string{
		"activaton.txt": "activation.txt", "activation.htm": "activation.html", "activation.txt": "activation.txt",
		"layuot.html": "layout.html",
		"Lnk":         "Link", "Token": "", "readme.md": "", "": "",
	} {
		if want = "did you mean " + want + "?"; want == "did you mean ?" {
			want = "remove it"
		}
		if got := Suggest(name, candidates, "remove it"); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", name, got, want)
		}
	}
}
