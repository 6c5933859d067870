//go:build unix

package web_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// canaries are unique strings, and where each was sent.
type canaries struct {
	*testing.T
	server *servertest.Server
	put    map[string]place
}

// place is where a canary was sent.
type place struct {
	where  string
	stored bool // it may be in the database: an address or a name
	echoed bool // it may be in the answer: a name of the document, or a clientMutationId
}

// new makes a canary: letters and digits only, so that every encoding of JSON, URLs and logs keeps it.
func (c *canaries) new(p place) string {
	name := fmt.Sprintf("kanari%05dq", len(c.put))
	c.put[name] = p
	return name
}

// secret makes a canary that no response, log or file may have.
func (c *canaries) secret(format string, args ...any) string {
	return c.new(place{where: fmt.Sprintf(format, args...)})
}

// send posts a body, with an access token unless that is "", and searches the response for canaries.
func (c *canaries) send(token, method, target, body string, headers ...string) servertest.Reply {
	c.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "JWT "+token)
	}
	if method == http.MethodPost && !slices.Contains(headers, "Content-Type") {
		headers = append(headers, "Content-Type", "application/json")
	}
	got := c.server.Send(c.T, method, target, body, headers...)
	for name := range c.found(got.Body) {
		if !c.put[name].echoed {
			c.Errorf("the answer repeats %s: %.500s", c.put[name].where, got.Body)
		}
	}
	for header, values := range got.Header {
		if len(c.found(strings.Join(values, " "))) > 0 && header != "Location" { // of a path with dots in it
			c.Errorf("the answer's header %s repeats one: %q", header, values)
		}
	}
	return got
}

var canary = regexp.MustCompile(`(?i)kanari[0-9]{5}q`)

// found returns the canaries in a text.
func (c *canaries) found(text string) map[string]bool {
	found := map[string]bool{}
	for _, name := range canary.FindAllString(text, -1) {
		found[strings.ToLower(name)] = true
	}
	return found
}

func (c *canaries) post(token, path, query string, variables any) servertest.Reply {
	c.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		c.Fatal(err)
	}
	return c.send(token, http.MethodPost, path, string(body))
}

// do runs a mutation that has to succeed, and decodes its payload.
func (c *canaries) do(token, call, selection string) (out struct{ Token, RefreshToken string }) {
	c.Helper()
	got := c.post(token, "/graphql", "mutation { m: "+call+" { success errors "+selection+" } }", nil)
	var answer struct{ Data struct{ M json.RawMessage } }
	if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || !strings.Contains(got.Body, `"success":true`) {
		c.Fatalf("%s: %v, %s", call[:strings.IndexByte(call, '(')], err, got.Body)
	}
	if err := json.Unmarshal(answer.Data.M, &out); err != nil {
		c.Fatal(err)
	}
	return out
}

// mailed returns the token of the newest mail.
func (c *canaries) mailed() string {
	c.Helper()
	files, err := filepath.Glob(filepath.Join(c.server.DataDir, "spool", "new", "*.eml"))
	if err != nil || len(files) == 0 {
		c.Fatalf("%d mails, %v", len(files), err)
	}
	raw, err := os.ReadFile(slices.Max(files)) // names begin with their time
	if err != nil {
		c.Fatal(err)
	}
	token := servertest.Link.FindSubmatch(raw)
	if token == nil {
		c.Fatalf("the newest mail has no link:\n%s", raw)
	}
	return string(token[1])
}

// TestSecurityCanary: no value of a request gets into the log, at any level and in either format, or into a file
// name. No secret gets into the database, and no response repeats a value.
func TestSecurityCanary(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			server := servertest.New(t, "ACCOUNTD_LOG_LEVEL=debug", "ACCOUNTD_LOG_FORMAT="+format,
				"ACCOUNTD_TOKENS_ALLOW_ARGUMENT=true", "ACCOUNTD_TOKENS_COOKIES_ENABLED=true",
				"ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.0/8", "ACCOUNTD_QUERIES_USERS=authenticated")
			c := &canaries{T: t, server: server, put: map[string]place{}}
			secrets := c.life()
			c.everywhere(c.token(&secrets))
			if err := server.Stop(); err != nil {
				t.Fatalf("stop: got %v, want no error\n%s", err, server.Log())
			}
			c.nowhere(secrets)
			c.events(format)
		})
	}
}

