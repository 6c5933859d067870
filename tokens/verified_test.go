package tokens

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestRememberedTokenOfRetiredKey: a cached token is invalid once its key is retired.
func TestRememberedTokenOfRetiredKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	file := KeyFile{Path: f.keys.path, Algorithm: testSettings.Algorithm, Now: f.now}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	old := f.start(t)
	oldKey := f.keys.ring().signing.id
	verify := func(name, raw string, want error) {
		t.Helper()
		for range 3 {
			if _, err := f.Verify(raw); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
	verify("as issued", old.Access, nil)
	if _, err := file.Rotate(AccessKeys, testSettings.Algorithm); err != nil {
		t.Fatal(err)
	}
	f.keys.reload(log)
	young := f.start(t)
	verify("of the key before", old.Access, nil)
	verify("of the new key", young.Access, nil)
	if _, err := file.Retire(oldKey); err != nil {
		t.Fatal(err)
	}
	f.keys.reload(log)
	verify("of the retired key", old.Access, ErrInvalid)
	verify("of the key that stays", young.Access, nil)
}

// TestRememberedTokenIsChecked: times, issuer and audience of a cached token are checked each time.
func TestRememberedTokenIsChecked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testSettings)
	raw := f.start(t).Access
	verify := func(name string, want error) {
		t.Helper()
		if _, err := f.Verify(raw); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	verify("as issued", nil)
	f.advance(testSettings.AccessLifetime)
	verify("expired", ErrExpired)
	f.advance(-testSettings.AccessLifetime - time.Second)
	verify("before it was issued", ErrInvalid)
	f.advance(time.Second)
	verify("in its time", nil)
	f.settings.Issuer = "https://other.example"
	verify("another issuer", ErrInvalid)
	f.settings.Issuer, f.settings.Audience = testSettings.Issuer, "app"
	verify("another audience", ErrInvalid)
}

// TestRememberedTokensAreBounded: the cache is bounded in entries and bytes, and has what is in use.
func TestRememberedTokensAreBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		username string
		n        int
	}{
		{"many", "ada", 3 * maxVerified / 2},
		{"long", strings.Repeat("a", 2000), 3 * maxVerifiedBytes / 2000 / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, testSettings)
			v := &f.keys.ring().verified
			token := func(session int64) string {
				pair, err := f.sign(Subject{ID: 1, Username: test.username}, session, f.now(), 1, nil)
				if err != nil {
					t.Fatal(err)
				}
				return pair.Access
			}
			used, emptied, before := token(0), false, 0
			for n := range test.n {
				for _, raw := range []string{token(int64(n + 1)), used} {
					if _, err := f.Verify(raw); err != nil {
						t.Fatal(err)
					}
				}
				if len(v.claims) > maxVerified || v.size > maxVerifiedBytes+maxAccessToken {
					t.Fatalf("after %d: got %d tokens, %d bytes; want at most %d, %d", n, len(v.claims), v.size,
						maxVerified, maxVerifiedBytes+maxAccessToken)
				}
				emptied, before = emptied || len(v.claims) < before, len(v.claims)
			}
			bytes, known := 0, false
			for _, c := range v.claims {
				bytes += verifiedBytes + len(c.Username) + len(c.Issuer) + len(c.Audience)
				known = known || c.Session == 0
			}
			if bytes != v.size {
				t.Errorf("got a counted size of %d bytes, want %d", v.size, bytes)
			}
			if !emptied {
				t.Error("got no full cache, want one that is emptied")
			}
			if !known {
				t.Error("the token that is always used: got it missing, want it remembered again")
			}
		})
	}
}
