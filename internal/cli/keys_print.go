package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"accountd/internal/config"
	"accountd/tokens"
)

// keyJSON is the flag of the commands that print keys.
type keyJSON struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// report prints a new key and what it does.
func (f keyJSON) report(w io.Writer, c *config.Config, key tokens.Key) error {
	if f.JSON {
		return f.print(w, key)
	}
	does, undoes := verbs(key.Kind)
	text := "It " + undoes + " from now on; a running server uses it within a second."
	switch {
	case !key.Verifies:
		text = fmt.Sprintf("It works once tokens.algorithm is %s and the server has been restarted; "+
			"access tokens of %s end then.", key.Algorithm, c.Tokens.Algorithm)
	case key.Signs:
		text = fmt.Sprintf("It %s from now on; a running server uses it within a second. Retire the older ones %s.",
			does, retirement(c, key.Kind))
	}
	_, err := fmt.Fprintf(w, "The ring has a new %s key, %s (%s). %s\n", key.Kind, key.ID, key.Algorithm, text)
	return err
}

// verbs say what the key in use does, and what older keys still do.
func verbs(kind tokens.KeyKind) (does, undoes string) {
	if kind == tokens.SealKeys {
		return "seals", "opens"
	}
	return "signs", "verifies"
}

// retirement says when older keys are no longer needed.
func retirement(c *config.Config, kind tokens.KeyKind) string {
	t := c.Tokens
	switch kind {
	case tokens.AccessKeys:
		left := config.Duration(t.AccessLifetime + t.Leeway)
		return "in " + left.String() + ", when the last token that they signed has expired"
	case tokens.ActionKeys:
		left := config.Duration(
			max(t.ActivationLifetime, t.PasswordResetLifetime, t.PasswordSetLifetime, t.SecondaryEmailLifetime))
		return "in " + left.String() + ", when the last link that they signed has expired"
	}
	return "in a minute, when no mail waits that they sealed"
}

func (keyJSON) print(w io.Writer, k tokens.Key) error {
	created := ""
	if !k.Created.IsZero() {
		created = k.Created.Format(time.RFC3339)
	}
	return json.NewEncoder(w).Encode(struct {
		ID        string  `json:"id"`
		Kind      string  `json:"kind"`
		Algorithm string  `json:"algorithm"`
		Created   *string `json:"created"`
		Signs     bool    `json:"signs"`
		Verifies  bool    `json:"verifies"`
	}{k.ID, string(k.Kind), k.Algorithm, orNull(created), k.Signs, k.Verifies})
}