// token returns an access token of a new account, for requests that need authentication.
func (c *canaries) token(secrets *[]string) string {
	session, err := c.server.Register(http.DefaultClient, "walker", c.secret("a password"))
	if err != nil || !session.Success {
		c.Fatalf("%+v, %v", session, err)
	}
	*secrets = append(*secrets, session.Token, session.RefreshToken)
	return session.Token
}

// life takes an account from registration to deletion, and collects its tokens and hashes.
func (c *canaries) life() (secrets []string) {
	c.Helper()
	name, first := c.new(place{"a username", true, false}), c.new(place{"a first name", true, false})
	email, second := c.new(place{"an address", true, false})+"@example.com",
		c.new(place{"a secondary address", true, false})+"@example.com"
	const unlike = "-XZVW-8642-MJ" // a password may not be too much like the username
	passwords := []string{c.secret("the first password") + unlike, c.secret("the second password") + unlike,
		c.secret("the third password") + unlike}
	keep := func(tokens ...string) string {
		secrets = append(secrets, tokens...)
		return tokens[0]
	}
	out := c.do("", fmt.Sprintf(`register(email: "%s", username: "%s", password1: "%s", password2: "%[3]s")`, email,
		name,
		passwords[0]), "token refreshToken")
	token := keep(out.Token, out.RefreshToken)
	c.do("", `verifyAccount(token: "`+keep(c.mailed())+`")`, "")
	out = c.do("", `refreshToken(refreshToken: "`+out.RefreshToken+`")`, "token refreshToken")
	keep(out.Token, out.RefreshToken)
	c.post("", "/graphql", `mutation { refreshToken(refreshToken: "`+c.secret("a bad refresh token")+
		`") { success errors } }`, nil)
	c.post("", "/graphql", `mutation { tokenAuth(username: "`+name+`", password: "`+c.secret("a wrong password")+
		`") { success errors } }`, nil)
	c.post("", "/graphql", `mutation { tokenAuth(email: "`+c.secret("an unknown address")+
		`@example.com", password: "x") { success errors } }`, nil)
	c.post(token, "/graphql", `mutation { swapEmails(password: "`+c.secret("a wrong password")+
		`") { success errors } }`,
		nil)
	c.post(token, "/graphql", `mutation { archiveAccount(password: "`+c.secret("a wrong password")+
		`") { success errors } }`, nil)
	c.do(token, `updateAccount(firstName: "`+first+`")`, "")
	out = c.do(token, fmt.Sprintf(`passwordChange(oldPassword: "%s", newPassword1: "%s", newPassword2: "%[2]s")`,
		passwords[0], passwords[1]), "token refreshToken")
	token = keep(out.Token, out.RefreshToken)
	c.do(token, fmt.Sprintf(`sendSecondaryEmailActivation(email: "%s", password: "%s")`, second, passwords[1]), "")
	c.do("", `verifySecondaryEmail(token: "`+keep(c.mailed())+`")`, "")
	c.do(token, `swapEmails(password: "`+passwords[1]+`")`, "")
	c.do(token, `removeSecondaryEmail(password: "`+passwords[1]+`")`, "")
	c.do("", `sendPasswordResetEmail(email: "`+second+`")`, "")
	c.do("", fmt.Sprintf(`passwordReset(token: "%s", newPassword1: "%s", newPassword2: "%[2]s")`, keep(c.mailed()),
		passwords[2]), "")
	out = c.do("", fmt.Sprintf(`tokenAuth(username: "%s", password: "%s")`, name, passwords[2]), "token refreshToken")
	token = keep(out.Token, out.RefreshToken)
	c.do(token, `archiveAccount(password: "`+passwords[2]+`")`, "")
	out = c.do("", fmt.Sprintf(`tokenAuth(username: "%s", password: "%s")`, name, passwords[2]), "token refreshToken")
	keep(out.Token, out.RefreshToken)
	c.do("", `revokeToken(refreshToken: "`+out.RefreshToken+`")`, "")
	out = c.do("", fmt.Sprintf(`tokenAuth(username: "%s", password: "%s")`, name, passwords[2]), "token refreshToken")
	token = keep(out.Token, out.RefreshToken)
	c.do(token, `deleteAccount(password: "`+passwords[2]+`")`, "")
	return secrets
}

