package schema_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/accounts"
	"accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

const (
	invalidToken = `{"nonFieldErrors":[{"message":"Invalid token.","code":"invalid_token"}]}`
	expiredToken = `{"nonFieldErrors":[{"message":"Expired token.","code":"expired_token"}]}`
	required     = `[{"message":"This field is required.","code":"required"}]`
	invalidEmail = `[{"message":"Enter a valid email address.","code":"invalid"}]`
)

// TestRefusals has every error of a form or a token, in both flavours. The error has its key in the payload, success is
// false, and every other output is null.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t)
		s.session(t, f, "register", registration("taken"))
		action := func(purpose tokens.Purpose, ref, address string) string {
			link, err := s.svc.Link(t.Context(), purpose, ref, address)
			if err != nil {
				t.Fatal(err)
			}
			return link.Token
		}
		activated := action(tokens.Activation, "taken", "")
		add := func(name string) {
			if _, err := s.svc.AddUser(t.Context(), accounts.AddUserInput{Username: name, Email: name + "@acme.example",
				NoPassword: true}); err != nil {
				t.Fatal(err)
			}
		}
		add("expired")
		expired := action(tokens.Activation, "expired", "")
		s.pass(7*24*time.Hour + time.Second)
		ended := s.session(t, f, "tokenAuth", `username: "taken", password: "`+goodPassword+`"`)
		s.run(t, f, "revokeToken", `refreshToken: "`+ended.RefreshToken+`"`, "success")
		old := s.session(t, f, "tokenAuth", `username: "taken", password: "`+goodPassword+`"`)
		s.pass(5*time.Minute + time.Second)
		add("reset")
		reset := action(tokens.PasswordReset, "reset", "")
		fresh := action(tokens.Activation, "taken", "")
		s.run(t, f, "verifyAccount", `token: "`+fresh+`"`, "success")

		long := strings.Repeat("a", 151)
		register := func(email, username, password1, password2 string) string {
			quote := func(v string) string { b, _ := json.Marshal(v); return string(b) }
			return fmt.Sprintf("email: %s, username: %s, password1: %s, password2: %s", quote(email), quote(username),
				quote(password1), quote(password2))
		}
		registerFields, registerNull := "success errors token refreshToken", `,"token":null,"refreshToken":null`
		tests := []struct{ name, args, errors string }{
			{"register", register("", " ", "", ""), `{"email":` + required + `,"username":` + required +
				`,"password1":` + required + `,"password2":` + required + `}`},
			{"register", register("nonsense", "ada", goodPassword, goodPassword), `{"email":` + invalidEmail + `}`},
			{"register", register("ada@acme.example", "a da", goodPassword, goodPassword),
				`{"username":[{"message":"Enter a valid username. This value may contain only letters, numbers, and ` +
					`@/./+/-/_ characters.","code":"invalid"}]}`},
			{"register", register("ada@acme.example", long, goodPassword, goodPassword),
				`{"username":[{"message":"Ensure this value has at most 150 characters (it has 151).",` +
					`"code":"max_length"}]}`},
			{"register", register("ada@acme.example", "a\x00da", goodPassword, goodPassword),
				`{"username":[{"message":"Null characters are not allowed.","code":"null_characters_not_allowed"}]}`},
			{"register", register("ada@acme.example", "ada", goodPassword, "other"+goodPassword),
				`{"password2":[{"message":"The two password fields didn’t match.","code":"password_mismatch"}]}`},
			{"register", register("ada@acme.example", "ada", "1234567", "1234567"),
				`{"password2":[{"message":"This password is too short. It must contain at least 8 characters.",` +
					`"code":"password_too_short"},` +
					`{"message":"This password is too common.","code":"password_too_common"},{"message":"This ` +
					`password is entirely numeric.","code":"password_entirely_numeric"}]}`},
			{"register", register("lovelace@acme.example", "ada", "lovelace1", "lovelace1"),
				`{"password2":[{"message":"The password is too similar to the email address.",` +
					`"code":"password_too_similar"}]}`},
			{"register", register("ada@acme.example", "ada", strings.Repeat("p", 1025), strings.Repeat("p", 1025)),
				`{"password2":[{"message":"This password is too long. It must contain at most 1024 bytes.",` +
					`"code":"password_too_long"}]}`},
			// The address is not checked while the form has errors.
			{"register", register("taken@acme.example", "TAKEN", goodPassword, goodPassword),
				`{"username":[{"message":"A user with that username already exists.","code":"unique"}]}`},
			{"register", register(" Taken@ACME.example ", "ada", goodPassword, goodPassword),
				`{"email":[{"message":"A user with that email already exists.","code":"unique"}]}`},
			{"register", register("nonsense", "taken", "short", "short"), `{"email":` + invalidEmail +
				`,"username":[{"message":"A user with that username already exists.","code":"unique"}]` +
				`,"password2":[{"message":"This password is too short. It must contain at least 8 characters.",` +
				`"code":"password_too_short"}]}`},

			{"verifyAccount", `token: ""`, invalidToken},
			{"verifyAccount", `token: "nonsense"`, invalidToken},
			{"verifyAccount", `token: "` + expired + `"`, expiredToken},
			{"verifyAccount", `token: "` + activated + `"`, expiredToken}, // too old comes before used
			{"verifyAccount", `token: "` + reset + `"`, invalidToken},
			{"verifyAccount", `token: "` + old.Token + `"`, invalidToken},
			{"verifyAccount", `token: "` + fresh + `"`,
				`{"nonFieldErrors":[{"message":"Account already verified.","code":"already_verified"}]}`},

			{"resendActivationEmail", `email: ""`, `{"email":` + required + `}`},
			{"resendActivationEmail", `email: "a@b@c"`, `{"email":` + invalidEmail + `}`},

			{"tokenAuth", `username: "taken", password: "wrong"`,
				`{"nonFieldErrors":[{"message":"Please, enter valid credentials.","code":"invalid_credentials"}]}`},
			{"tokenAuth", `email: "nobody@acme.example", password: "` + goodPassword + `"`,
				`{"nonFieldErrors":[{"message":"Please, enter valid credentials.","code":"invalid_credentials"}]}`},
			{"tokenAuth", `email: "nonsense", password: ""`,
				`{"nonFieldErrors":[{"message":"Please, enter valid credentials.","code":"invalid_credentials"}]}`},
			// The account has no password.
			{"tokenAuth", `username: "expired", password: ""`,
				`{"nonFieldErrors":[{"message":"Please, enter valid credentials.","code":"invalid_credentials"}]}`},

			{"verifyToken", ``, invalidToken},
			{"verifyToken", `token: null`, invalidToken},
			{"verifyToken", `token: "a.b.c"`, invalidToken},
			{"verifyToken", `token: "` + old.RefreshToken + `"`, invalidToken},
			{"verifyToken", `token: "` + reset + `"`, invalidToken},
			{"verifyToken", `token: "` + old.Token + `"`, expiredToken},

			{"refreshToken", ``, invalidToken},
			{"refreshToken", `refreshToken: null`, invalidToken},
			{"refreshToken", `refreshToken: " "`, invalidToken},
			{"refreshToken", `refreshToken: "nonsense"`, invalidToken},
			{"refreshToken", `refreshToken: "` + old.Token + `"`, invalidToken},
			{"refreshToken", `refreshToken: "` + ended.RefreshToken + `"`, invalidToken},

			{"revokeToken", ``, invalidToken},
			{"revokeToken", `refreshToken: "nonsense"`, invalidToken},
			{"revokeToken", `refreshToken: "` + ended.RefreshToken + `"`, invalidToken},
		}
		fields := map[string][2]string{
			"register":              {registerFields, registerNull},
			"verifyAccount":         {"success errors", ""},
			"resendActivationEmail": {"success errors", ""},
			"tokenAuth": {"success errors token refreshToken unarchiving user { id } payload refreshExpiresIn",
				`,"token":null,"refreshToken":null,"unarchiving":false,"user":null,"payload":null,` +
					`"refreshExpiresIn":null`},
			"verifyToken": {"success errors payload", `,"payload":null`},
			"refreshToken": {"success errors token refreshToken payload refreshExpiresIn",
				`,"token":null,"refreshToken":null,"payload":null,"refreshExpiresIn":null`},
			"revokeToken": {"success errors revoked", `,"revoked":null`},
		}
		mails := len(s.mails(t))
		for _, test := range tests {
			t.Run(f.name+" "+test.name+" "+clip(test.args), func(t *testing.T) {
				got := s.run(t, f, test.name, test.args, fields[test.name][0])
				if want := `{"success":false,"errors":` + test.errors + fields[test.name][1] + `}`; got != want {
					t.Errorf("\n got %s\nwant %s", got, want)
				}
			})
		}
		if got := s.mails(t); len(got) != mails {
			t.Errorf("got %d mails from refusals, want 0", len(got)-mails)
		}
	}
}

