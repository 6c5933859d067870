//go:build unix

package security_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// delivered is a mail of the spool, with its link and the link's token if it has one.
type delivered struct{ To, Subject, Link, Token string }

// deliveries takes all mails out of the spool.
func deliveries(t *testing.T, server *servertest.Server) []delivered {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(server.DataDir, "spool", "new", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []delivered
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		d := delivered{To: strings.Trim(message.Header.Get("To"), "<>")}
		if d.Subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
			t.Fatal(err)
		}
		if found := servertest.Link.FindSubmatch(raw); found != nil {
			d.Link, d.Token = string(found[0]), string(found[1])
		}
		list = append(list, d)
	}
	return list
}

// answered sends a mutation and returns "ok", or the fields and codes of its errors.
func answered(t *testing.T, server *servertest.Server, token, field, query string, variables map[string]any) string {
	t.Helper()
	answer, err := server.Ask(http.DefaultClient, token, query, variables)
	if err != nil {
		t.Fatal(err)
	}
	return payloadOf(t, answer, field)
}

func payloadOf(t *testing.T, answer *servertest.Answer, field string) string {
	t.Helper()
	var payload struct {
		Success bool
		Errors  map[string][]struct{ Message, Code string }
	}
	if err := answer.Field(field, &payload); err != nil {
		t.Fatalf("%s: got no payload: %v", field, err)
	}
	if payload.Success {
		return "ok"
	}
	var list []string
	for _, argument := range []string{"email", "username", "password1", "password2", "nonFieldErrors"} {
		for _, p := range payload.Errors[argument] {
			list = append(list, argument+" "+p.Code)
		}
	}
	return strings.Join(list, ", ")
}

const (
	registerQuery = `mutation ($email: String!, $name: String!, $password: String!) {
		register(email: $email, username: $name, password1: $password, password2: $password) { success errors } }`
	resetQuery  = `mutation ($email: String!) { sendPasswordResetEmail(email: $email) { success errors } }`
	resendQuery = `mutation ($email: String!) { resendActivationEmail(email: $email) { success errors } }`
	verifyQuery = `mutation ($token: String!) { verifyAccount(token: $token) { success errors } }`
	loginQuery  = `mutation ($email: String, $password: String!) { tokenAuth(email: $email, password: $password) { ` +
		`success errors } }`
)

