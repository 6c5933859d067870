// Package accounts has the users and every operation on them: registration, login, verification, passwords, addresses
// and sessions.
//
// An operation of the API is one method of [Service]. It checks everything before it changes anything, hashes passwords
// outside of transactions, and makes its whole change, mails included, in one transaction. An operation on the caller's
// own account takes an [Owner], which only [Caller.AsOwner] makes. Problems for the user come back as [Errors],
// *[UsageError], *[BusyError] or *[ThrottledError]; any other error is internal and must not be shown.
//
// Package accounts does not parse requests, sign tokens, deliver mail, or hash: see schema, tokens, email and
// internal/password. It owns the tables users, user_status, addresses, user_fields, held_values and own_networks.
package accounts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"accountd/email"
	passwords "accountd/internal/password"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

// Settings are the rules that a site chooses.
type Settings struct {
	AllowLoginNotVerified   bool     `toml:"accounts.allow_login_not_verified"`
	LoginFields             []string `toml:"accounts.login_fields"` // "email", "username" or both
	LoginWithSecondaryEmail bool     `toml:"accounts.login_with_secondary_email"`

	// Arguments of register and updateAccount, by the names of fields, as in "first_name".
	RegisterFields         []string `toml:"accounts.register_fields"`
	RegisterOptionalFields []string `toml:"accounts.register_optional_fields"`
	UpdateFields           []string `toml:"accounts.update_fields"`

	Fields                   []Field `toml:"accounts.fields"` // configured, in addition to the built-in ones
	PasswordlessRegistration bool    `toml:"accounts.passwordless_registration"`
	SendActivationEmail      bool    `toml:"accounts.send_activation_email"`
	SendPasswordSetEmail     bool    `toml:"accounts.send_password_set_email"`
	Reveal                   Reveal  `toml:"accounts.reveal_accounts" one:"nothing,register,all"`
	DeletePermanently        bool    `toml:"accounts.delete_permanently"`
	Notices                  bool    `toml:"email.notices"` // mail owners about changes of their accounts

	// PurgeUnverified is the age at which accounts are deleted that are still unverified and unused. 0: never.
	PurgeUnverified time.Duration `toml:"accounts.purge_unverified" min:"0s" max:"3650d"`

	// UniformTime is the duration of operations that must not reveal whether they have sent a mail, or a multiple of it
	// where the work takes longer. 0: as long as the work takes.
	UniformTime time.Duration `toml:"limits.uniform_time" min:"0s" max:"5s"`

	Throttle  ThrottleSettings
	Passwords passwords.Settings
}

// Reveal is which operations may reveal that an address has an account.
type Reveal string

// The values of Reveal.
const (
	RevealNothing  Reveal = "nothing"
	RevealRegister Reveal = "register" // register does, reset and resend do not
	RevealAll      Reveal = "all"
)

// Service has the operations on accounts. It is safe for concurrent use.
type Service struct {
	db       *store.DB
	tokens   *tokens.Issuer
	outbox   *email.Outbox
	hasher   *passwords.Hasher
	delay    *passwords.ResponseDelay
	attempts ratelimit.Reservations // passwords that are being verified
	settings Settings
	users    userQueries
	filters  map[string]FilterField
	patterns map[string]*regexp.Regexp // of fields, by name
	log      *slog.Logger
}

// New returns the operations on the accounts of a database. It fails where a field's pattern does not compile.
func New(db *store.DB, t *tokens.Issuer, outbox *email.Outbox, s Settings, log *slog.Logger) (*Service, error) {
	delay := passwords.NewResponseDelay(db.Now)
	h, err := passwords.NewHasher(s.Passwords, delay)
	if err != nil {
		return nil, err
	}
	patterns := map[string]*regexp.Regexp{}
	for _, f := range s.Fields {
		if patterns[f.Name], err = CompilePattern(f.Pattern); err != nil {
			return nil, fmt.Errorf("pattern of field %s: %w", f.Name, err)
		}
	}
	return &Service{
		db: db, tokens: t, outbox: outbox, hasher: h, delay: delay, settings: s, users: newUserQueries(s.Fields),
		filters: s.FilterFields(), patterns: patterns, log: log,
	}, nil
}