func clip(s string) string { return s[:min(len(s), 60)] }

// TestOutboxFull: with a full outbox, an operation that mails changes nothing.
func TestOutboxFull(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, func(o *options) { o.outbox = 1 })
		s.session(t, f, "register", registration("first"))
		if err := s.db.Write(t.Context(), func(tx *store.Tx) error { // a mail that could not be published
			_, err := tx.ExecContext(t.Context(),
				`INSERT INTO outbox (name, message, created_at) VALUES ('x', x'00', 1)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		const want = `{"success":false,"errors":{"nonFieldErrors":[{"message":"Failed to send email.",` +
			`"code":"email_fail"}]}}`
		for args, name := range map[string]string{
			registration("second"): "register", `email: "first@acme.example"`: "resendActivationEmail",
			`email: "nobody@acme.example"`: "resendActivationEmail",
			`email: "first@ACME.example"`:  "sendPasswordResetEmail",
			`email: "nobody@ACME.example"`: "sendPasswordResetEmail",
		} {
			if got := s.run(t, f, name, args, "success errors"); got != want {
				t.Errorf("%s %s(%s): got %s, want %s", f.name, name, args, got, want)
			}
		}
		if _, err := s.svc.FindUser(t.Context(), "second"); err == nil {
			t.Error("got a user, want none without the mail")
		}
	}
}

// TestConversation runs from register to revoke, and compares whole payloads.
func TestConversation(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t)
			registered := s.session(t, f, "register", registration("ada"))
			if got := s.run(t, f, "resendActivationEmail", `email: "ADA@acme.example"`,
				"success errors"); got != `{"success":true,"errors":null}` {
				t.Errorf("got %s, want success without errors", got)
			}
			if n := len(s.mails(t)); n != 2 {
				t.Errorf("got %d mails, want 2", n)
			}
			if got := s.run(t, f, "verifyAccount", `token: "`+s.activationToken(t, "ada")+`"`,
				"success errors"); got != `{"success":true,"errors":null}` {
				t.Errorf("got %s, want success without errors", got)
			}
			if got := s.run(t, f, "resendActivationEmail", `email: "ada@acme.example"`,
				"success errors"); got != `{"success":true,"errors":null}` {
				t.Errorf("got %s, want success without errors", got) // and no mail
			}
			if n := len(s.mails(t)); n != 2 {
				t.Errorf("got %d mails, want 2", n)
			}

			s.pass(time.Second)
			var login struct {
				Success, Unarchiving bool
				Errors               any
				Token, RefreshToken  string
				User                 map[string]any
				Payload              json.RawMessage
				RefreshExpiresIn     int64
			}
			const userFields = "id pk username email secondaryEmail firstName lastName isStaff isActive verified " +
				"archived dateJoined lastLogin"
			got := s.run(t, f, "tokenAuth", `email: "ada@acme.example", password: "`+goodPassword+`"`,
				"success errors token refreshToken unarchiving payload refreshExpiresIn user { "+userFields+" }")
			if err := json.Unmarshal([]byte(got), &login); err != nil || !login.Success || login.Errors != nil ||
				login.Unarchiving {
				t.Fatalf("got %s, %v, want a login", got, err)
			}
			if login.RefreshExpiresIn != 1_800_000_001+7*24*3600 {
				t.Errorf("got refreshExpiresIn %d, want 7 days from now", login.RefreshExpiresIn)
			}
			claims := strings.Split(login.Token, ".")
			if raw, err := base64.RawURLEncoding.DecodeString(claims[1]); err != nil || !sameJSON(raw, login.Payload) {
				t.Errorf("got payload %s, want the token's %s, %v", login.Payload, raw, err)
			}
			if !strings.HasPrefix(string(login.Payload), `{"username":"ada","exp":1800000301,"origIat":1800000001,`) {
				t.Errorf("got payload %s, want username, exp and origIat first", login.Payload)
			}

			_, me := s.post(t, f, "{ me { "+userFields+" __typename ... on Node { nodeID: id } } }", "Authorization",
				"Bearer "+login.Token)
			want := `{"data":{"me":{"id":"VXNlck5vZGU6MQ==","pk":1,"username":"ada","email":"ada@acme.example",` +
				`"secondaryEmail":null,"firstName":"","lastName":"",` +
				`"isStaff":false,"isActive":true,"verified":true,"archived":false,` +
				`"dateJoined":"2027-01-15T08:00:00+00:00","lastLogin":"2027-01-15T08:00:01+00:00",` +
				`"__typename":"UserNode","nodeID":"VXNlck5vZGU6MQ=="}}}`
			if me != want {
				t.Errorf("me\n got %s\nwant %s", me, want)
			}

			if got := s.run(t, f, "verifyToken", `token: "`+login.Token+`"`,
				"success errors payload"); got != `{"success":true,"errors":null,"payload":`+string(login.Payload)+`}` {
				t.Errorf("verifyToken got %s, want %s", got, `{"success":true,"errors":null,"payload":`+
					string(login.Payload)+`}`)
			}
			next := s.session(t, f, "refreshToken", `refreshToken: "`+login.RefreshToken+`"`)
			if next.RefreshToken == login.RefreshToken {
				t.Error("got the same refresh token, want the next one")
			}
			if got := s.run(t, f, "revokeToken", `refreshToken: "`+next.RefreshToken+`"`,
				"success errors revoked"); got != `{"success":true,"errors":null,"revoked":1800000001}` {
				t.Errorf("revokeToken got %s, want %s", got, `{"success":true,"errors":null,"revoked":1800000001}`)
			}
			for name, token := range map[string]string{"revoked": login.Token, "refreshed and revoked": next.Token} {
				if _, me := s.post(t, f, "{ me { pk } }", "Authorization", "JWT "+token); me != `{"data":{"me":null}}` {
					t.Errorf("%s: got %s, want null", name, me)
				}
			}
			if _, me := s.post(t, f, "{ me { pk } }", "Authorization", "JWT "+
				registered.Token); me != `{"data":{"me":{"pk":1}}}` {
				t.Errorf("other session: got %s, want user 1", me)
			}
		})
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func TestClientMutationID(t *testing.T) {
	t.Parallel()
	s, relay := newSite(t), flavours[1]
	for args, want := range map[string]string{
		`clientMutationId: "7", token: "x"`:  `{"clientMutationId":"7","success":false}`,
		`clientMutationId: null, token: "x"`: `{"clientMutationId":null,"success":false}`,
		`token: "x"`:                         `{"clientMutationId":null,"success":false}`,
	} {
		if got := s.run(t, relay, "verifyAccount", args, "clientMutationId success"); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}
}

// TestWrongUsage: an error that only the developer of an app can cause is a GraphQL error.
func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, f := range flavours {
		for _, args := range []string{
			`password: "x"`, `password: "x", email: null`, `password: "x", email: null, username: null`,
			`password: "x", email: "a@acme.example", username: "a"`,
		} {
			status, got := s.post(t, f, f.mutation("tokenAuth", args, "success"))
			want := `{"errors":[{"message":"Must login with password and one of the following fields ['email', ` +
				`'username'].","locations":[{"line":1,"column":12}],` +
				`"path":["tokenAuth"],"extensions":{"code":"wrong_usage"}}],"data":{"tokenAuth":null}}`
			if status != 200 || got != want {
				t.Errorf("%s %s: got status %d and %s, want %s", f.name, args, status, got, want)
			}
		}
	}
}

// TestAuthorizationHeader is section 2 of the contract.
func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	token := s.session(t, flavours[0], "register", registration("ada")).Token
	for header, known := range map[string]bool{
		"JWT " + token: true, "jwt " + token: true, "Bearer " + token: true, "bEARER\t " + token: true, " JWT  " +
			token + " ": true,
		"": false, token: false, "Token " + token: false, "JWT": false, "JWT " + token + " x": false, "JWT" +
			token: false, "JWT x": false,
	} {
		want := `{"data":{"me":null}}`
		if known {
			want = `{"data":{"me":{"username":"ada"}}}`
		}
		if status, got := s.post(t, flavours[0], "{ me { username } }", "Authorization", header); status != 200 ||
			got != want {
			t.Errorf("%q: got status %d and %s, want %s", header, status, got, want)
		}
	}
	other := newSite(t, func(o *options) { o.headers = []string{"Acme"} })
	token = other.session(t, flavours[0], "register", registration("ada")).Token
	for prefix, want := range map[string]string{"acme": `{"data":{"me":{"pk":1}}}`, "JWT": `{"data":{"me":null}}`} {
		if _, got := other.post(t, flavours[0], "{ me { pk } }", "Authorization", prefix+" "+token); got != want {
			t.Errorf("%s: got %s, want %s", prefix, got, want)
		}
	}
	// An invalid token makes the caller anonymous, and the mutation runs.
	if got := s.run(t, flavours[0], "register", registration("bob"), "success"); got != `{"success":true}` {
		t.Errorf("got %s, want success", got)
	}
}

// TestViewerFailureIsNotAnonymity: if the database fails, the caller is not reported as anonymous.
func TestViewerFailureIsNotAnonymity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	token := s.session(t, flavours[0], "register", registration("ada")).Token
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, got := s.post(t, flavours[0], "{ me { pk } again: me { pk } }", "Authorization", "JWT "+token)
	if !strings.Contains(got, `"message":"internal server error"`) || !strings.Contains(got,
		`"extensions":{"code":"internal","requestId":"req-1"}`) || strings.Contains(got, "closed") {
		t.Errorf("got %s, want an internal error without its cause", got)
	}
	if !strings.Contains(s.log.String(), "closed") {
		t.Errorf("got the log %s, want that the database is closed", s.log.String())
	}
}

// TestBusy: with one hash at a time and no queue, some of many simultaneous logins are refused as busy.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) {
		o.accounts.Passwords.Argon2 = password.Argon2Settings{MemoryKiB: 16 << 10, Iterations: 4, Parallelism: 1,
			Concurrent: 1}
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]string{} // by status
	for range 32 {
		wg.Go(func() {
			status, got := s.post(t, flavours[0], flavours[0].mutation("tokenAuth", `username: "a", password: "b"`,
				"success"))
			mu.Lock()
			defer mu.Unlock()
			answers[status] = got
		})
	}
	wg.Wait()
	busy := regexp.MustCompile(`"path":\["tokenAuth"\],"extensions":\{"code":"busy","retryAfter":[1-9]\d*\}\}\],` +
		`"data":\{"tokenAuth":null\}\}$`)
	if answers[200] != `{"data":{"tokenAuth":{"success":false}}}` || !busy.MatchString(answers[503]) ||
		len(answers) != 2 {
		t.Errorf("got %v, want a failed login and a busy server", answers)
	}
}

