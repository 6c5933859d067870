package accounts

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	passwords "accountd/internal/password"
	"accountd/internal/store"
)

// form is the validated input for the fields of an account.
type form struct {
	args        []Argument
	values      Values  // valid ones; nil: to be cleared
	address     Address // of the account
	usernameKey string
	skeleton    string // of the username; "": none
	discreet    bool   // a registration that must not reveal whether its address is claimed
	who         passwords.Owner
}

// validate runs the first two phases of validation, field by field, and adds problems to errs. A field that fails a
// phase is left out of the later ones. own is the address of an existing account, which cannot lose what every account
// has to have.
func (s *Service) validate(args []Argument, in Values, own Address, errs Errors) form {
	f := form{args: args, values: Values{}, address: own}
	for _, a := range args {
		value, given := in[a.Field.Name]
		a.Required = a.Required || given && (a.Field.Name == "email" ||
			a.Field.Name == "username" && slices.Contains(s.settings.RegisterFields, "username"))
		if given || a.Required {
			f.clean(a, value, errs)
		}
	}
	f.who = passwords.Owner{ // with the username as it was typed, even if the second phase refuses it
		Username: norm.NFKC.String(f.text("username")), Email: f.text("email"),
		FirstName: f.text("first_name"), LastName: f.text("last_name"),
	}
	for _, a := range args {
		if value := f.values[a.Field.Name]; value != nil && !s.allowed(&f, a, value, errs) {
			delete(f.values, a.Field.Name)
		}
	}
	return f
}

// clean is the first phase for one field: required, trimmed, not too long, no NUL.
func (f *form) clean(a Argument, value any, errs Errors) {
	text, isText := value.(string)
	if isText {
		if text = trim(text); text == "" {
			value = nil
		} else {
			value = text
		}
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
	case isText && !checkText(a.Name, text, cmp.Or(a.Field.MaxLength, MaxFieldLength), errs):
		return
	}
	f.values[a.Field.Name] = value
}

// text returns the value of a built-in field; "" for none.
func (f form) text(field string) string {
	text, _ := f.values[field].(string)
	return text
}

// allowed is the second phase for one field: rules for usernames, patterns and choices.
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
	chosen := func(choice any) bool { return equalChoice(choice, value) }
	if len(a.Field.Choices) > 0 && !slices.ContainsFunc(a.Field.Choices, chosen) {
		errs.add(a.Name, errInvalidChoice(value))
		return false
	}
	return true
}

// equalChoice compares a configured choice, whose whole numbers are int64, with a value of a form.
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

// taken adds a problem for each unique value of the form that an account other than u has; u is zero for a new account.
// It fails with errs if that has problems, from before or from here; its other errors are internal. A value that u has
// already is not checked: another account may have had it since before the field was unique.
func (f form) taken(ctx context.Context, tx *store.Tx, u *account, errs Errors) error {
	for field, value := range u.Fields {
		if value == f.values[field] {
			delete(f.values, field)
		}
	}
	if name := u.ownUsername(); name != "" && f.skeleton == usernameSkeleton(name) {
		f.skeleton = ""
	}
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
			taken, err = usernameTaken(ctx, tx, f, u.ID)
		case a.Field.Unique:
			taken, err = fieldTaken(ctx, tx, a.Field.Name, stored(value), u.ID)
			problem = errFieldInUse(a.Field)
		}
		if err != nil {
			return err
		}
		if taken {
			errs.add(a.Name, problem)
		}
	}
	return errs.orNil()
}

// unique returns the values that no two accounts may have: those of unique fields, and the key and skeleton of a
// username. A username that is an address is left out: addresses are unique by themselves.
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

// apply changes the given built-in fields of an account.
func (f form) apply(u *account) {
	for field := range f.values {
		switch text := f.text(field); field {
		case "email":
			u.setAddresses(f.address, u.second())
		case "username":
			u.Username, u.usernameKey = text, f.usernameKey
		case "first_name":
			u.FirstName = text
		case "last_name":
			u.LastName = text
		}
	}
}

// custom returns the values of configured fields.
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

// The greatest lengths of built-in fields, in code points.
const (
	maxName  = 150 // username, first and last name
	maxEmail = 254 // RFC 5321 with erratum 1690
)

// trim removes white space as Django's forms do: Unicode's, and the four information separators.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// checkText checks the length (at most limit code points), then that there is no NUL. It reports both problems.
func checkText(field, value string, limit int, errs Errors) bool {
	n, null := utf8.RuneCountInString(value), strings.ContainsRune(value, 0)
	if n > limit {
		errs.add(field, errMaxLength(limit, n))
	}
	if null {
		errs.add(field, errNull)
	}
	return n <= limit && !null
}

// cleanEmail is the first phase for an address: required, trimmed, valid syntax, then checkText.
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

// cleanPassword is the first phase for a password: required, no NUL, valid Unicode. Passwords are never trimmed.
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

// cleanPasswords is the first phase for a password and its repetition. It reports whether the third phase follows for
// the second one: it does if the first is empty, and not if the two differ.
func cleanPasswords(field1, field2, password1, password2 string, errs Errors) (ok bool) {
	first, second := cleanPassword(field1, password1, errs), cleanPassword(field2, password2, errs)
	if first && second && password1 != password2 {
		errs.add(field2, errMismatch)
		return false
	}
	return second
}

// checkPassword is the third phase: the rules for new passwords, in the order of the API.
func (s *Service) checkPassword(field, password string, owner passwords.Owner, errs Errors) {
	for _, p := range s.settings.Passwords.Check(password, owner) {
		errs.add(field, Problem(p))
	}
}
