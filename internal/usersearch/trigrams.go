package usersearch

import (
	"slices"
	"strings"
)

// mark stands before each text of an index of trigrams (migration 14), so that its beginning has trigrams of its own.
const mark = "\x02\x02"

// So many trigrams of a text are asked for, if it has them: each costs 5 ms where a million users have it and few have
// the rest. More than the least are taken for a text of more than 24 letters, to cover it, up to 48.
const leastTrigrams, mostTrigrams = 8, 16

// trigrams is what an index of trigrams is asked for to find a folded text: some of its trigrams, the first and the
// last among them. Some other texts have them, too. It is "" for a text of fewer than three letters.
func trigrams(folded string) string {
	letters := []rune(folded)
	last := len(letters) - 3
	if last < 0 {
		return ""
	}
	n := min(last+1, max(leastTrigrams, min((len(letters)+2)/3, mostTrigrams)))
	var quoted []string
	for i := range n {
		at := last
		if i < n-1 {
			at = i * last / (n - 1)
		}
		trigram := `"` + strings.ReplaceAll(string(letters[at:at+3]), `"`, `""`) + `"`
		if !slices.Contains(quoted, trigram) {
			quoted = append(quoted, trigram)
		}
	}
	return strings.Join(quoted, " AND ")
}