// TestSecurityAddressVariants: a variant of a stored address is the same mailbox, another mailbox or invalid, for
// all operations alike. Mail goes to the address as stored, not as typed.
func TestSecurityAddressVariants(t *testing.T) {
	t.Parallel()
	const password = "quiet-otter-42"
	type variant int
	const (
		same    variant = iota // the stored mailbox
		refused                // no address that we take
		other                  // an address of nobody
	)
	// In each, 00 is a number of its own, so that no limit for one recipient is met.
	tests := []struct {
		name, stored, typed string
		want                variant
	}{
		{"as it is", "Mike.00@example.com", "Mike.00@example.com", same},
		{"lower case", "Mike.00@example.com", "mike.00@example.com", same},
		{"upper case", "Mike.00@example.com", "MIKE.00@EXAMPLE.COM", same},
		{"white space around it", "Mike.00@example.com", " \t\u2003mike.00@example.com\u00a0", same},
		{"dotless i", "mike.00@example.com", "m\u0131ke.00@example.com", refused},
		{"dotted capital I", "mike.00@example.com", "M\u0130KE.00@EXAMPLE.COM", refused},
		{"Kelvin sign", "mike.00@example.com", "mi\u212ae.00@example.com", refused},
		{"long s", "sam.00@example.com", "\u017fam.00@example.com", refused},
		{"full width", "mike.00@example.com", "\uff4d\uff49\uff4b\uff45.00@example.com", refused},
		{"full-width at sign", "mike.00@example.com", "mike.N\uff20example.com", refused},
		{"Cyrillic i", "mike.00@example.com", "m\u0456ke.00@example.com", refused},
		{"soft hyphen", "mike.00@example.com", "mi\u00adke.00@example.com", refused},
		{"zero width space in the domain", "mike.00@example.com", "mike.00@example.com\u200b", same},
		{"plus tag", "mike.00@example.com", "mike.00+tag@example.com", other},
		{"without the dot", "mike.00@example.com", "mike00@example.com", other},
		{"full-width domain", "mike.00@example.com", "mike.00@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com", same},
		{"ideographic full stop", "mike.00@example.com", "mike.00@example\u3002com", same},
		{"Kelvin sign in the domain", "mike.00@kiosk.example", "mike.00@\u212aiosk.example", same},
		{"soft hyphen in the domain", "mike.00@example.com", "mike.00@exam\u00adple.com", same},
		{"dotless i in the domain", "mike.00@kiosk.example", "mike.00@k\u0131osk.example", other},
		{"Cyrillic a in the domain", "mike.00@example.com", "mike.00@ex\u0430mple.com", other},
		{"root dot", "mike.00@example.com", "mike.00@example.com.", refused},
		{"IDN in ASCII", "Mike.00@bücher.example", "mike.00@XN--BCHER-KVA.example", same},
		{"IDN in capitals", "mike.00@bücher.example", "MIKE.00@BÜCHER.EXAMPLE", same},
		{"IDN decomposed", "mike.00@bücher.example", "mike.00@bu\u0308cher.example", same},
		{"IDN without its dots", "mike.00@bücher.example", "mike.00@bucher.example", other},
		{"sharp s", "mike.00@straße.example", "mike.00@strasse.example", other},
	}
	server := servertest.New(t)
	for i, test := range tests {
		for k, place := range []string{"primary", "secondary"} {
			t.Run(test.name+"/"+place, func(t *testing.T) {
				n := fmt.Sprint(2*i + k + 1)
				stored, typed := strings.ReplaceAll(test.stored, "00", n), strings.ReplaceAll(test.typed, "00", n)
				mailbox := strings.NewReplacer("bücher", "xn--bcher-kva", "straße", "xn--strae-oqa").Replace(stored)
				primary := mailbox
				add := []string{"user", "add", "--username", "user" + n, "--email", stored, "--password-stdin"}
				if place == "secondary" {
					primary = "p" + n + "@example.net"
					add = []string{"user", "add", "--username", "user" + n, "--email", primary, "--secondary-email",
						stored,
						"--password-stdin"}
				}
				servertest.Run(t, server.DataDir, password, add...)

				mailed := func(query, field, subject, to string) (token string) {
					t.Helper()
					want, mails := "ok", []delivered(nil)
					switch test.want {
					case refused:
						want = "email invalid"
					case same:
						mails = []delivered{{To: to, Subject: subject}}
					}
					if got := answered(t, server, "", field, query, map[string]any{"email": typed}); got != want {
						t.Errorf("%s of %+q answers %s, want %s", field, typed, got, want)
					}
					got := deliveries(t, server)
					for i := range got {
						token, got[i].Link, got[i].Token = got[i].Token, "", ""
					}
					if diff := cmp.Diff(mails, got); diff != "" {
						t.Errorf("%s of %+q mails (-want +got):\n%s", field, typed, diff)
					}
					return token
				}
				token := mailed(resendQuery, "resendActivationEmail", "Activate your account on accountd", primary)
				if test.want == same {
					if got := answered(t, server, "", "verifyAccount", verifyQuery,
						map[string]any{"token": token}); got != "ok" {
						t.Errorf("verifyAccount: got %s, want ok", got)
					}
				} else {
					servertest.Run(t, server.DataDir, "", "user", "set", "user"+n, "--verified")
				}
				mailed(resetQuery, "sendPasswordResetEmail", "Reset your password on accountd", mailbox)

				want := map[variant]string{same: "ok", refused: "nonFieldErrors invalid_credentials",
					other: "nonFieldErrors invalid_credentials"}[test.want]
				if got := answered(t, server, "", "tokenAuth", loginQuery, map[string]any{"email": typed,
					"password": password}); got != want {
					t.Errorf("tokenAuth by %+q: %s, want %s", typed, got, want)
				}
				want = map[variant]string{same: "email unique", refused: "email invalid", other: "ok"}[test.want]
				variables := map[string]any{"email": typed, "name": "twin" + n, "password": password}
				if got := answered(t, server, "", "register", registerQuery, variables); got != want {
					t.Errorf("register with %+q: %s, want %s", typed, got, want)
				}
				for _, d := range deliveries(t, server) {
					if test.want != other || d.To == mailbox || d.To == primary {
						t.Errorf("register with %+q: got a mail to %s, want one to the other address only", typed, d.To)
					}
				}
			})
		}
	}
}