// everywhere sends canaries in every argument of every field, in every form, and in every other part of a request.
func (c *canaries) everywhere(token string) {
	c.Helper()
	type typ struct {
		Name   string
		OfType *typ
	}
	type value struct {
		Name string
		Type typ
	}
	type object struct {
		Fields []struct {
			Name string
			Type struct{ Fields []struct{ Name string } }
			Args []value
		}
	}
	var schema struct {
		Data struct {
			Schema struct {
				Types []struct {
					Name        string
					InputFields []value
				}
				QueryType, MutationType object
			} `json:"__schema"`
		}
	}
	const root = `{ fields { name type { fields { name } } args { name type { name ofType { name } } } } }`
	arguments := 0
	for _, path := range []string{"/graphql", "/relay"} {
		got := c.server.Post(c.T, path, `{ __schema { types { name inputFields { name type { name ofType { name } } `+
			`} } `+
			`queryType `+root+` mutationType `+root+` } }`, "")
		if err := json.Unmarshal([]byte(got.Body), &schema); err != nil {
			c.Fatal(err)
		}
		scalar := func(t typ) string {
			if t.OfType != nil {
				return t.OfType.Name
			}
			return t.Name
		}
		inputs := map[string]map[string]string{} // type of each field, by input type
		for _, t := range schema.Data.Schema.Types {
			for _, f := range t.InputFields {
				if inputs[t.Name] == nil {
					inputs[t.Name] = map[string]string{}
				}
				inputs[t.Name][f.Name] = scalar(f.Type)
			}
		}
		for kind, root := range map[string]object{"query": schema.Data.Schema.QueryType,
			"mutation": schema.Data.Schema.MutationType} {
			for _, f := range root.Fields {
				selection := "{ __typename }"
				if slices.ContainsFunc(f.Type.Fields,
					func(f struct{ Name string }) bool { return f.Name == "errors" }) {
					selection = "{ success errors }"
				}
				args, wrap := map[string]string{}, "%s"
				for _, a := range f.Args {
					args[a.Name] = scalar(a.Type)
				}
				if input, ok := inputs[args["input"]]; ok {
					args, wrap = input, "input: {%s}"
				}
				for target, typeName := range args {
					arguments++
					c.argument(token, path, kind, f.Name, selection, wrap, args, target, typeName)
				}
			}
		}
	}
	if arguments < 100 {
		c.Errorf("only %d arguments were tried", arguments)
	}
	c.elsewhere(token)
}

