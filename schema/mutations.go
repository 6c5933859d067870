package schema

import (
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

// Needs of rows.
const (
	verified  = accounts.NeedsVerified
	secondary = accounts.NeedsSecondary
	password  = accounts.NeedsPassword
)

// mutations is the table of mutations. A row adds its mutation to both flavours.
func mutations(svc *accounts.Service, s Settings, userNode *graphql.Object) []mutation {
	user := output[accounts.Session]{
		name: "user", typ: userNode, doc: "The account that has logged in.",
		get: func(s *accounts.Session) any { return s.User },
	}
	var session []output[accounts.Session]
	if !s.Cookies.HideTokenFields {
		session = append(session, token)
		if s.LongRunning {
			session = append(session, refreshToken)
		}
	}
	var registered []output[accounts.Session]
	if s.Accounts.AllowLoginNotVerified {
		registered = session
	}
	var noPassword []string
	if s.Accounts.PasswordlessRegistration {
		noPassword = []string{"password1", "password2"}
	}
	rows := []mutation{
		open(mutation{
			name: "register", typ: "Register", fields: s.Accounts.RegisterArguments(), without: noPassword,
			doc: "Creates an account and mails the link that verifies its address.",
		}, svc.Register, registered...),
		openErr(mutation{
			name: "verifyAccount", typ: "VerifyAccount",
			doc: "Verifies an account's address with the token of its activation mail.",
		}, svc.VerifyAccount),
		openErr(mutation{
			name: "resendActivationEmail", typ: "ResendActivationEmail",
			doc: "Mails the activation link once more. The answer does not reveal whether the account exists.",
		}, svc.ResendActivationEmail),
		openErr(mutation{
			name: "sendPasswordResetEmail", typ: "SendPasswordResetEmail",
			doc: "Mails the link for a new password, or to an unverified user the activation link. " +
				"The answer does not reveal whether the account exists.",
		}, svc.SendPasswordResetEmail),
		openErr(mutation{
			name: "passwordReset", typ: "PasswordReset",
			doc: "Sets a new password with the token of its mail, and ends all sessions.",
		}, svc.ResetPassword),
		openErr(mutation{
			name: "passwordSet", typ: "PasswordSet",
			doc: "Sets the first password of an account without one, with the token of its mail.",
		}, svc.SetPassword),
		guarded(mutation{
			name: "passwordChange", typ: "PasswordChange", needs: verified | password,
			doc: "Sets another password, ends all sessions and begins a new one.",
		}, svc.ChangePassword, session...),
		guardedErr(mutation{
			name: "archiveAccount", typ: "ArchiveAccount", needs: verified | password,
			doc: "Archives the caller's account until the next login, and ends all sessions.",
		}, svc.Archive),
		guardedErr(mutation{
			name: "deleteAccount", typ: "DeleteAccount", needs: verified | password,
			doc: "Ends the caller's account and all sessions: it is deactivated, " +
				"or deleted for good where the server is set so.",
		}, svc.Delete),
		guardedErr(mutation{
			name: "sendSecondaryEmailActivation", typ: "SendSecondaryEmailActivation", needs: verified | password,
			doc: "Mails the link that makes an address the caller's secondary one.",
		}, svc.SendSecondaryEmailActivation),
		openErr(mutation{
			name: "verifySecondaryEmail", typ: "VerifySecondaryEmail",
			doc: "Sets the secondary address with the token of its mail.",
		}, svc.VerifySecondaryEmail),
		guardedErr(mutation{
			name: "swapEmails", typ: "SwapEmails", needs: verified | secondary | password,
			doc: "Swaps the caller's primary and secondary address, and ends all other sessions.",
		}, svc.SwapEmails),
		guardedErr(mutation{
			name: "removeSecondaryEmail", typ: "RemoveSecondaryEmail", needs: verified | secondary | password,
			doc: "Removes the caller's secondary address, and ends all other sessions.",
		}, svc.RemoveSecondaryEmail),
		open(mutation{
			name: "tokenAuth", typ: "ObtainJSONWebToken", without: notIn(s.Accounts.LoginFields, "email", "username"),
			doc: "Logs in with the password and one name: " + strings.Join(s.Accounts.LoginFields, " or ") + ".",
		}, svc.Login, append([]output[accounts.Session]{unarchiving, user, payload, refreshExpiresIn}, session...)...),
		open(mutation{
			name: "verifyToken", typ: "VerifyToken", repeatable: true, fromCookie: true,
			doc: "Returns the claims of a valid access token.",
		}, svc.VerifyToken, payload),
		refresh(svc, s, append([]output[accounts.Session]{payload, refreshExpiresIn}, session...)),
		revoke(svc, s),
		open(mutation{
			name: "deleteTokenCookie", typ: "DeleteJSONWebTokenCookie", repeatable: true, bare: true,
			doc: "Removes the access token from the browser. The session continues: revokeToken ends it.",
		}, deleteCookie(func(c *cookies) *cookie { return &c.access }), deleted),
		open(mutation{
			name: "deleteRefreshTokenCookie", typ: "DeleteRefreshTokenCookie", repeatable: true, bare: true,
			doc: "Removes the refresh token from the browser. The session continues: revokeToken ends it.",
		}, deleteCookie(func(c *cookies) *cookie { return &c.refresh }), deleted),
	}
	if fields := s.Accounts.UpdateArguments(); len(fields) > 0 {
		rows = append(rows, guardedErr(mutation{
			name: "updateAccount", typ: "UpdateAccount", repeatable: true, fields: fields, needs: verified,
			doc: "Changes the fields that are given; an empty text clears one.",
		}, svc.UpdateAccount))
	}
	return rows
}

// notIn returns the names that are not in list.
func notIn(list []string, names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(list, name) })
}

func refresh(svc *accounts.Service, s Settings, outputs []output[accounts.Session]) mutation {
	m := mutation{name: "refreshToken", typ: "RefreshToken", fromCookie: true}
	if !s.LongRunning {
		m.doc = "Exchanges an access token that has not expired for the next one of its session."
		return open(m, svc.RefreshAccessToken, outputs...)
	}
	m.doc = "Exchanges a refresh token for a new access token and the refresh token to go on with."
	return open(m, svc.RefreshToken, outputs...)
}

func revoke(svc *accounts.Service, s Settings) mutation {
	m := mutation{name: "revokeToken", typ: "RevokeToken", repeatable: true, fromCookie: true}
	if !s.LongRunning {
		m.doc = "Logs out: ends the session of an access token."
		return open(m, svc.RevokeAccessToken, revoked)
	}
	m.doc = "Logs out: ends the session of a refresh token."
	return open(m, svc.RevokeToken, revoked)
}
