// Package accounts is users and their rules: who may register, what a password has to be, what a login, a
// verification or a refresh checks and changes.
//
// One operation of the product is one method of Service. It checks everything before it changes anything,
// hashes outside of transactions, and makes its whole change, mail included, in one. What a user can be told
// comes back as Errors (or *UsageError, *BusyError, *ThrottledError); every other error is the server's own.
//
// Tables: users, user_status, addresses, user_fields, own_networks, and user_search with user_substrings, which triggers keep.
package accounts

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"time"

	"accountd/email"
	passwords "accountd/internal/password"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/internal/usersearch"
	"accountd/tokens"
)

// Settings are the rules that a site can choose.
type Settings struct {
	AllowLoginNotVerified   bool     `toml:"accounts.allow_login_not_verified"`
	LoginFields             []string `toml:"accounts.login_fields"` // of email and username
	LoginWithSecondaryEmail bool     `toml:"accounts.login_with_secondary_email"`

	// Arguments of register and updateAccount, by the names of fields, as in "first_name".
	RegisterFields         []string `toml:"accounts.register_fields"`
	RegisterOptionalFields []string `toml:"accounts.register_optional_fields"`
	UpdateFields           []string `toml:"accounts.update_fields"`

	Fields                   []Field `toml:"accounts.fields"` // beside the built-in ones
	PasswordlessRegistration bool    `toml:"accounts.passwordless_registration"`
	SendActivationEmail      bool    `toml:"accounts.send_activation_email"`
	SendPasswordSetEmail     bool    `toml:"accounts.send_password_set_email"`
	Reveal                   Reveal  `toml:"accounts.reveal_accounts" one:"nothing,register,all"`
	DeletePermanently        bool    `toml:"accounts.delete_permanently"`
	Notices                  bool    `toml:"email.notices"` // mail owners what has changed

	// PurgeUnverified is the age at which accounts are deleted that were never verified. 0: never.
	PurgeUnverified time.Duration `toml:"accounts.purge_unverified" min:"0s" max:"3650d"`

	// UniformTime is how long operations take that must not tell whether they have mailed anybody, or a multiple
	// of it where the work takes longer. 0: as long as the work.
	UniformTime time.Duration `toml:"limits.uniform_time" min:"0s" max:"5s"`

	Throttle  ThrottleSettings
	Passwords passwords.Settings
}

// Reveal says which operations tell that an address has an account.
type Reveal string

// The values of Reveal.
const (
	RevealNothing  Reveal = "nothing"
	RevealRegister Reveal = "register" // register does, reset and resend do not
	RevealAll      Reveal = "all"
)

// Service is every operation on accounts. It is safe for concurrent use.
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
	common   usersearch.CommonWords
	patterns map[string]*regexp.Regexp // of fields, by name
	log      *slog.Logger
}

// New returns the operations over one database.
func New(db *store.DB, t *tokens.Issuer, outbox *email.Outbox, s Settings, log *slog.Logger) (*Service, error) {
	delay := passwords.NewResponseDelay(db.Now)
	h, err := passwords.NewHasher(s.Passwords, delay)
	if err != nil {
		return nil, err
	}
	patterns, err := compilePatterns(s.Fields)
	if err != nil {
		return nil, err
	}
	return &Service{
		db: db, tokens: t, outbox: outbox, hasher: h, delay: delay, settings: s, users: newUserQueries(s.Fields), filters: s.FilterFields(), patterns: patterns, log: log,
	}, nil
}

// UsageError is a request that no user of an app can cause, only its developer.
type UsageError struct{ Message string }

func (e *UsageError) Error() string { return e.Message }

// What operations tell, to the letter of the API.
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
)

func one(field string, p Problem) Errors { return Errors{field: {p}} }

// tokenProblem turns what tokens says of a token into what the user is told.
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

// mailProblem does the same for the outbox.
func mailProblem(err error) error {
	if errors.Is(err, email.ErrFull) {
		return one(NonField, errEmailFail)
	}
	return err
}

// event logs one thing that happened to an account: the audit trail. It names ids, never people.
func (s *Service) event(ctx context.Context, name string, user int64, attrs ...slog.Attr) {
	s.log.LogAttrs(ctx, slog.LevelInfo, name, append([]slog.Attr{slog.String("event", name), slog.Int64("user", user)}, attrs...)...)
}

// failedEvent logs that somebody did not prove who they are (OWASP ASVS 16.3.1): which account they meant, 0 for none that
// there is, and where they are.
func (s *Service) failedEvent(ctx context.Context, name string, user int64, attrs ...slog.Attr) {
	s.event(ctx, name, user, append(attrs, slog.String("client", clientOf(ctx).network))...)
}
