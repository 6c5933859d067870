package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
)

// both verifies a token without and with the cache. The results must not differ.
func (f *fixture) both(t *testing.T, raw string) (Claims, error) {
	t.Helper()
	f.keys.ring().verified.forget()
	claims, err := f.Verify(raw)
	if again, errAgain := f.Verify(raw); again != claims || !errors.Is(errAgain, err) {
		t.Errorf("%q: got %+v, %v the second time; want %+v, %v", raw, again, errAgain, claims, err)
	}
	return claims, err
}

func (v *verifiedTokens) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.claims, v.size = nil, 0
}

// FuzzVerify: the only accepted access token is the issued one, byte for byte, cached or not.
func FuzzVerify(f *testing.F) {
	x := newFixture(f, testSettings)
	live := x.start(f)
	for _, seed := range []string{"", ".", "..", "a.b.c", live.Access, live.Access + "=", live.Access + "\n",
		strings.ToUpper(live.Access), live.Access[:len(live.Access)-1], live.Refresh} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := x.both(t, raw)
		switch {
		case err == nil && raw != live.Access:
			t.Errorf("%q: got %+v, want ErrInvalid", raw, claims)
		case err != nil && !errors.Is(err, ErrInvalid):
			t.Errorf("%q: got %v, want ErrInvalid", raw, err)
		case raw == live.Access && claims != live.Claims:
			t.Errorf("the issued token: got %+v, %v; want %+v", claims, err, live.Claims)
		}
	})
}

// FuzzClaims: for claims signed by the right key, Verify returns the values that encoding/json decodes, or
// ErrInvalid or ErrExpired. It never accepts a token after its exp or before its iat, cached or not.
func FuzzClaims(f *testing.F) {
	x := newFixture(f, testSettings)
	secret := x.keys.ring().signing.sign.([]byte)
	now := x.now().Unix()
	// text is a claim as it stands in the payload; numbers as they are written.
	text := func(payload, name string) string {
		var object map[string]json.RawMessage // unlike a struct, it takes names to the letter
		dec := json.NewDecoder(strings.NewReader(payload))
		if dec.Decode(&object) != nil || dec.More() {
			return "not JSON"
		}
		var value any
		dec = json.NewDecoder(bytes.NewReader(object[name]))
		dec.UseNumber()
		switch _ = dec.Decode(&value); v := value.(type) { // left out: nil
		case string:
			return v
		case json.Number:
			return v.String()
		}
		return ""
	}
	const header = `{"alg":"HS256","typ":"JWT"}`
	for _, payload := range []string{
		`{"username":"ada","exp":2000000000,"iat":1,"origIat":1,"sub":"1","sid":"1","iss":"http://localhost:8080"}`,
		`{"username":"ada","exp":1e99,"iat":-1,"origIat":1,"sub":"1","sid":"1","iss":"http://localhost:8080"}`,
		`{"exp":9223372036854775807,"iat":-9223372036854775808,"origIat":0,"sub":"+1","sid":" 1",` +
			`"iss":"http://localhost:8080","nbf":null}`,
		`{"EXP":2000000000,"Iat":1,"ORIGIAT":1,"SUB":"1","SID":"1","ISS":"http://localhost:8080"}`, `[]`, `null`, `{}`,
		`{"exp":{}}`, "\x00",
		` {"username" : "a\u0064\ud83d\ude00" ,"exp":2000000000,"iat":-0,"origIat":1,"sub":"1","sid":"1",` +
			`"iss":"http://localhost:8080","more":[{"exp":"]"}],"aud":null} `,
		`{"exp":2000000000,"exp":2000000001,"iat":1,"origIat":1,"sub":"1","sid":"1","iss":"http://localhost:8080"}`,
		`{"\u0065xp":2000000000,"iat":1,"origIat":1,"sub":"1","sid":"1","iss":"http://localhost:8080"}`,
	} {
		f.Add(header, payload)
	}
	f.Add(`{"alg":"none","typ":"JWT"}`, `{}`)
	f.Add(`{"alg":"HS256","typ":"JWT","crit":["exp"]}`, `{}`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		b64 := base64.RawURLEncoding.EncodeToString
		message := b64([]byte(header)) + "." + b64([]byte(payload))
		raw := message + "." + b64(mac(secret, []byte(message)))
		claims, err := x.both(t, raw)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) {
				t.Errorf("%s: got %v, want ErrInvalid or ErrExpired", payload, err)
			}
			return
		}
		if claims.ExpiresAt <= now || claims.IssuedAt > now || claims.Issuer != testSettings.Issuer ||
			claims.Audience != testSettings.Audience {
			t.Errorf("%s: got %+v, want a refusal", payload, claims)
		}
		said := []string{claims.Username, strconv.FormatInt(claims.Subject, 10), strconv.FormatInt(claims.Session, 10),
			strconv.FormatInt(claims.ExpiresAt, 10),
			strconv.FormatInt(claims.IssuedAt, 10), strconv.FormatInt(claims.OrigIssuedAt, 10), claims.Issuer,
			claims.Audience}
		for at, name := range []string{"username", "sub", "sid", "exp", "iat", "origIat", "iss", "aud"} {
			if want := text(payload, name); said[at] != want && !(want == "-0" && said[at] == "0") {
				t.Errorf("%s: got %s %q, want %q", payload, name, said[at], want)
			}
		}
		if text(header, "alg") != "HS256" || text(header, "typ") != "JWT" {
			t.Errorf("header %s: got a valid token, want a refusal", header)
		}
	})
}