// argument sends a canary as one argument: as a literal and as a variable, of its type and of others.
func (c *canaries) argument(token, path, kind, field, selection, wrap string, args map[string]string, target,
	typeName string) {
	c.Helper()
	others := ""
	for _, name := range slices.Sorted(maps.Keys(args)) {
		if name != target && args[name] == "String" && !slices.Contains([]string{"username", "after", "before"},
			name) &&
			kind == "mutation" {
			others += name + `: "x@example.com" `
		}
	}
	where := fmt.Sprintf("%s of %s at %s", target, field, path)
	at := place{where: where, stored: kind == "mutation" && slices.Contains([]string{"email", "username", "firstName",
		"lastName"}, target), echoed: target == "clientMutationId"}
	value := func() string {
		text := c.new(at)
		if target == "email" {
			text += "@example.com"
		}
		return text
	}
	document := func(literal, declared string) string {
		call := strings.TrimSpace(others + target + ": " + literal)
		return kind + declared + " { " + field + "(" + fmt.Sprintf(wrap, call) + ") " + selection + " }"
	}
	for _, asking := range []string{"", token} {
		c.post(asking, path, document(`"`+value()+`"`, ""), nil)
		c.post(asking, path, document(`"""`+value()+"\n{\\\"event\\\": forged}"+`"""`, ""), nil)
		c.post(asking, path, document("$v", "($v: "+typeName+"!)"), map[string]any{"v": value() +
			"\n{\"event\":\"forged\"}"})
		c.post(asking, path, document("$v", "($v: "+typeName+"!)"), map[string]any{"v": value()})
		for _, wrong := range []string{`["%s"]`, `{a: "%s"}`, "%s", `[{%s: 1}]`, "$%s"} {
			text := c.new(place{where: where + " as " + wrong, echoed: strings.Contains(wrong, "%s:") ||
				strings.Contains(wrong, "$")})
			c.post(asking, path, document(fmt.Sprintf(wrong, text), ""), nil)
		}
		for _, wrong := range []any{[]string{value()}, map[string]string{"a": value()},
			map[string]string{target: value()},
			[][]string{{value()}}} {
			c.post(asking, path, document("$v", "($v: "+typeName+"!)"), map[string]any{"v": wrong})
			c.post(asking, path, document("$v", "($v: Int!)"), map[string]any{"v": wrong})
		}
		for _, broken := range []string{`"%s`, `"""%s`, `"%s" "%[1]s"`, `"%s\`, `"%s\ud83d"`, `"%s" }}}`, "\"%s\n\"",
			`("%s")`} {
			c.post(asking, path, document(fmt.Sprintf(broken, c.secret("%s as %s", where, broken)), ""), nil)
		}
		if kind == "query" {
			c.send(asking, "GET", path+"?query="+url.QueryEscape(document(`"`+value()+`"`, "")), "")
			c.send(asking, "GET", path+"?query="+url.QueryEscape(document("$v", "($v: "+typeName+"!)"))+"&variables="+
				url.QueryEscape(`{"v":"`+value()+`"}`), "")
		}
	}
}

// elsewhere sends canaries in every part of a request that is no argument.
func (c *canaries) elsewhere(token string) {
	c.Helper()
	echoed := func(where string) string { return c.new(place{where: where, echoed: true}) }
	for _, format := range []string{
		"{ %s: me { id } }", "query %s { me { id } }", "{ me { %s } }", "{ %s { id } }", "{ me(%s: 1) { id } }",
		"{ me @%s { id } }", "{ me { ...%s } }",
		"{ me { ... on %s { id } } }", "query($%s: Int) { me { id } }", "query($v: %s) { me { id } }",
		"fragment %s on UserNode { id }", "%s { me { id } }",
		"{ a: me { id } a: %s { id } }", "mutation { %s: deleteTokenCookie { deleted } }",
		"mutation { %s: verifyToken(token: \"\") { %[1]s } }", "{ %s: users(first: -1) { edges { cursor } } }",
	} {
		c.post(token, "/graphql", fmt.Sprintf(format, echoed("a name in "+format)), nil)
	}
	c.post(token, "/graphql", "{ me { id } } # "+c.secret("a comment"), nil)
	c.post(token, "/graphql", "\"\"\"\n"+c.secret("a description")+"\n\"\"\" query { me { id } }", nil)
	c.post(token, "/graphql", "{ me { id } }", map[string]string{c.secret("an undeclared variable"): "x"})
	for _, format := range []string{
		`{"query":"{ me { id } }","operationName":"%s"}`, `{"query":"{ me { id } }","operationName":["%s"]}`,
		`{"query":"{ me { id } }","extensions":{"%s":"%[1]s"}}`,
		`{"query":"{ me { id } }","%s":1}`, `["%s"]`, `[{"query":"%s"}]`, `"%s"`, `{"query":["%s"]}`,
		`{"query":"{ me { id } }","variables":"%s"}`, `{"query":"{ me { id } }" %s}`, `%s`, `{"query":"%s`,
		`{"query":"{ me { id } }","variables":{"%s":"\ud83d"}}`, `{"query":"{ me { id } }"} %s`,
		"{\"query\":\"\xff%s\"}",
	} {
		c.send(token, "POST", "/graphql", fmt.Sprintf(format, echoed("a part of "+format)))
	}
	for _, header := range []string{
		"Authorization", "Cookie", "User-Agent", "Referer", "Origin", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Real-Ip",
		"Forwarded", "X-Request-Id", "Traceparent", "Accept",
		"Content-Type", "Content-Encoding", "Accept-Language", "Host", "Sec-Fetch-Site", "If-None-Match",
		"X-Forwarded-Method", "Access-Control-Request-Method", "X-Custom",
	} {
		for _, format := range []string{"%s", "JWT %s", "JWT=%s; JWT-refresh-token=%[1]s", "https://%s.example",
			"127.0.0.1, %s", "application/json; charset=%s"} {
			for _, request := range [][2]string{{"POST", "/graphql"}, {"GET", "/auth"}, {"OPTIONS", "/relay"},
				{"GET", "/readyz"}} {
				value := fmt.Sprintf(format, c.secret("the header %s", header))
				if header == "Host" && strings.ContainsAny(value, " ;/,=") {
					continue
				}
				c.send("", request[0], request[1], `{"query":"mutation { refreshToken { success errors } }"}`, header,
					value)
			}
		}
	}
	c.send("", "POST", "/graphql", `{"query":"mutation { verifyToken { success errors payload } }"}`, "Cookie", "JWT="+
		c.secret("a cookie"))
	c.send("", c.secret("a method"), "/graphql", "")
	for _, format := range []string{"/%s", "/activate/%s", "/graphql/%s", "/graphql?%s=1", "/graphql?query=%s",
		"/graphql?query={me{id}}&variables=%s", "/graphql?query={me{id}}&token=%s", "/auth?token=%s",
		"/graphiql/%s", "/dev/mail/%s", "/dev/mail/%s.eml", "/.well-known/%s", "/%%2e%%2e/%s", "/readyz?%s", "//%s",
		"/a/../%s"} {
		c.send(token, "GET", strings.ReplaceAll(fmt.Sprintf(format, echoed("the URL "+format)), "{me{id}}",
			"%7Bme%7Bid%7D%7D"), "")
	}
}