// TestOneCredentialMutation: a request can try one password, and verify several tokens.
func TestOneCredentialMutation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for names, allowed := range map[string]bool{
		`tokenAuth(username: "a", password: "b") { success } x: ` +
			`tokenAuth(username: "a", password: "c") { success }`: false,
		`register(email: "", username: "", password1: "", password2: "") { success } tokenAuth(username: "a", ` +
			`password: "b") { success }`: false,
		`verifyAccount(token: "a") { success } x: verifyAccount(token: "b") { success }`:                 false,
		`resendActivationEmail(email: "a") { success } x: resendActivationEmail(email: "b") { success }`: false,
		`refreshToken(refreshToken: "a") { success } x: refreshToken(refreshToken: "b") { success }`:     false,
		`passwordReset(token: "a", newPassword1: "", newPassword2: "") { success } x: passwordSet(token: "b", ` +
			`newPassword1: "", newPassword2: "") { success }`: false,
		`sendPasswordResetEmail(email: "a") { success } x: sendPasswordResetEmail(email: "b") { success }`: false,
		`archiveAccount(password: "a") { success } swapEmails(password: "b") { success }`:                  false,
		`verifySecondaryEmail(token: "a") { success } x: verifySecondaryEmail(token: "b") { success }`:     false,
		`verifyToken(token: "a") { success } x: verifyToken(token: "b") { success }`:                       true,
		`revokeToken(refreshToken: "a") { success } x: revokeToken(refreshToken: "b") { success } ` +
			`tokenAuth(username: "a", password: "b") { success }`: true,
	} {
		status, got := s.post(t, flavours[0], "mutation { "+names+" }")
		if refused := strings.Contains(got, `"code":"one_credential_mutation"`); refused == allowed ||
			refused != (status == 400) {
			t.Errorf("%s: got status %d and %s, want allowed: %t", names, status, got, allowed)
		}
	}
}

