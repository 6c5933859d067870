package schema

import (
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

// mutations is the API. Adding a row adds the mutation to both flavours.
func mutations(svc *accounts.Service, s Settings, userNode *graphql.Object) []mutation {
	user := output[accounts.Session]{
		name: "user", typ: userNode, doc: "Who has logged in.",
		get: func(s *accounts.Session) any { return s.User },
	}
	var registered []output[accounts.Session]
	if s.Accounts.AllowLoginNotVerified {
		registered = []output[accounts.Session]{token, refreshToken}
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
			doc: "Mails the activation link once more. The answer does not tell whether there is such an account.",
		}, svc.ResendActivationEmail),
		open(mutation{
			name: "tokenAuth", typ: "ObtainJSONWebToken", without: notIn(s.Accounts.LoginFields, "email", "username"),
			doc: "Logs in with the password and one name: " + strings.Join(s.Accounts.LoginFields, " or ") + ".",
		}, svc.Login, token, refreshToken, unarchiving, user, payload, refreshExpiresIn),
		open(mutation{
			name: "verifyToken", typ: "VerifyToken", repeatable: true,
			doc: "Tells what a good access token claims.",
		}, svc.VerifyToken, payload),
		open(mutation{
			name: "refreshToken", typ: "RefreshToken",
			doc: "Exchanges a refresh token for a new access token and the next refresh token.",
		}, svc.RefreshToken, token, refreshToken, payload, refreshExpiresIn),
		open(mutation{
			name: "revokeToken", typ: "RevokeToken", repeatable: true,
			doc: "Logs out: ends the session of a refresh token.",
		}, svc.RevokeToken, revoked),
	}
	if fields := s.Accounts.UpdateArguments(); len(fields) > 0 {
		rows = append(rows, guardedErr(svc, mutation{
			name: "updateAccount", typ: "UpdateAccount", repeatable: true, fields: fields, needs: accounts.NeedsVerified,
			doc: "Changes the fields that are given; an empty text clears one.",
		}, svc.UpdateAccount))
	}
	return rows
}

// notIn are the names that list lacks.
func notIn(list []string, names ...string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(list, name) })
}