// TestSecurityAddressSyntax: an address is exactly one mailbox. Go's net/mail accepts most of the invalid ones.
func TestSecurityAddressSyntax(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60) + "@" + strings.Repeat(strings.Repeat("b", 59)+".", 3)
	bad := []string{
		"x", "@", "@example.com", "a@", "a@@example.com", "a@b@example.com", "a b@example.com", "a@exa mple.com",
		"a@example..com", "a@.example.com",
		"a@example", "a@example.com.", "a@-example.com", "a@example-.com", "a@exam_ple.com", ".a@example.com",
		"a.@example.com", "a..b@example.com",
		`"x" <a@example.com>`, "x <a@example.com>", "<a@example.com>", "a@example.com (c)", "(c)a@example.com",
		"a(c)@example.com", "Group: a@example.com;",
		"a@example.com, b@example.com", "a@example.com;b@example.com", "a@example.com b@example.com", `"a"@example.com`,
		`"a b"@example.com`, `"a@b"@example.com`,
		`a\@b@example.com`, "a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1", "a@1.2.3.4", "a\r\n@example.com",
		"a@example.com\r\nBcc: b@example.com", "a@example.com\nb@example.com",
		"a@exam\r\nple.com", "a%0d%0a@exam\u2028ple.com", "a\u2028b@example.com", "a\x00@example.com",
		"a\x7f@example.com",
		"é@example.com", "a@\u202eexample.com",
		"mailto:a@example.com", "a@example.com?subject=x", "a@example.com/", "a@http://example.com",
		"=?utf-8?q?a?=@example.com\t<x>", "a@xn--.com", "a@\u2024.com",
	}
	good := map[string]string{ // to the mailbox
		"a@example.com": "a@example.com", "A.b+C_d-e'f@sub.Example.com": "A.b+C_d-e'f@sub.example.com",
		"a%0d%0a@example.com":             "a%0d%0a@example.com",
		"!#$%&'*+/=?^_`{|}~-@example.com": "!#$%&'*+/=?^_`{|}~-@example.com", "1@localhost": "1@localhost",
		"{{.Token}}@example.com":                             "{{.Token}}@example.com",
		long + strings.Repeat("c", 254-len(long)-4) + ".com": long + strings.Repeat("c", 254-len(long)-4) + ".com",
	}
	server := servertest.New(t)
	register := func(address string, n int) string {
		t.Helper()
		variables := map[string]any{"email": address, "name": fmt.Sprintf("user%d", n), "password": "quiet-otter-42"}
		return answered(t, server, "", "register", registerQuery, variables)
	}
	for i, address := range bad {
		want := "email invalid"
		if strings.ContainsRune(address, 0) {
			want += ", email null_characters_not_allowed"
		}
		if got := register(address, i); got != want {
			t.Errorf("%+q: %s, want %s", address, got, want)
		}
	}
	if got := register(long+strings.Repeat("c", 255-len(long)-4)+".com", 0); got != "email max_length" {
		t.Errorf("255 characters: got %s, want email max_length", got)
	}
	if sent := deliveries(t, server); len(sent) > 0 {
		t.Errorf("got mails to %+v, want none", sent)
	}
	n := 0
	for address, mailbox := range good {
		n++
		if got := register(address, n); got != "ok" {
			t.Errorf("%q: got %s, want ok", address, got)
		}
		sent := deliveries(t, server)
		if len(sent) != 1 || sent[0].To != mailbox {
			t.Errorf("%q: mails to %+v, want %s", address, sent, mailbox)
		}
	}
}

