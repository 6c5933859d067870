package accounts

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	passwords "accountd/internal/password"
	"accountd/internal/store"
)

// form is what somebody says of an account's fields, judged.
type form struct {
	args        []Argument
	values      Values  // what was given and is fine; nil: to be cleared
	address     Address // of the account
	usernameKey string
	skeleton    string // of the username; "": none
	discreet    bool   // of a registration that must not tell whether its address is claimed
	who         passwords.Owner
}

// judge is the first two phases of a form, field by field. own is the address of the account that is there already.
func (s *Service) judge(args []Argument, in Values, own Address, errs Errors) form {
	f := form{args: args, values: Values{}, address: own}
	for _, a := range args {
		if value, given := in[a.Field.Name]; given || a.Required {
			f.given(a, value, errs)
		}
	}
	for _, a := range args {
		if value := f.values[a.Field.Name]; value != nil && !s.allowed(&f, a, value, errs) {
			delete(f.values, a.Field.Name)
		}
	}
	return f
}

// given is the first phase for one field.
func (f *form) given(a Argument, value any, errs Errors) {
	text, isText := value.(string)
	if isText {
		if text = trim(text); text == "" {
			value = nil
		} else {
			value = text
		}
	}
	if t, ok := value.(time.Time); ok {
		value = time.Unix(t.Unix(), 0).UTC()
	}
	switch {
	case value == nil && a.Required:
		errs.add(a.Name, errRequired)
		return
	case value == nil:
	case a.Field.Name == "email":
		address, ok := cleanEmail(a.Name, text, errs)
		if !ok {
			return
		}
		f.address = address
	case isText && !checkText(a.Name, text, a.Field.maxLength(), errs):
		return
	}
	f.values[a.Field.Name] = value
	switch a.Field.Name {
	case "email":
		f.who.Email = text
	case "username": // what is compared is the name as typed, whether or not it turns out to be allowed
		f.who.Username = norm.NFKC.String(text)
	case "first_name":
		f.who.FirstName = text
	case "last_name":
		f.who.LastName = text
	}
}

// allowed is the second phase for one field that survived the first.
func (s *Service) allowed(f *form, a Argument, value any, errs Errors) bool {
	if a.Field.Name == "username" {
		shown, key, ok := cleanUsername(a.Name, value.(string), f.address, errs)
		f.values["username"], f.usernameKey, f.skeleton = shown, key, usernameSkeleton(shown)
		return ok
	}
	if pattern := s.patterns[a.Field.Name]; pattern != nil && !pattern.MatchString(value.(string)) {
		errs.add(a.Name, errInvalidValue)
		return false
	}
	if len(a.Field.Choices) > 0 && !slices.ContainsFunc(a.Field.Choices, func(choice any) bool { return equalChoice(choice, value) }) {
		errs.add(a.Name, errInvalidChoice(value))
		return false
	}
	return true
}

// equalChoice compares a choice of the settings, whose whole numbers are int64, with a value of a form.
func equalChoice(choice, value any) bool {
	n, isInt := choice.(int64)
	switch v := value.(type) {
	case int:
		return isInt && n == int64(v)
	case float64:
		return choice == value || isInt && float64(n) == v
	default:
		return choice == value
	}
}

// taken adds the fields of a form whose value somebody else has and nobody else may have.
func (f form) taken(ctx context.Context, tx *store.Tx, except int64, errs Errors) error {
	for _, a := range f.args {
		value := f.values[a.Field.Name]
		if value == nil {
			continue
		}
		var taken bool
		var err error
		problem := errUsernameInUse
		switch {
		case a.Field.Name == "username":
			taken, err = usernameTaken(ctx, tx, f, except)
		case a.Field.Unique:
			taken, err = fieldTaken(ctx, tx, a.Field.Name, stored(value), except)
			problem = errFieldInUse(a.Field.label())
		}
		if err != nil {
			return err
		}
		if taken {
			errs.add(a.Name, problem)
		}
	}
	return nil
}

// unique are the values that no two accounts may have: configured ones, and the key and skeleton of a username. One
// that is an address is nobody else's anyway.
func (f form) unique() []fieldValue {
	var list []fieldValue
	if f.skeleton != "" {
		list = append(list,
			fieldValue{Field{Name: "username"}, f.usernameKey}, fieldValue{Field{Name: heldSkeleton}, f.skeleton})
	}
	for _, v := range f.custom() {
		if v.field.Unique && v.value != nil {
			list = append(list, v)
		}
	}
	return list
}

// text is the value of a field that is a text, "" where there is none.
func (f form) text(field string) string {
	text, _ := f.values[field].(string)
	return text
}

// newUser is the account that a form asks for.
func (f form) newUser() newUser {
	n := newUser{
		email: f.address, username: f.text("username"), usernameKey: f.usernameKey,
		firstName: f.text("first_name"), lastName: f.text("last_name"),
	}
	if n.username == "" {
		n.usernameKey = ""
	}
	n.fields = f.custom()
	return n
}

// custom are the values that are not in a column of users.
func (f form) custom() []fieldValue {
	var list []fieldValue
	for _, a := range f.args {
		value, given := f.values[a.Field.Name]
		if given && !slices.ContainsFunc(builtIn, func(b Field) bool { return b.Name == a.Field.Name }) {
			list = append(list, fieldValue{a.Field, value})
		}
	}
	return list
}

// Longest values of the form's fields, in code points.
const (
	maxName  = 150 // username, first and last name
	maxEmail = 254 // RFC 5321 with erratum 1690
)

// trim removes white space as the API we follow does: Unicode's, and the four information separators.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// checkText is what the first phase says of a text that is there: at most limit code points, no NUL. All that apply
// are reported, in this order.
func checkText(field, value string, limit int, errs Errors) bool {
	ok := true
	if n := utf8.RuneCountInString(value); n > limit {
		errs.add(field, errMaxLength(limit, n))
		ok = false
	}
	if strings.ContainsRune(value, 0) {
		errs.add(field, errNull)
		ok = false
	}
	return ok
}

// cleanEmail is the first phase for an address: its syntax is judged first, then length and NUL.
func cleanEmail(field, value string, errs Errors) (Address, bool) {
	clean := trim(value)
	if clean == "" {
		errs.add(field, errRequired)
		return Address{}, false
	}
	address, err := ParseAddress(clean)
	if err != nil {
		errs.add(field, errInvalidEmail)
	}
	return address, checkText(field, clean, maxEmail, errs) && err == nil
}

// cleanPassword is the first phase for a password. It is never trimmed.
func cleanPassword(field, value string, errs Errors) (ok bool) {
	switch {
	case value == "":
		errs.add(field, errRequired)
	case strings.ContainsRune(value, 0):
		errs.add(field, errNull)
	case !passwords.WellFormed(value):
		errs.add(field, errReplacement)
	default:
		return true
	}
	return false
}

// cleanPasswords is the first phase for a password and its repetition. ok says whether the second one
// survived, so that the rules for passwords apply to it: an empty first password does not hide them, a
// mismatch does.
func cleanPasswords(field1, field2, password1, password2 string, errs Errors) (ok bool) {
	first, second := cleanPassword(field1, password1, errs), cleanPassword(field2, password2, errs)
	if first && second && password1 != password2 {
		errs.add(field2, errMismatch)
		return false
	}
	return second
}

// checkPassword is the third phase: everything the rules say against a password, in the order of the API.
func (s *Service) checkPassword(field, password string, owner passwords.Owner, errs Errors) {
	for _, p := range s.settings.Passwords.Check(password, owner) {
		errs.add(field, Problem(p))
	}
}