// TestSecretsStayOutOfTheLog registers, logs in, refreshes and fails, and looks for secrets in the log.
func TestSecretsStayOutOfTheLog(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	f := flavours[0]
	out := s.session(t, f, "register", registration("ada"))
	s.run(t, f, "tokenAuth", `username: "ada", password: "wrong-`+goodPassword+`"`, "success")
	next := s.session(t, f, "refreshToken", `refreshToken: "`+out.RefreshToken+`"`)
	activation := s.activationToken(t, "ada")
	s.run(t, f, "verifyAccount", `token: "`+activation+`"`, "success")
	log := s.log.String()
	for _, event := range []string{"user_registered", "refresh_token_rotated", "user_verified"} {
		if !strings.Contains(log, "event="+event) {
			t.Errorf("got the log %s, want event %s", log, event)
		}
	}
	for _, secret := range []string{goodPassword, out.Token, out.RefreshToken, next.Token, next.RefreshToken,
		activation, "ada@acme.example"} {
		if strings.Contains(log, secret) {
			t.Errorf("got %q in the log, want none:\n%s", secret, log)
		}
	}
	// The database has no token in clear either.
	for _, name := range []string{"test.db", "test.db-wal"} {
		raw, err := os.ReadFile(strings.TrimSuffix(s.spool, "spool") + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{goodPassword, out.Token, out.RefreshToken, next.RefreshToken, activation} {
			if strings.Contains(string(raw), secret) {
				t.Errorf("%s: got %q in it, want none", name, secret)
			}
		}
	}
}
