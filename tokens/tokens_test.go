package tokens

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/store"
)

// fixture is a token service on a real file, with one user and a clock to set.
type fixture struct {
	*Issuer
	db   *store.DB
	path string
	mu   sync.Mutex
	at   time.Time // guarded by mu
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = f.at.Add(d)
}

var testSettings = Settings{
	Algorithm: "HS256", Issuer: "http://localhost:8080", AccessLifetime: 5 * time.Minute,
	RefreshLifetime: 7 * 24 * time.Hour,
	SessionLifetime: 90 * 24 * time.Hour, RotationGrace: 20 * time.Second, AllowRefresh: true, LongRunning: true,
	Rotation: "rotate", RefreshBytes: 32, SessionsPerUser: 3,
	ActivationLifetime: 7 * 24 * time.Hour, PasswordResetLifetime: time.Hour, PasswordSetLifetime: time.Hour,
	SecondaryEmailLifetime: time.Hour,
}

func newFixture(t testing.TB, s Settings) *fixture {
	t.Helper()
	f := &fixture{at: time.Unix(1_800_000_000, 0), path: filepath.Join(t.TempDir(), "test.db")}
	var err error
	if f.db, err = store.Open(t.Context(), f.path, f.now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.db.Close() })
	keys, err := OpenKeys(filepath.Join(t.TempDir(), "keys.json"), s.Algorithm, f.now)
	if err != nil {
		t.Fatal(err)
	}
	if f.Issuer, err = New(keys, s, f.now); err != nil {
		t.Fatal(err)
	}
	f.write(t, func(tx *store.Tx) error {
		for id := 1; id <= 2; id++ {
			address := fmt.Sprintf("u%d@example.com", id)
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO users (id, email, date_joined) VALUES (?, ?, 0)`, id,
				address); err != nil {
				return err
			}
			if _, err := tx.ExecContext(t.Context(),
				`INSERT INTO addresses (canonical, user_id, address) VALUES (?, ?, ?)`,
				address, id, address); err != nil {
				return err
			}
		}
		return nil
	})
	return f
}

func (f *fixture) write(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := f.db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

var ada = Subject{ID: 1, Username: "ada"}

func (f *fixture) start(t testing.TB) Pair {
	t.Helper()
	var pair Pair
	f.write(t, func(tx *store.Tx) (err error) {
		pair, err = f.Start(t.Context(), tx, ada)
		return err
	})
	return pair
}

func reused(err error) bool {
	var reuse *ReuseError
	return errors.As(err, &reuse) && reuse.User == ada.ID
}

// refresh commits as a caller has to, also after the detection of reuse.
func (f *fixture) refresh(raw string) (Pair, error) {
	var pair Pair
	var verdict error
	ctx := context.Background()
	err := f.db.Write(ctx, func(tx *store.Tx) error {
		pair, verdict = f.Refresh(ctx, tx, raw, func(int64) (Subject, error) { return ada, nil })
		if reused(verdict) {
			return nil
		}
		return verdict
	})
	if err != nil {
		return Pair{}, err
	}
	return pair, verdict
}

func (f *fixture) live(t *testing.T, session int64) bool {
	t.Helper()
	var live bool
	err := f.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		err = tx.QueryRowContext(t.Context(), `SELECT `+LiveSession, ada.ID, session, tx.Now.Unix()).Scan(&live)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return live
}

func TestRotation(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	second, err := f.refresh(first.Refresh)
	if err != nil || second.Refresh == first.Refresh || second.Session != first.Session {
		t.Fatalf("got %+v, %v; want another refresh token of session %d", second, err, first.Session)
	}
	if second.Claims.OrigIssuedAt != first.Claims.OrigIssuedAt {
		t.Errorf("got origIat %d, want %d", second.Claims.OrigIssuedAt, first.Claims.OrigIssuedAt)
	}
	third, err := f.refresh(second.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	f.advance(20 * time.Second)
	if again, err := f.refresh(first.Refresh); err != nil || again.Refresh != third.Refresh {
		t.Errorf("within its grace period the first token gives %q, %v; want the live leaf", again.Refresh, err)
	}
	f.advance(time.Second)
	if _, err := f.refresh(second.Refresh); err != nil {
		t.Errorf("the second token, as the answer with the third was lost: got %v, want no error", err)
	}
	if !f.live(t, first.Session) {
		t.Fatal("session: got ended, want live")
	}
	if _, err := f.refresh(first.Refresh); !reused(err) {
		t.Fatalf("a stolen token: %v, want *ReuseError", err)
	}
	if f.live(t, first.Session) {
		t.Error("session after reuse: got live, want ended")
	}
	for _, raw := range []string{first.Refresh, second.Refresh, third.Refresh, "", "unknown"} {
		if _, err := f.refresh(raw); !errors.Is(err, ErrInvalid) || reused(err) {
			t.Errorf("afterwards %q: %v, want ErrInvalid", raw, err)
		}
	}
}

func TestParallelRefreshesHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	results := make(chan string, 100)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			pair, err := f.refresh(first.Refresh)
			results <- fmt.Sprint(pair.Refresh, err)
		})
	}
	wg.Wait()
	close(results)
	distinct := map[string]int{}
	for r := range results {
		distinct[r]++
	}
	if len(distinct) != 1 {
		t.Errorf("got %d different answers, want 1: %v", len(distinct), distinct)
	}
}

func TestRefreshLimits(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		f := newFixture(t, testSettings)
		pair := f.start(t)
		f.advance(testSettings.RefreshLifetime)
		if _, err := f.refresh(pair.Refresh); !errors.Is(err, ErrInvalid) {
			t.Errorf("at the limit: got %v, want ErrInvalid", err)
		}
		f.advance(-time.Second)
		if _, err := f.refresh(pair.Refresh); err != nil {
			t.Errorf("a second before: got %v, want no error", err)
		}
	})
	t.Run("absolute", func(t *testing.T) {
		f := newFixture(t, testSettings)
		pair := f.start(t)
		var err error
		for range 14 {
			f.advance(6 * 24 * time.Hour)
			if pair, err = f.refresh(pair.Refresh); err != nil {
				t.Fatal(err)
			}
		}
		if left := pair.RefreshExpiresAt - f.now().Unix(); left != 6*24*3600 {
			t.Errorf("84 days into 90: got %d s left of the refresh token, want 6 days", left)
		}
		f.advance(6 * 24 * time.Hour)
		if _, err := f.refresh(pair.Refresh); !errors.Is(err, ErrInvalid) || f.live(t, pair.Session) {
			t.Errorf("after 90 days: got %v, live %t; want ErrInvalid, false", err, f.live(t, pair.Session))
		}
	})
	t.Run("refused user", func(t *testing.T) {
		f := newFixture(t, testSettings)
		pair := f.start(t)
		refused := errors.New("refused")
		err := f.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := f.Refresh(t.Context(), tx, pair.Refresh,
				func(id int64) (Subject, error) { return Subject{}, refused })
			return err
		})
		if !errors.Is(err, refused) {
			t.Fatalf("got %v, want %v", err, refused)
		}
		if _, err := f.refresh(pair.Refresh); err != nil {
			t.Errorf("the token after a refusal: got %v, want no error", err)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		s := testSettings
		s.AllowRefresh = false
		f := newFixture(t, s)
		if pair := f.start(t); pair.Refresh != "" || pair.RefreshExpiresAt != 0 {
			t.Errorf("got %+v, want no refresh token", pair)
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	second, err := f.refresh(first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.refresh(second.Refresh); err != nil {
		t.Fatal(err)
	}
	f.advance(-24 * time.Hour)
	if _, err := f.refresh(first.Refresh); !reused(err) {
		t.Errorf("a used token: got %v, want *ReuseError", err)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first, other := f.start(t), f.start(t)
	second, err := f.refresh(first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	f.advance(100 * 24 * time.Hour) // expired ones can be revoked
	f.write(t, func(tx *store.Tx) error {
		user, err := f.Revoke(t.Context(), tx, first.Refresh) // rotated ones too
		if user != ada.ID {
			t.Errorf("got user %d, want %d", user, ada.ID)
		}
		return err
	})
	f.advance(-100 * 24 * time.Hour)
	if f.live(t, first.Session) || !f.live(t, other.Session) {
		t.Errorf("got live %t, other live %t; want false, true", f.live(t, first.Session), f.live(t, other.Session))
	}
	for _, raw := range []string{first.Refresh, second.Refresh, "unknown"} {
		err := f.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := f.Revoke(t.Context(), tx, raw)
			return err
		})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("revoke once more: got %v, want ErrInvalid", err)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	var sessions []int64
	for range 5 {
		sessions = append(sessions, f.start(t).Session)
		f.advance(time.Millisecond)
	}
	for i, session := range sessions {
		if got, want := f.live(t, session), i >= 2; got != want {
			t.Errorf("session %d of 5: got live %t, want %t", i, got, want)
		}
	}
	f.write(t, func(tx *store.Tx) error { return f.EndAll(t.Context(), tx, ada.ID, sessions[4], "test") })
	if f.live(t, sessions[3]) || !f.live(t, sessions[4]) {
		t.Errorf("EndAll: got another live %t, the exception %t; want false, true", f.live(t, sessions[3]),
			f.live(t, sessions[4]))
	}
}

// TestSessionsAreBoundedByAnyClock: a new session is never the one that ends, even after the clock was set back.
func TestSessionsAreBoundedByAnyClock(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	for _, jump := range []time.Duration{0, 0, 0, 0, -24 * time.Hour, 0, -time.Millisecond,
		200 * 365 * 24 * time.Hour, 0} {
		f.advance(jump)
		if session := f.start(t).Session; !f.live(t, session) {
			t.Errorf("after a jump of %s: got session %d ended, want live", jump, session)
		}
	}
	live := 0
	for _, s := range f.sessions(t, ada.ID) {
		if s.EndedAt == nil {
			live++
		}
	}
	if live != testSettings.SessionsPerUser {
		t.Errorf("got %d live sessions, want %d", live, testSettings.SessionsPerUser)
	}
}

func TestNoTokenInTheFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	first := f.start(t)
	second, err := f.refresh(first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(f.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{first.Refresh, second.Refresh, first.Access} {
			if strings.Contains(string(raw), token) {
				t.Errorf("the file%s: got a token in clear text, want none", suffix)
			}
		}
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"HS256", "HS384", "HS512", "EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			s := testSettings
			s.Algorithm, s.Audience, s.Leeway = algorithm, "app", 2*time.Second
			f := newFixture(t, s)
			pair := f.start(t)
			claims, err := f.Verify(pair.Access)
			if err != nil || claims != pair.Claims || claims.Subject != 1 || claims.Username != "ada" {
				t.Fatalf("Verify = %+v, %v; want %+v", claims, err, pair.Claims)
			}
			f.advance(s.AccessLifetime + time.Second)
			if _, err := f.Verify(pair.Access); err != nil {
				t.Errorf("within the leeway: got %v, want no error", err)
			}
			f.advance(time.Second)
			if _, err := f.Verify(pair.Access); !errors.Is(err, ErrExpired) {
				t.Errorf("afterwards: %v, want ErrExpired", err)
			}
			f.advance(-time.Hour)
			if _, err := f.Verify(pair.Access); !errors.Is(err, ErrInvalid) {
				t.Errorf("before it was issued: %v, want ErrInvalid", err)
			}
		})
	}
}

// TestForgedAccessTokens signs invalid content with the right key, and valid content with wrong keys.
func TestForgedAccessTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	pair := f.start(t)
	secret := f.keys.ring().signing.sign.([]byte)
	now := f.now().Unix()
	good := map[string]any{"username": "ada", "exp": now + 300, "iat": now, "origIat": now, "sub": "1", "sid": "1",
		"iss": "http://localhost:8080"}
	forge := func(header string, claims map[string]any) string { return hmacToken(t, secret, header, claims) }
	with := func(key string, value any) map[string]any {
		claims := map[string]any{}
		for k, v := range good {
			claims[k] = v
		}
		if claims[key] = value; value == nil {
			delete(claims, key)
		}
		return claims
	}
	const header = `{"alg":"HS256","typ":"JWT"}`
	for _, control := range []map[string]any{good, with("jti",
		[]any{map[string]any{"exp": "]}\\\""}}), with("nbf", now), with("username", "\U0001f600<\"")} {
		if claims, err := f.Verify(forge(header, control)); err != nil || claims.Username != control["username"] {
			t.Fatalf("a valid token: got %+v, %v; want username %v", claims, err, control["username"])
		}
	}
	tests := map[string]string{
		"empty": "", "one part": "a", "two parts": "a.b", "four parts": pair.Access + ".a", "white space": " " +
			pair.Access, "newline": pair.Access + "\n",
		"alg none":             forge(`{"alg":"none","typ":"JWT"}`, good),
		"unsigned":             pair.Access[:strings.LastIndex(pair.Access, ".")+1],
		"other alg":            forge(`{"alg":"HS512","typ":"JWT"}`, good),
		"lower-case alg":       forge(`{"alg":"hs256","typ":"JWT"}`, good),
		"no typ":               forge(`{"alg":"HS256"}`, good),
		"other typ":            forge(`{"alg":"HS256","typ":"at+jwt"}`, good),
		"jku":                  forge(`{"alg":"HS256","typ":"JWT","jku":"http://evil"}`, good),
		"jwk":                  forge(`{"alg":"HS256","typ":"JWT","jwk":{}}`, good),
		"crit":                 forge(`{"alg":"HS256","typ":"JWT","crit":["exp"]}`, good),
		"exp as string":        forge(header, with("exp", "2099-01-01T00:00:00Z")),
		"exp as float":         forge(header, with("exp", 1e20)),
		"no exp":               forge(header, with("exp", nil)),
		"no iat":               forge(header, with("iat", nil)),
		"iat in future":        forge(header, with("iat", now+10)),
		"nbf in future":        forge(header, with("nbf", now+10)),
		"no sub":               forge(header, with("sub", nil)),
		"sub a number":         forge(header, with("sub", 1)),
		"no sid":               forge(header, with("sid", nil)),
		"other issuer":         forge(header, with("iss", "http://evil")),
		"surprising aud":       forge(header, with("aud", "app")),
		"too long":             forge(header, with("username", strings.Repeat("a", 4096))),
		"payload altered":      strings.Replace(pair.Access, ".", ".A", 1),
		"jti in header":        forge(`{"alg":"HS256","typ":"JWT","jti":"1"}`, good),
		"alg twice":            forge(`{"alg":"none","alg":"HS256","typ":"JWT"}`, good),
		"ALG":                  forge(`{"ALG":"HS256","typ":"JWT"}`, good),
		"alg a number":         forge(`{"alg":256,"typ":"JWT"}`, good),
		"header an array":      forge(`["HS256","JWT"]`, good),
		"header is no UTF-8":   forge("{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\xff\"}", good),
		"header and more":      forge(header+"{}", good),
		"exp with a fraction":  forge(header, with("exp", json.RawMessage(`4000000000.0`))),
		"exp with an exponent": forge(header, with("exp", json.RawMessage(`4e9`))),
		"exp null":             forge(header, with("exp", json.RawMessage(`null`))),
		"EXP": forge(header, map[string]any{"EXP": now + 300, "iat": now, "origIat": now, "sub": "1",
			"sid": "1", "iss": "http://localhost:8080"}),
		"claims an array": forge(header, nil),
		"no origIat":      forge(header, with("origIat", nil)),
		"sub with a sign": forge(header, with("sub", "+1")),
		"sub with a zero": forge(header, with("sub", "01")),
		"sid with space":  forge(header, with("sid", " 1")),
		"sub too great":   forge(header, with("sub", "9223372036854775808")),
		"username a list": forge(header, with("username", []string{"ada"})),
		"an action token": mustAction(t, f, Action{Purpose: Activation, User: 1}),
	}
	for name, token := range tests {
		t.Run(name, func(t *testing.T) {
			for range 2 { // it must not be remembered
				if claims, err := f.Verify(token); !errors.Is(err, ErrInvalid) {
					t.Errorf("Verify = %+v, %v; want ErrInvalid", claims, err)
				}
			}
		})
	}
}

// hmacToken signs with the standard library.
func hmacToken(t *testing.T, secret []byte, header string, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac(secret, []byte(signed)))
}

func mustAction(t *testing.T, f *fixture, a Action) string {
	t.Helper()
	token, err := f.SignAction(a)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestActionTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	purposes := []Purpose{Activation, PasswordReset, PasswordSet, SecondaryEmail}
	for _, made := range purposes {
		want := Action{Purpose: made, User: 7, Address: "ada@example.com", Epoch: 3, IssuedAt: f.now().Unix()}
		token := mustAction(t, f, want)
		for _, used := range purposes {
			got, err := f.VerifyAction(token, used)
			if used == made && (err != nil || got != want) {
				t.Errorf("%s: got %+v, %v; want %+v", made, got, err, want)
			}
			if used != made && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s as %s: %v, want ErrInvalid", made, used, err)
			}
		}
		if len(token) > 160 || strings.ContainsAny(token, "+/=") {
			t.Errorf("got the token %q, want at most 160 characters, all URL-safe", token)
		}
	}
	token := mustAction(t, f, Action{Purpose: PasswordReset, User: 1})
	if again := mustAction(t, f, Action{Purpose: PasswordReset, User: 1}); again == token {
		t.Error("got the same token twice, want two")
	}
	f.advance(time.Hour)
	if _, err := f.VerifyAction(token, PasswordReset); err != nil {
		t.Errorf("at the limit: got %v, want no error", err)
	}
	f.advance(time.Second)
	if _, err := f.VerifyAction(token, PasswordReset); !errors.Is(err, ErrExpired) {
		t.Errorf("a second later: %v, want ErrExpired", err)
	}
	for _, bad := range []string{"", "a", token[:len(token)-1], token + "A", token + "=", token + "\n", "B" +
		token[1:], strings.Repeat("A", 2000), f.start(t).Access} {
		if _, err := f.VerifyAction(bad, PasswordReset); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.20q: %v, want ErrInvalid", bad, err)
		}
	}
}

// TestVerifySettings tests each setting of Verify at its boundary.
func TestVerifySettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Settings) // of who verifies
		wait   time.Duration
		want   error
	}{
		{"as issued", func(*Settings) {}, 0, nil},
		{"a second before exp", func(*Settings) {}, 5*time.Minute - time.Second, nil},
		{"at exp", func(*Settings) {}, 5 * time.Minute, ErrExpired},
		{"before the end of the leeway", func(s *Settings) { s.Leeway = 10 * time.Second }, 5*time.Minute +
			9*time.Second, nil},
		{"at the end of the leeway", func(s *Settings) { s.Leeway = 10 * time.Second }, 5*time.Minute + 10*time.Second,
			ErrExpired},
		{"from a clock that is ahead", func(*Settings) {}, -time.Second, ErrInvalid},
		{"from a clock ahead by the leeway", func(s *Settings) { s.Leeway = 10 * time.Second }, -10 * time.Second, nil},
		{"from a clock ahead by more", func(s *Settings) { s.Leeway = 10 * time.Second }, -11 * time.Second,
			ErrInvalid},
		{"another audience", func(s *Settings) { s.Audience = "other" }, 0, ErrInvalid},
		{"no audience wanted", func(s *Settings) { s.Audience = "" }, 0, ErrInvalid},
		{"another issuer", func(s *Settings) { s.Issuer = "https://other.example" }, 0, ErrInvalid},
		{"another issuer, and expired", func(s *Settings) { s.Issuer = "https://other.example" }, time.Hour,
			ErrInvalid},
		{"no issuer wanted", func(s *Settings) { s.Issuer = "" }, 0, ErrInvalid},
		{"access_lifetime is the issuer's", func(s *Settings) { s.AccessLifetime = time.Second }, time.Minute, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := testSettings
			s.Audience = "app"
			f := newFixture(t, s)
			pair := f.start(t)
			test.change(&f.settings)
			f.advance(test.wait)
			if _, err := f.Verify(pair.Access); !errors.Is(err, test.want) {
				t.Errorf("Verify = %v, want %v", err, test.want)
			}
		})
	}
}