// FuzzAction: the only accepted action token is the issued one, byte for byte, for its purpose and within its
// lifetime.
func FuzzAction(f *testing.F) {
	x := newFixture(f, testSettings)
	want := Action{Purpose: PasswordReset, User: 7, Address: "ada@example.com", Epoch: 3, IssuedAt: x.now().Unix()}
	made, err := x.SignAction(want)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", made, made + "A", made[1:], strings.Repeat("A", 300)} {
		f.Add(seed, uint8(0), int64(0))
	}
	f.Add(made, uint8(1), int64(0))
	f.Add(made, uint8(0), int64(3601))
	f.Fuzz(func(t *testing.T, raw string, purpose uint8, after int64) {
		purposes := []Purpose{PasswordReset, Activation, PasswordSet, SecondaryEmail}
		as := purposes[int(purpose)%len(purposes)]
		moved := time.Duration(after%(400*24*3600)) * time.Second
		x.advance(moved)
		defer x.advance(-moved)
		got, err := x.VerifyAction(raw, as)
		good := raw == made && as == PasswordReset && moved <= time.Hour
		if good != (err == nil) || err == nil && got != want {
			t.Errorf("%q as %s after %s: got %+v, %v; want success %t", raw, as, moved, got, err, good)
		}
		if err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired) {
			t.Errorf("%q: got %v, want ErrInvalid or ErrExpired", raw, err)
		}
	})
}

// FuzzAlteredAction: a token decodes to what was signed. A token with any changed bit is invalid.
func FuzzAlteredAction(f *testing.F) {
	x := newFixture(f, testSettings)
	f.Fuzz(func(t *testing.T, user, epoch int64, address string, at uint16, flip byte) {
		want := Action{Purpose: PasswordReset, User: user, Epoch: epoch, Address: address, IssuedAt: x.now().Unix()}
		token, err := x.SignAction(want)
		if err != nil {
			if len(address) < 600 {
				t.Errorf("an address of %d bytes: got %v, want a token", len(address), err)
			}
			return
		}
		if got, err := x.VerifyAction(token, PasswordReset); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if _, err := x.VerifyAction(token, Activation); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v as a token for activation: got %v, want ErrInvalid", want, err)
		}
		if flip == 0 {
			return
		}
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			t.Fatal(err)
		}
		raw[int(at)%len(raw)] ^= flip
		altered := []byte(token)
		altered[int(at)%len(altered)] ^= flip
		for _, other := range []string{base64.RawURLEncoding.EncodeToString(raw), string(altered)} {
			if got, err := x.VerifyAction(other, PasswordReset); !errors.Is(err, ErrInvalid) {
				t.Errorf("%q, altered from %q: got %+v, %v; want ErrInvalid", other, token, got, err)
			}
		}
	})
}
