package usersearch

import (
	"slices"
	"strings"
)

// mark precedes each text in an index of trigrams (migration 14), so that the beginning of a text has trigrams of its
// own.
const mark = "\x02\x02"

// A search asks for this many trigrams, if the text has them: 8 up to 24 letters, then as many as cover the text, up
// to 16. Each costs 5 ms if a million users have it and few have the others.
const leastTrigrams, mostTrigrams = 8, 16

// trigrams returns the full-text query for a folded text: some of its trigrams, with the first and the last. Other
// texts may match as well. It returns "" for a text of fewer than three letters.
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
