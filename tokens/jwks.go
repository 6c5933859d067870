package tokens

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// publicKeys is the JSON Web Key Set (RFC 7517) of keys; nil for a symmetric algorithm.
func publicKeys(algorithm string, keys []accessKey) ([]byte, error) {
	if symmetric(algorithm) {
		return nil, nil
	}
	set := jwk.NewSet()
	for _, key := range keys {
		if err := set.AddKey(key.verify); err != nil {
			return nil, fmt.Errorf("publish access key %s: %w", key.id, err)
		}
	}
	return json.Marshal(set)
}

// ServeJWKS responds with the public keys for access tokens. Any origin may read them, and caches keep them for five
// minutes.
func (k *Keys) ServeJWKS(w http.ResponseWriter, _ *http.Request) {
	set := k.ring().jwks
	if set == nil {
		http.Error(w, "Access tokens are signed with "+
			k.algorithm+", whose key is secret, so there is none to publish "+
			"here. With tokens.algorithm EdDSA, ES256 or RS256 there is.", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Access-Control-Allow-Origin", "*")
	_, _ = w.Write(set) // fails only when the client is gone
}
