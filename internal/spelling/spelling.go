// Package spelling suggests a known name for an unknown one in a settings file or a template.
//
// It must not be used for requests of clients: a suggestion shows the names that exist.
package spelling

import "github.com/agnivade/levenshtein"

// Suggest returns "did you mean NAME?" with the candidate nearest to name, the first of several. It returns otherwise
// if that candidate differs by more letters than a quarter of name's plus one.
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
