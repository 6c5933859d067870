package email

import (
	"slices"
	"strings"
)

// Kind names a message. Its templates are templates/<kind>.subject, .txt and .html.
type Kind string

// The kinds of messages that carry a token. Their subjects are those of the API that accountd follows.
const (
	Activation               Kind = "activation"
	ActivationResend         Kind = "activation_resend"
	SecondaryEmailActivation Kind = "secondary_email_activation"
	PasswordSet              Kind = "password_set"
	PasswordReset            Kind = "password_reset"
)

// The kinds of notices. They tell the owner of an account what has happened to it, carry no token, and do not ask
// Outbox.Accepting: a full outbox is no reason to keep quiet.
const (
	NoticeRegistration     Kind = "notice_registration" // somebody wanted the address for another account
	NoticePasswordChanged  Kind = "notice_password_changed"
	NoticeSecondaryAdded   Kind = "notice_secondary_added"
	NoticeEmailsSwapped    Kind = "notice_emails_swapped"
	NoticeSecondaryRemoved Kind = "notice_secondary_removed"
	NoticeSessionsEnded    Kind = "notice_sessions_ended" // a refresh token was used twice
	NoticeAccountArchived  Kind = "notice_account_archived"
	NoticeAccountDeleted   Kind = "notice_account_deleted"
)

var kinds = []Kind{
	Activation, ActivationResend, SecondaryEmailActivation, PasswordSet, PasswordReset,
	NoticeRegistration, NoticePasswordChanged, NoticeSecondaryAdded, NoticeEmailsSwapped, NoticeSecondaryRemoved,
	NoticeSessionsEnded, NoticeAccountArchived, NoticeAccountDeleted,
}

// Kinds are all there are.
func Kinds() []Kind { return slices.Clone(kinds) }

// isNotice reports whether messages of the kind have no token, and link to the site alone.
func (k Kind) isNotice() bool { return strings.HasPrefix(string(k), "notice_") }
