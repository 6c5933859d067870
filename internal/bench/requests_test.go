package bench

import (
	"encoding/json"
	"fmt"
)

// What is asked, as JSON.
var (
	meBody      = ask(`query Me { me { id username email verified } }`, `{}`)
	refreshBody = ask(`mutation R($t: String) { refreshToken(refreshToken: $t) { success token refreshToken } }`,
		`{"t":"{chain}"}`)
)

func verifyBody(token string) string {
	return ask(`mutation V($t: String) { verifyToken(token: $t) { success payload } }`, `{"t":`+text(token)+`}`)
}

func loginBody(username, password string) string {
	return ask(`mutation L($u: String, $p: String!) { tokenAuth(username: $u, password: $p) { success token `+
		`refreshToken } }`,
		`{"u":`+text(username)+`,"p":`+text(password)+`}`)
}

func registerBody(username, password string) string {
	return ask(`mutation R($e: String!, $u: String!, $p: String!) { register(email: $e, username: $u, password1: $p, `+
		`password2: $p) { success token refreshToken } }`,
		`{"e":`+text(username+"@example.com")+`,"u":`+text(username)+`,"p":`+text(password)+`}`)
}

// pageBody asks for 20 users after a cursor, which is JSON, whose names contain part.
func pageBody(after, part string) string {
	query := `query U($after: String, $part: String) { users(first: 20, after: $after, username_Icontains: $part) {` +
		` edges { node { id username email verified } } pageInfo { hasNextPage endCursor } } }`
	return ask(query, fmt.Sprintf(`{"after":%s,"part":%s}`, after, text(part)))
}

// ask is a request; variables is JSON.
func ask(query, variables string) string {
	return `{"query":` + text(query) + `,"variables":` + variables + `}`
}

// text is a JSON string.
func text(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always encode
	}
	return string(quoted)
}
