// Package spelling suggests the name that was meant in place of an unknown one in a settings file or a template. It
// must not be used for what clients send: the suggestion shows the names that exist.
package spelling

import "github.com/agnivade/levenshtein"

// Suggest returns "did you mean NAME?" with the candidate nearest to name, the first of several. It returns otherwise
// where more than a quarter of the letters, and one, would have to change.
func Suggest(name string, candidates []string, otherwise string) string {
	nearest, least := "", len(name)/4+2
	for _, c := range candidates {
		if d := levenshtein.ComputeDistance(name, c); d < least {
			nearest, least = c, d
		}
	}
	if nearest == "" {
		return otherwise
	}
	return "did you mean " + nearest + "?"
}
