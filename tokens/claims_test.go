package tokens

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jws"
)

// referenceClaims are the expected encoding of Claims.
type referenceClaims struct {
	Username string `json:"username"`
	Exp      int64  `json:"exp"`
	OrigIat  int64  `json:"origIat"`
	Iat      int64  `json:"iat"`
	Sub      string `json:"sub"`
	Sid      string `json:"sid"`
	Iss      string `json:"iss,omitempty"`
	Aud      string `json:"aud,omitempty"`
}

// TestClaimsAsJSON: claims are encoded byte for byte as expected and decode to the same values.
func TestClaimsAsJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "ada", "a.b@c+d-e_f", `"`, `\`, "<b>&'", "\x00\x1f\x7f\b\f\n\r\t", "Zoë", "日本", "\U0001f600",
		"\u2028\u2029",
		"a\xffb", "\ufffd",
	} {
		for _, n := range []int64{0, -1, 1_800_000_000, 9223372036854775807, -9223372036854775808} {
			c := Claims{Username: text, Subject: n, Session: n, ExpiresAt: n, IssuedAt: n, OrigIssuedAt: n,
				Issuer:   text,
				Audience: text}
			id := strconv.FormatInt(n, 10)
			want, err := json.Marshal(referenceClaims{text, n, n, n, id, id, text, text})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(c); err != nil || string(got) != string(want) {
				t.Errorf("%q, %d: Marshal = %s, %v; want %s", text, n, got, err, want)
			}
			text := strings.ToValidUTF8(text, "\ufffd")
			c.Username, c.Issuer, c.Audience = text, text, text
			if got, ok := parseClaims(want); !ok || got != c {
				t.Errorf("%s: got the claims %+v, %t; want %+v", want, got, ok, c)
			}
		}
	}
}

// TestSignedAsTheLibraryDoes: an access token equals the result of jws.Sign, and jws.Verify accepts it.
func TestSignedAsTheLibraryDoes(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"HS256", "HS384", "HS512", "EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			s := testSettings
			s.Algorithm = algorithm
			f := newFixture(t, s)
			pair, err := f.sign(Subject{ID: 7, Username: "Zoë"}, 9, f.now(), 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			payload, err := json.Marshal(pair.Claims)
			if err != nil {
				t.Fatal(err)
			}
			key, token := f.keys.ring().signing, pair.Access
			verified, err := jws.Verify([]byte(token), jws.WithKey(key.alg, key.verify))
			if err != nil || string(verified) != string(payload) {
				t.Errorf("jws.Verify(%s): got %s, %v; want %s", token, verified, err, payload)
			}
			headers := jws.NewHeaders()
			for name, value := range map[string]any{jws.TypeKey: "JWT", jws.KeyIDKey: key.id} {
				if err := headers.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
			want, err := jws.Sign(payload, jws.WithKey(key.alg, key.sign, jws.WithProtectedHeaders(headers)))
			if err != nil {
				t.Fatal(err)
			}
			if algorithm == "ES256" { // each of its signatures is another
				token, want = token[:strings.LastIndex(token, ".")], want[:strings.LastIndex(string(want), ".")]
			}
			if token != string(want) {
				t.Errorf("got %s, want %s", token, want)
			}
		})
	}
}

// TestOtherHeaders: tokens that another program signs with a key of the ring are accepted, with any order of header
// members and with or without kid.
func TestOtherHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	live := f.start(t)
	_, rest, _ := strings.Cut(live.Access, ".")
	payload, _, _ := strings.Cut(rest, ".")
	key := f.keys.ring().signing
	for _, header := range []string{
		`{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256"}`, `{ "typ" : "JWT" , "alg" : "HS256" }`,
		`{"alg":"HS256","typ":"JWT","kid":null}`,
		`{"typ":"JWT","alg":"HS256","kid":"` + key.id + `"}`, `{"typ":"JWT","alg":"HS256","kid":"\u0041nother"}`,
	} {
		message := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload
		raw := message + "." + base64.RawURLEncoding.EncodeToString(mac(key.sign.([]byte), []byte(message)))
		if claims, err := f.Verify(raw); err != nil || claims != live.Claims {
			t.Errorf("%s: got %+v, %v; want %+v", header, claims, err, live.Claims)
		}
	}
}