// nowhere searches log and files of the server for canaries, tokens and hashes.
func (c *canaries) nowhere(secrets []string) {
	c.Helper()
	log := c.server.Log()
	if !strings.Contains(log, "/graphql") || strings.Count(log, "\n") < len(c.put)/2 {
		c.Errorf("the log has %d lines for %d canaries: nothing is tested here", strings.Count(log, "\n"), len(c.put))
	}
	for name := range c.found(log) {
		c.Errorf("the log has %s: %s", c.put[name].where, lineWith(log, name))
	}
	if strings.Contains(log, "forged") {
		c.Errorf("the log has a line of the client's: %s", lineWith(log, "forged"))
	}
	stored := 0
	err := filepath.WalkDir(c.server.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if len(c.found(entry.Name())) > 0 {
			c.Errorf("a file has one in its name: %s", path)
		}
		if entry.IsDir() || strings.HasSuffix(path, ".eml") { // mails go to their owner
			return nil
		}
		raw, err := os.ReadFile(path)
		for name := range c.found(string(raw)) {
			stored++
			if !c.put[name].stored {
				c.Errorf("%s has %s", entry.Name(), c.put[name].where)
			}
		}
		for i, secret := range secrets {
			if strings.Contains(string(raw), secret) {
				c.Errorf("%s has token %d", entry.Name(), i)
			}
		}
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
	if stored == 0 {
		c.Error("the database has none of the names and addresses: nothing is tested here")
	}
	for i, secret := range secrets {
		if len(secret) < 20 || strings.Contains(log, secret) {
			c.Errorf("the log has token %d", i)
		}
	}
}

// events: the log has every login and every refusal (OWASP ASVS 16.3.1), by account id and not by name.
func (c *canaries) events(format string) {
	c.Helper()
	log := c.server.Log()
	for _, event := range []string{
		"user_registered", "user_verified", "refresh_token_rotated", "refresh_failed", "login_failed",
		"password_refused",
		"account_updated", "password_changed",
		"secondary_email_requested", "secondary_email_verified", "emails_swapped", "secondary_email_removed",
		"password_reset", "token_issued", "account_archived",
		"refresh_token_revoked", "account_deleted",
	} {
		pattern := `event=` + event + ` .*user=[0-9]+`
		if format == "json" {
			pattern = `^\{.*"event":"` + event + `","user":[0-9]+[,}]`
		}
		line := regexp.MustCompile("(?m)" + pattern).FindString(log)
		if line == "" {
			c.Errorf("the log has no %s", event)
		}
		if failed := strings.HasSuffix(event, "failed") || strings.HasSuffix(event, "refused"); failed &&
			!regexp.MustCompile(`client\W+127\.0\.0\.1`).MatchString(lineWith(log, event)) {
			c.Errorf("%s does not say where: %s", event, lineWith(log, event))
		}
	}
	for _, line := range strings.Split(log, "\n") {
		if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
			c.Errorf("a line that is no JSON: %s", line)
		}
	}
}

// lineWith returns the first line of a text that contains part.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(strings.ToLower(line), part) {
			return line
		}
	}
	return ""
}
