package accounts

import (
	"errors"
	"net/mail"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"accountd/internal/usersearch"
)

// FuzzParseAddress: an accepted text is one mailbox. Its canonical form is stable, and equals that of the mailbox for
// mails, of the text in tokens, and of the same address in other case.
func FuzzParseAddress(f *testing.F) {
	f.Fuzz(func(t *testing.T, typed string) {
		a, err := ParseAddress(typed)
		if err != nil {
			if a != (Address{}) {
				t.Errorf("%+q is refused and gives %+v, want the zero address", typed, a)
			}
			return
		}
		canonical := func(form string) {
			t.Helper()
			if again, err := ParseAddress(form); err != nil || again.Canonical != a.Canonical {
				t.Errorf("%+q: canonical form of %+q is %+q, %v, want %+q", typed, form, again.Canonical, err,
					a.Canonical)
			}
		}
		canonical(a.Canonical)
		canonical(a.mailbox())
		if !strings.HasSuffix(a.Canonical, "@localhost") { // the one name without a dot is taken as it is
			canonical(strings.ToUpper(a.mailbox()))
		}
		canonical(a.text())
		if !isASCII(a.mailbox()) || strings.ToLower(a.mailbox()) != a.Canonical {
			t.Errorf("%+q: mail goes to %+q, want %+q in any case", typed, a.mailbox(), a.Canonical)
		}
		if local, _, _ := strings.Cut(typed, "@"); !strings.HasPrefix(a.mailbox(), local+"@") ||
			!strings.HasPrefix(a.Shown, local+"@") {
			t.Errorf("%+q: got %+v, want its local part", typed, a)
		}
		for _, form := range []string{a.Shown, a.mailbox(), a.text()} {
			if strings.ContainsFunc(form, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) ||
				strings.ContainsAny(form, `"(),:;<>[\]`) {
				t.Errorf("%+q becomes %+q, want one address alone in a header", typed, form)
			}
		}
		if parsed, err := mail.ParseAddress(a.mailbox()); err != nil || parsed.Address != a.mailbox() ||
			parsed.Name != "" {
			t.Errorf("%+q: a header is read as %+v, %v, want %+q", typed, parsed, err, a.mailbox())
		}
	})
}

// FuzzUsername: a stored username is stored the same again, is found by the typed one, has visible characters only,
// and is no other account's address.
func FuzzUsername(f *testing.F) {
	own := Address{Canonical: "ada@xn--bcher-kva.example", Shown: "Ada@bücher.example"}
	f.Fuzz(func(t *testing.T, typed string) {
		if !utf8.ValidString(typed) {
			return // the front door lets none in
		}
		key := usernameKey(typed)
		if again := usernameKey(key); again != key {
			t.Errorf("%+q: the key of its key is %+q, want %+q", typed, again, key)
		}
		errs := Errors{}
		shown, key, ok := cleanUsername("username", typed, own, errs)
		if ok == (len(errs) > 0) {
			t.Fatalf("%+q: valid %t with problems %v, want either", typed, ok, errs)
		}
		if !ok {
			return
		}
		if again, k, ok := cleanUsername("username", shown, own, Errors{}); !ok || again != shown || k != key {
			t.Errorf("%+q: the stored name gives %+q, %+q, %t, want %+q, %+q", typed, again, k, ok, shown, key)
		}
		if key == "" || usernameKey(typed) != key || usernameKey(shown) != key {
			t.Errorf("%+q is looked up under %+q, %+q, want %+q", typed, usernameKey(typed), usernameKey(shown), key)
		}
		for _, r := range shown {
			if unicode.In(r, unicode.C, unicode.Z, unicode.M, unicode.Bidi_Control, unicode.Join_Control,
				unicode.Variation_Selector) {
				t.Errorf("%+q is stored with %U, want no such character", typed, r)
			}
		}
		if n := utf8.RuneCountInString(shown); n > maxName {
			t.Errorf("%+q is stored with %d characters, want at most %d", typed, n, maxName)
		}
		if strings.Contains(shown, "@") {
			if a, err := ParseAddress(shown); err != nil || a.Canonical != own.Canonical {
				t.Errorf("%+q is stored as %+q, want the account's address", typed, shown)
			}
		}
	})
}

// FuzzCursor: a cursor is taken as it was given, or not at all.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, id int64) {
		if got, err := parseCursor("after", &text, 0); err == nil {
			if got <= 0 || got >= usersearch.NoEnd || cursor(got) != text {
				t.Errorf("%q: id %d has the cursor %q, want the same", text, got, cursor(got))
			}
		} else if usage := (*UsageError)(nil); !errors.As(err, &usage) || got != 0 {
			t.Errorf("%q: id %d, error %v, want 0 and a usage error", text, got, err)
		}
		text = cursor(id)
		if got, err := parseCursor("after", &text, 0); (err == nil) != (id > 0 && id < usersearch.NoEnd) ||
			err == nil && got != id {
			t.Errorf("cursor of %d: got %d, %v, want the id, or an error beyond all ids", id, got, err)
		}
	})
}
