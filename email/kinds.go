package email

import (
	"slices"
	"strings"
)

// Kind is a kind of message. Its templates are templates/<kind>.subject, .txt and .html.
type Kind string

// The kinds of messages with a token. Their subjects are those of the API that accountd implements.
const (
	Activation               Kind = "activation"
	ActivationResend         Kind = "activation_resend"
	SecondaryEmailActivation Kind = "secondary_email_activation"
	PasswordSet              Kind = "password_set"
	PasswordReset            Kind = "password_reset"
)

// The kinds of notices. They inform the owner of an account about a change and have no token. They are sent even if the
// outbox is full.
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

// Kinds returns all kinds.
func Kinds() []Kind { return slices.Clone(kinds) }

// isNotice reports whether messages of the kind have no token and link to the site only.
func (k Kind) isNotice() bool { return strings.HasPrefix(string(k), "notice_") }

// files are the names of the templates.
func (k Kind) files() (subject, text, html string) {
	return string(k) + ".subject", string(k) + ".txt", string(k) + ".html"
}
