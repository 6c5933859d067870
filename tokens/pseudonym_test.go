package tokens

import (
	"strings"
	"testing"
)

// TestPseudonym: a pseudonym depends on the text, the label and the key file, and is no action token.
func TestPseudonym(t *testing.T) {
	t.Parallel()
	i, other := newFixture(t, testSettings), newFixture(t, testSettings)
	name := i.Pseudonym("name", "ada")
	if name != i.Pseudonym("name", "ada") || len(name) < 22 || strings.Contains(name, "ada") {
		t.Errorf("got %q, want a stable pseudonym of at least 22 bytes without the name", name)
	}
	for what, different := range map[string]string{
		"text": i.Pseudonym("name", "bob"), "use": i.Pseudonym("network", "ada"), "key": other.Pseudonym("name", "ada"),
	} {
		if different == name {
			t.Errorf("another %s: got the same pseudonym, want another", what)
		}
	}
	if _, err := i.VerifyAction(name, Activation); err == nil {
		t.Error("as an action token: got no error, want ErrInvalid")
	}
}