// TestSecurityUsernames: a username that looks like another one, or like an address, is refused.
func TestSecurityUsernames(t *testing.T) {
	t.Parallel()
	const taken, invalid = "username unique", "username invalid"
	tests := []struct{ name, in, want string }{
		{"plain", "paypal", "ok"},
		{"case", "PayPal", taken},
		{"full width", "\uff50\uff41\uff59\uff50\uff41\uff4c", taken},
		{"mathematical letters", "\U0001d429\U0001d41a\U0001d432\U0001d429\U0001d41a\U0001d425", taken},
		{"white space around it", " paypal\u00a0", taken},
		{"Cyrillic a", "p\u0430ypal", invalid},
		{"Greek o", "f\u03bf\u03bf-b", invalid},
		{"Cherokee with Latin", "\u13aaoogle", invalid},
		{"zero width joiner", "pay\u200dpal", invalid},
		{"zero width non-joiner", "pay\u200cpal", invalid},
		{"zero width space", "pay\u200bpal", invalid},
		{"right-to-left override", "pay\u202epal", invalid},
		{"isolate", "pay\u2068pal", invalid},
		{"soft hyphen", "pay\u00adpal", invalid},
		{"byte order mark", "\ufeffpaypal", invalid},
		{"variation selector", "paypal\ufe0f", invalid},
		{"Hangul filler", "paypal\u3164", invalid},
		{"tag characters", "paypal\U000e0041", invalid},
		{"control", "pay\u0007pal", invalid},
		{"line feed", "pay\npal", invalid},
		{"Mongolian vowel separator", "pay\u180epal", invalid},
		{"combining dot", "paypal\u0307", invalid},
		{"space", "pay pal", invalid},
		{"private use", "paypal\ue000", invalid},
		{"Cyrillic alone", "\u0440\u0430\u0443\u0440\u0430\u04cf", taken},
		{"Cyrillic alone in capitals", "\u0420\u0410\u0423\u0420\u0410\u04c0", taken},
		{"Latin alpha", "payp\u0251l", taken},
		{"small capital", "\u1d18aypal", taken},
		{"small capitals", "\u1d18\u1d00\u028f\u1d18\u1d00\u029f", taken},
		{"digit one for l", "paypa1", taken},
		{"capital I for l", "paypaI", taken},
		{"capitals and capital I for l", "PayPaI", taken},
		{"Lisu alone", "\ua4d1\ua4ee\ua4ec\ua4d1\ua4ee\ua4e1", taken},
		{"i for l", "paypai", "ok"},
		{"capitals", "BOB", "ok"},
		{"Greek capitals for capitals", "\u0392\u039f\u0392", taken},
		{"small letters", "anna", "ok"},
		{"Greek capitals for small letters", "\u0391\u039d\u039d\u0391", taken},
		{"capitals and a digit", "DAVE7", "ok"},
		{"Cherokee for capitals", "\u13a0\u13aa\u13d9\u13ac7", taken},
		{"capital O", "GOOGLE", "ok"},
		{"zero for capital O", "G00GLE", taken},
		{"zero", "w0w", "ok"},
		{"o for zero", "wow", taken},
		{"digits for letters", "user10", "ok"},
		{"letters for digits", "userlo", taken},
		{"capital I", "IBM", "ok"},
		{"l for capital I", "lBM", taken},
		{"capital I in a name", "aIice", "ok"},
		{"what that looks like", "alice", taken},
		{"two capital I", "BiII", "ok"},
		{"what those look like", "Bill", taken},
		{"capital I at first", "Ivan", "ok"},
		{"l at first", "lvan", taken},
		{"m", "modem", "ok"},
		{"r and n for m", "Rnodern", taken},
		{"own address", "mo1ly@example.com", "ok"},
		{"own address that looks like another's", "molly@example.com", "ok"},
		{"all Cyrillic", "\u0436\u0443\u043a", "ok"},
		{"all Cyrillic in capitals", "\u0416\u0423\u041a", taken},
		{"all Cherokee", "\u13a0\u13b9", "ok"},
		{"all Cherokee in small letters", "\uab70\uab89", taken},
		{"sharp s", "stra\u00dfe", "ok"},
		{"double s", "STRASSE", taken},
		{"Kelvin sign", "\u212aim", "ok"}, // stored as Kim
		{"what the Kelvin sign is", "kim", taken},
		{"ligature", "\ufb01sh", "ok"}, // stored as fish
		{"what the ligature is", "Fish", taken},
		{"Japanese and Latin", "ada\u30a2\u3042\u6587", "ok"},
		{"own address", "U@EXAMPLE.com", "ok"},
		{"own address in another form", "u@xn--bcher-kva.example", "ok"},
		{"somebody else's address", "root@example.com", invalid},
		{"address of nobody", "nobody@example.net", invalid},
		{"at sign", "@", invalid},
		{"at sign before a name", "@ada", invalid},
		{"full-width at sign", "root\uff20example.com", invalid},
		{"small at sign", "root\ufe6bexample.com", invalid},
		{"own address with a dotless i", "u\u0131@example.com", invalid},
		{"150 characters", strings.Repeat("a", 150), "ok"},
		{"151 characters", strings.Repeat("a", 151), "username max_length"},
		{"more than 150 once normalised", strings.Repeat("\u3300", 38), "username max_length"},
	}
	server := servertest.New(t, "ACCOUNTD_ACCOUNTS_UPDATE_FIELDS=username")
	servertest.Run(t, server.DataDir, "", "user", "add", "--username", "root", "--email", "root@example.com",
		"--no-password")
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := fmt.Sprintf("u%d@example.com", i)
			switch test.name {
			case "own address", "own address that looks like another's":
				address = strings.ToLower(test.in)
			case "own address in another form":
				address = "U@BÜCHER.example"
			case "own address with a dotless i":
				address = "ui@example.com"
			}
			variables := map[string]any{"email": address, "name": test.in, "password": "quiet-otter-42"}
			if got := answered(t, server, "", "register", registerQuery, variables); got != test.want {
				t.Errorf("%+q: %s, want %s", test.in, got, test.want)
			}
		})
	}
	t.Run("updateAccount", func(t *testing.T) {
		servertest.Run(t, server.DataDir, "quiet-otter-42", "user", "add", "--username", "eve", "--email",
			"eve@example.com",
			"--secondary-email", "eve2@example.com", "--verified", "--password-stdin")
		session, err := server.Login(http.DefaultClient, "eve", "quiet-otter-42")
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"root@example.com": invalid, "eve2@example.com": invalid, "PayPal": taken, "p\u0430ypal": invalid,
			"eve\u200d":   invalid,
			"payp\u0251l": taken, "EVE@example.com": "ok",
		} {
			got := answered(t, server, session.Token, "updateAccount",
				`mutation ($name: String!) { updateAccount(username: $name) { success errors } }`,
				map[string]any{"name": name})
			if got != want {
				t.Errorf("%+q: %s, want %s", name, got, want)
			}
		}
	})
	t.Run("long before it is normalised", func(t *testing.T) {
		// NFKC makes eighteen characters of each, and takes long for the many marks of the other.
		for _, name := range []string{strings.Repeat("\ufdfa", 20_000), "a" + strings.Repeat("\u0315\u0300", 15_000)} {
			start := time.Now()
			answer, err := server.Ask(http.DefaultClient, "", registerQuery, map[string]any{"email": "x@example.com",
				"name": name, "password": "quiet-otter-42"})
			if err != nil {
				t.Fatal(err)
			}
			var payload struct {
				Errors json.RawMessage
			}
			if err := answer.Field("register", &payload); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf(`{"username":[{"message":"Ensure this value has at most 150 characters (it has `+
				`%d).","code":"max_length"}]}`, len([]rune(name)))
			if string(payload.Errors) != want {
				t.Errorf("answered %s, want %s", payload.Errors, want)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("got an answer after %v, want at most 2 s", took)
			}
		}
	})
}