// UsageError is a mistake in a request that only the developer of an app can cause.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// The problems of operations. Messages and codes are fixed by the API.
var (
	errInvalidToken       = Problem{"Invalid token.", "invalid_token"}
	errExpiredToken       = Problem{"Expired token.", "expired_token"}
	errEmailInUse         = Problem{"A user with that email already exists.", "unique"}
	errUsernameInUse      = Problem{"A user with that username already exists.", "unique"}
	errEmailFail          = Problem{"Failed to send email.", "email_fail"}
	errAlreadyVerified    = Problem{"Account already verified.", "already_verified"}
	errNotVerified        = Problem{"Please verify your account.", "not_verified"}
	errActivationSent     = Problem{"Verify your account. A new verification email was sent.", "not_verified"}
	errInvalidCredentials = Problem{"Please, enter valid credentials.", "invalid_credentials"}
	errUnauthenticated    = Problem{"Unauthenticated.", "unauthenticated"}
	errSecondaryRequired  = Problem{"You need to setup a secondary email to proceed.", "secondary_email_required"}
	errInvalidPassword    = Problem{"Invalid password.", "invalid_password"}
	errPasswordAlreadySet = Problem{"Password already set for account.", "password_already_set"}

	// of forms
	errRequired    = Problem{"This field is required.", "required"}
	errNull        = Problem{"Null characters are not allowed.", "null_characters_not_allowed"}
	errReplacement = Problem{
		"The replacement character U+FFFD is not allowed: something was lost on the way here.", "invalid",
	}
	errInvalidEmail    = Problem{"Enter a valid email address.", "invalid"}
	errInvalidUsername = Problem{
		"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.", "invalid",
	}
	errInvalidValue = Problem{"Enter a valid value.", "invalid"}
	errMismatch     = Problem{"The two password fields didn’t match.", "password_mismatch"}
)

func one(field string, p Problem) Errors { return Errors{field: {p}} }

// tokenProblem turns errors of package tokens into Errors.
func tokenProblem(err error) error {
	switch {
	case errors.Is(err, tokens.ErrExpired):
		return one(NonField, errExpiredToken)
	case errors.Is(err, tokens.ErrInvalid):
		return one(NonField, errInvalidToken)
	default:
		return err
	}
}

// event writes an entry of the audit log. It has the user's id (0: none) and no personal data.
func (s *Service) event(ctx context.Context, name string, user int64, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("event", name), slog.Int64("user", user)}, attrs...)
	s.log.LogAttrs(ctx, slog.LevelInfo, name, attrs...)
}

// failedEvent logs a failed authentication with the client's address (OWASP ASVS 16.3.1).
func (s *Service) failedEvent(ctx context.Context, name string, user int64, attrs ...slog.Attr) {
	s.event(ctx, name, user, append(attrs, slog.String("client", clientOf(ctx).network))...)
}

// NonField is the key of problems that belong to no argument.
const NonField = "nonFieldErrors"

// Problem is one problem of a request, for the user. Message and Code are part of the API.
type Problem struct{ Message, Code string }

// Errors is the error that is shown to the user: problems by the name of their argument, or [NonField].
type Errors map[string][]Problem

// Error lists arguments and messages, for logs and commands. It does not repeat input, except for a refused choice.
func (e Errors) Error() string {
	var lines []string
	for field, problems := range e {
		for _, p := range problems {
			lines = append(lines, fmt.Sprintf("%s: %s", field, p.Message))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// orNil returns no error where there are no problems.
func (e Errors) orNil() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

func (e Errors) add(field string, p Problem) { e[field] = append(e[field], p) }

// BusyError means that the queue in front of password hashing is full. Nothing has changed, and the request can be
// repeated after RetryAfter.
type BusyError = passwords.BusyError

func errMaxLength(limit, got int) Problem {
	return Problem{fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", limit, got), "max_length"}
}

// maxEcho is how many code points of a value a message repeats.
const maxEcho = 50

func errInvalidChoice(value any) Problem {
	shown := []rune(fmt.Sprint(value))
	if len(shown) > maxEcho {
		shown = append(shown[:maxEcho], '…')
	}
	const message = "Select a valid choice. %s is not one of the available choices."
	return Problem{fmt.Sprintf(message, string(shown)), "invalid_choice"}
}

func errFieldInUse(f Field) Problem {
	name := strings.ReplaceAll(f.Name, "_", " ") // shown as "Phone number"
	return Problem{fmt.Sprintf("User with this %s already exists.", strings.ToUpper(name[:1])+name[1:]), "unique"}
}

// padDuration makes the duration of an operation constant (limits.uniform_time), so that it does not reveal whether a
// mail was sent. The returned function waits for the rest of the duration. Defer it first, so that it runs after
// places for hashes and transactions are given back.
//
// The duration begins with the operation and not with the request. A client could delay the time between them, by a
// slow body or by other fields, until only one outcome of the operation is in time.
func (s *Service) padDuration(ctx context.Context) (due func()) {
	began := s.delay.Now()
	return func() { s.delay.Wait(ctx, began, s.settings.UniformTime) }
}

// Drain ends the waits of padDuration and of wrong passwords, present and future. It is for the end of the server.
func (s *Service) Drain() { s.delay.Stop() }
