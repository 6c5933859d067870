package schema

import (
	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

// mutations is the API. Adding a row adds the mutation to both flavours.
func mutations(svc *accounts.Service, s Settings, userNode *graphql.Object) []mutation {
	user := output[accounts.Session]{
		name: "user", typ: userNode, doc: "Who has logged in.",
		get: func(s *accounts.Session) any { return s.User },
	}
	session := []output[accounts.Session]{token}
	if s.LongRunning {
		session = append(session, refreshToken)
	}
	var registered []output[accounts.Session]
	if s.Accounts.AllowLoginNotVerified {
		registered = session
	}
	return []mutation{
		open(mutation{
			name: "register", typ: "Register",
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
			name: "tokenAuth", typ: "ObtainJSONWebToken",
			doc: "Logs in with the password and either the email or the username.",
		}, svc.Login, append([]output[accounts.Session]{unarchiving, user, payload, refreshExpiresIn}, session...)...),
		open(mutation{
			name: "verifyToken", typ: "VerifyToken", repeatable: true,
			doc: "Tells what a good access token claims.",
		}, svc.VerifyToken, payload),
		refresh(svc, s, append([]output[accounts.Session]{payload, refreshExpiresIn}, session...)),
		revoke(svc, s),
	}
}

func refresh(svc *accounts.Service, s Settings, outputs []output[accounts.Session]) mutation {
	m := mutation{name: "refreshToken", typ: "RefreshToken"}
	if !s.LongRunning {
		m.doc = "Exchanges an access token that has not expired for the next one of its session."
		return open(m, svc.RefreshAccessToken, outputs...)
	}
	m.doc = "Exchanges a refresh token for a new access token and the refresh token to go on with."
	return open(m, svc.RefreshToken, outputs...)
}

func revoke(svc *accounts.Service, s Settings) mutation {
	m := mutation{name: "revokeToken", typ: "RevokeToken", repeatable: true}
	if !s.LongRunning {
		m.doc = "Logs out: ends the session of an access token."
		return open(m, svc.RevokeAccessToken, revoked)
	}
	m.doc = "Logs out: ends the session of a refresh token."
	return open(m, svc.RevokeToken, revoked)
}
