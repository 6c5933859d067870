package tokens

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http/httptest"
	"strings"
	"testing"
)

// publicKey is a JSON Web Key (RFC 7517, RFC 7518) decoded with the standard library only.
type publicKey struct {
	Kty, Kid, Alg, Use, Crv, N, E, X, Y string
}

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	must(t, err)
	return b
}

// verifies verifies a signature with the standard library only.
func (k publicKey) verifies(t *testing.T, signed string, signature []byte) bool {
	t.Helper()
	sum := sha256.Sum256([]byte(signed))
	number := func(s string) *big.Int { return new(big.Int).SetBytes(bytesOf(t, s)) }
	switch k.Kty + " " + k.Alg + " " + k.Crv {
	case "OKP EdDSA Ed25519":
		return ed25519.Verify(bytesOf(t, k.X), []byte(signed), signature)
	case "EC ES256 P-256":
		point := append(append([]byte{4}, bytesOf(t, k.X)...), bytesOf(t, k.Y)...) // SEC 1: uncompressed
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		must(t, err)
		half := len(signature) / 2
		return ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:half]),
			new(big.Int).SetBytes(signature[half:]))
	case "RSA RS256 ":
		return rsa.VerifyPKCS1v15(&rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())}, crypto.SHA256, sum[:],
			signature) == nil
	}
	t.Fatalf("got the key %+v, want EdDSA, ES256 or RS256", k)
	return false
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		t.Run(algorithm, func(t *testing.T) {
			s := testSettings
			s.Algorithm = algorithm
			f := newFixture(t, s)
			file := KeyFile{Path: f.keys.path, Algorithm: algorithm, Now: f.now}
			first := f.start(t).Access
			_, err := file.Rotate(AccessKeys, algorithm)
			must(t, err)
			_, err = file.Rotate(AccessKeys, "HS256") // not to be seen
			must(t, err)
			f.Issuer.keys = openKeys(t, f.keys.path, algorithm)

			w := httptest.NewRecorder()
			f.keys.ServeJWKS(w, nil)
			for name, want := range map[string]string{
				"Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300",
				"Access-Control-Allow-Origin": "*",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			var set struct{ Keys []publicKey }
			if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || w.Code != 200 || len(set.Keys) != 2 {
				t.Fatalf("got status %d, %s, %v; want 200 and two keys", w.Code, w.Body, err)
			}
			var members struct{ Keys []map[string]any }
			must(t, json.Unmarshal(w.Body.Bytes(), &members))
			for _, key := range members.Keys {
				for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
					if _, there := key[secret]; there {
						t.Errorf("got the secret member %q, want none", secret)
					}
				}
			}
			for i, token := range []string{f.start(t).Access, first} {
				key := set.Keys[i]
				at := strings.LastIndex(token, ".")
				var header struct{ Kid, Alg string }
				must(t, json.Unmarshal([]byte(decodeHeader(t, token)), &header))
				if key.Kid != header.Kid || key.Alg != header.Alg || key.Use != "sig" {
					t.Errorf("got the key %+v, want use sig and the header's %+v", key, header)
				}
				if !key.verifies(t, token[:at], bytesOf(t, token[at+1:])) {
					t.Error("an independent verifier: got a refused token, want a valid one")
				}
				if key.verifies(t, token[:at]+"x", bytesOf(t, token[at+1:])) ||
					set.Keys[1-i].verifies(t, token[:at], bytesOf(t, token[at+1:])) {
					t.Error("altered text or another key: got a valid signature, want none")
				}
			}
		})
	}
	t.Run("shared secret", func(t *testing.T) {
		f := newFixture(t, testSettings)
		w := httptest.NewRecorder()
		f.keys.ServeJWKS(w, nil)
		if w.Code != 404 || !strings.Contains(w.Body.String(), "signed with HS256") ||
			w.Header().Get("Cache-Control") != "" {
			t.Errorf("got status %d, %v, %s; want 404, not cached, with the reason", w.Code, w.Header(), w.Body)
		}
	})
}
