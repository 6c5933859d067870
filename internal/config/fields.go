package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"accountd/accounts"
	"accountd/internal/pattern"
	"accountd/internal/ratelimit"
	"accountd/internal/spelling"
)

// Bounds of [[accounts.fields]].
const (
	maxFields    = 100 // each is a column of every query of a user
	maxFieldName = 60
	maxPattern   = 1000
	maxChoices   = 1000
)

var fieldName = pattern.Lazy(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// builtInFields are the ones that the lists of [accounts] may name beside configured ones.
var builtInFields = []string{"email", "username", "first_name", "last_name"}

// takenNames are the other arguments and fields of operations and types that have configured fields.
var takenNames = append([]string{
	"id", "pk", "password", "password1", "password2", "old_password", "new_password1", "new_password2",
	"is_staff", "is_superuser", "is_active", "date_joined", "last_login", "verified", "archived", "secondary_email",
	"status", "token", "refresh_token", "payload", "refresh_expires_in", "unarchiving", "user", "success", "errors",
	"client_mutation_id", "input", "first", "last", "before", "after", "offset",
}, builtInFields...)

// The reasons why a list may not name a field.
var (
	ofStaff = refusal{"would let users make themselves staff, or reactivate a deactivated account",
		`remove it; "accountd user" sets it`}

	notRegistered = map[string]refusal{
		"password": {"is asked for twice by register itself, as password1 and password2", "remove it"},
		"is_staff": ofStaff, "is_superuser": ofStaff, "is_active": ofStaff,
	}
	notUpdated = map[string]refusal{
		"email": {"could be changed without a proof that the new address is its owner's",
			"remove it; sendSecondaryEmailActivation and swapEmails change addresses"},
		"password": {"could be changed without knowing the old one", "remove it; passwordChange changes passwords"},
		"is_staff": ofStaff, "is_superuser": ofStaff, "is_active": ofStaff,
	}
)

// validateFields validates the fields of accounts and the lists that name them.
func (l *loader) validateFields() {
	const (
		fields   = "accounts.fields"
		register = "accounts.register_fields"
		optional = "accounts.register_optional_fields"
		update   = "accounts.update_fields"
		login    = "accounts.login_fields"
	)
	a := l.config.Accounts
	known := slices.Clone(builtInFields)
	for _, f := range a.Fields {
		known = append(known, f.Name)
	}
	l.configuredFields(fields, a.Fields)
	if !l.bad[fields] { // otherwise known may be incomplete
		l.fieldList(register, a.RegisterFields, known, notRegistered)
		l.fieldList(optional, a.RegisterOptionalFields, known, notRegistered)
		l.fieldList(update, a.UpdateFields, known, notUpdated)
	}
	for _, name := range a.RegisterOptionalFields {
		l.require(!slices.Contains(a.RegisterFields, name) || name == "email", optional,
			"has "+quote(name)+", which accounts.register_fields has as well", "leave it in one of the two", register)
	}
	l.require(slices.Contains(a.RegisterFields, "email"), register, `lacks "email"`,
		"add it: every account has an address, which is where its mails go", optional)
	l.require(!slices.Contains(a.RegisterOptionalFields, "email"), optional, `has "email"`,
		"remove it: every account has an address, and accounts.register_fields asks for it")

	l.fieldList(login, a.LoginFields, []string{"email", "username"}, nil)
	l.require(len(a.LoginFields) > 0, login, "is empty", `use ["email", "username"], or one of them`)
	l.require(slices.Contains(a.LoginFields, "email") || slices.Contains(a.RegisterFields, "username"), login,
		`lacks "email", while accounts.register_fields lacks "username": accounts without a username could `+
			`never log in`,
		`add "email" here, or "username" to accounts.register_fields`, register)
	l.require(a.Reveal != "nothing" || l.config.Schema.Users != "public", "accounts.reveal_accounts",
		`hides which addresses have an account, while queries.users = "public" lists all accounts`,
		`use "staff" there, or "register" here`, "queries.users")
}

// fieldList validates a list of names of fields.
func (l *loader) fieldList(key string, names, known []string, forbidden map[string]refusal) {
	if l.bad[key] {
		return
	}
	for i, name := range names {
		why, isForbidden := forbidden[name]
		switch {
		case isForbidden:
			l.complain(key, "has "+quote(name)+", which "+why.message, why.remedy)
		case !slices.Contains(known, name):
			l.complain(key, "has "+quote(name)+", which is no field",
				spelling.Suggest(name, known, "possible are "+strings.Join(known, ", ")))
		case slices.Contains(names[:i], name):
			l.complain(key, "has "+quote(name)+" twice", "remove one of them")
		}
	}
}

// configuredFields validates [[accounts.fields]] and reports all problems.
func (l *loader) configuredFields(key string, fields []accounts.Field) {
	if l.bad[key] {
		return
	}
	if len(fields) > maxFields {
		l.complain(key, fmt.Sprintf("has %d fields", len(fields)), fmt.Sprintf("use at most %d", maxFields))
	}
	names := map[string]string{} // by argument
	for _, name := range takenNames {
		names[accounts.ArgumentName(name)] = name
	}
	for _, f := range fields {
		bad := func(message, remedy string) { l.complain(key, "has a field "+quote(f.Name)+" "+message, remedy) }
		if !fieldName().MatchString(f.Name) || len(f.Name) > maxFieldName {
			bad("whose name cannot be one", fmt.Sprintf("use at most %d lower-case letters and digits, "+
				`words joined by "_", such as "phone_number"`, maxFieldName))
			continue
		}
		argument := accounts.ArgumentName(f.Name)
		switch other, taken := names[argument]; {
		case taken && slices.Contains(takenNames, other):
			bad("whose name is taken", "choose another: "+argument+" is accountd's own")
		case taken && other == f.Name:
			bad("twice", "remove one of them")
		case taken:
			bad("that the API cannot tell from "+quote(other)+", both "+argument, "rename one of them")
		}
		names[argument] = f.Name
		checkField(f, bad)
	}
}

// checkField validates what a field says of its values.
func checkField(f accounts.Field, bad func(message, remedy string)) {
	text := f.Type == accounts.String
	if samples[f.Type] == nil {
		bad("of the type "+quote(string(f.Type)), `use "String", "Int", "Float", "Boolean" or "DateTime"`)
		return
	}
	if f.MaxLength != 0 && !text {
		bad("with a max_length", "remove it: only a String has a length")
	} else if f.MaxLength < 0 || f.MaxLength > accounts.MaxFieldLength {
		bad(fmt.Sprintf("with the max_length %d", f.MaxLength), fmt.Sprintf("use 1 to %d", accounts.MaxFieldLength))
	}
	if f.Pattern != "" && !text {
		bad("with a pattern", "remove it: only a String has one")
	} else if _, err := accounts.CompilePattern(f.Pattern); err != nil {
		bad("whose pattern "+quote(f.Pattern)+" is no regular expression: "+err.Error(),
			"use the syntax of RE2, such as '[0-9]{5}'")
	} else if len(f.Pattern) > maxPattern {
		bad(fmt.Sprintf("whose pattern has %d bytes", len(f.Pattern)), fmt.Sprintf("use at most %d", maxPattern))
	}
	checkChoices(f, bad)
	if f.Unique && f.Type == accounts.Boolean {
		bad("that is unique", "remove that: there would be two accounts")
	}
}

// checkChoices validates the choices of a field with a valid type.
func checkChoices(f accounts.Field, bad func(message, remedy string)) {
	if len(f.Choices) > maxChoices {
		bad(fmt.Sprintf("with %d choices", len(f.Choices)), fmt.Sprintf("use at most %d", maxChoices))
		return
	}
	if f.Type == accounts.Boolean || f.Type == accounts.DateTime {
		if len(f.Choices) > 0 {
			bad("with choices", "remove them: a "+string(f.Type)+" has none")
		}
		return
	}
	pattern, _ := accounts.CompilePattern(f.Pattern) // checkField has reported an error
	seen := map[string]bool{}
	for _, choice := range f.Choices {
		shown := render(choice)
		if seen[shown] {
			bad("with the choice "+shown+" twice", "remove one of them")
		}
		seen[shown] = true
		text, isText := choice.(string)
		whole, isWhole := choice.(int64)
		ratio, isRatio := choice.(float64)
		fits := map[accounts.FieldType]bool{
			accounts.String: isText,
			accounts.Int:    isWhole && int64(int32(whole)) == whole,
			accounts.Float:  isWhole || isRatio && ratio-ratio == 0, // neither infinity nor NaN
		}
		switch {
		case !fits[f.Type]:
			bad("with the choice "+shown, "use values of the type "+string(f.Type))
		case !isText:
		case text == "" || strings.TrimSpace(text) != text || strings.ContainsRune(text, 0):
			bad("with the choice "+shown+", which no form can give", "use texts without spaces around them")
		case f.MaxLength > 0 && utf8.RuneCountInString(text) > f.MaxLength:
			bad(fmt.Sprintf("with the choice %s, which is longer than its max_length, %d", shown, f.MaxLength),
				"shorten it or raise max_length")
		case pattern != nil && !pattern.MatchString(text):
			bad("with the choice "+shown+", which does not match its pattern, "+quote(f.Pattern), "change one of them")
		}
	}
}

// validatePurge checks what accounts.purge_unverified contradicts.
func (l *loader) validatePurge() {
	const purge = "accounts.purge_unverified"
	a := l.config.Accounts
	if a.PurgeUnverified == 0 {
		return
	}
	l.require(!a.AllowLoginNotVerified, purge, "is set while accounts.allow_login_not_verified lets unverified users "+
		"use their accounts, which would be deleted under them",
		`set accounts.allow_login_not_verified = false, or this to "0s"`, "accounts.allow_login_not_verified")
	l.require(a.SendActivationEmail, purge,
		"is set while accounts.send_activation_email is false, so that users could not verify their accounts in time",
		`set accounts.send_activation_email = true, or this to "0s"`, "accounts.send_activation_email")
	links := l.config.Tokens.ActivationLifetime
	l.require(a.PurgeUnverified >= links, purge, "is shorter than tokens.activation_lifetime, "+
		render(Duration(links))+": links would be valid longer than their accounts exist",
		"raise it to at least that, or lower tokens.activation_lifetime", "tokens.activation_lifetime")
}

// accountWarnings warns of values of [accounts] and [limits] that are possible but hardly intended.
func (c *Config) accountWarnings() (w warnings) {
	a := c.Accounts
	w.when(a.SendPasswordSetEmail && !a.PasswordlessRegistration,
		"accounts.send_password_set_email does nothing without accounts.passwordless_registration")
	w.when(a.PasswordlessRegistration && !a.SendPasswordSetEmail && !a.SendActivationEmail,
		"accounts.passwordless_registration without accounts.send_password_set_email and "+
			"accounts.send_activation_email: register sends nothing that leads to a password; "+
			"accountd user link password_set makes such links")
	tells := "by its tokens"
	if !a.AllowLoginNotVerified {
		tells = "by the answer not_verified"
	}
	w.when(a.Reveal == accounts.RevealNothing && !a.PasswordlessRegistration,
		`accounts.reveal_accounts = "nothing": a login with the password of a registration tells `+tells+
			" that the address was free; only accounts.passwordless_registration = true prevents that")
	tooLong := func(r ratelimit.Rate) bool { return r.Per < day && r.Per > c.Tokens.PasswordResetLifetime }
	w.when(slices.ContainsFunc(a.Throttle.MailsPerRecipient, tooLong),
		"limits.mails_per_recipient counts for longer than tokens.password_reset_lifetime: "+
			"an attacker who requests a user's reset mails leaves that user without a valid link")
	return w
}
