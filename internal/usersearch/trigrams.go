package usersearch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"accountd/internal/store"
)

// mark precedes each text in an index of trigrams (migration 14), so that the beginning of a text has trigrams of its
// own.
const mark = "\x02\x02"

// mostTrigrams bounds the trigrams of a search.
const mostTrigrams = 16

// trigrams returns trigrams of a folded text as full-text queries: all of them, or mostTrigrams of a long text, with
// the first and the last. It returns none for a text of fewer than three letters.
func trigrams(folded string) (quoted []string) {
	letters := []rune(folded)
	last := len(letters) - 3
	n := min(last+1, mostTrigrams)
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
	return quoted
}

// mostAsked bounds the trigrams that the full-text index is asked for. With one more, searches among a million users
// take a fifth longer and at worst seven times as long; with one less, they may check ten times as many users.
const mostAsked = 3

// rarest returns the full-text query for the mostAsked of some trigrams that probably the fewest users have: those
// whose 33rd user has the highest id.
func (q *Query) rarest(ctx context.Context, tx *store.Tx, index string, trigrams []string) (match string, err error) {
	if len(trigrams) <= mostAsked {
		return strings.Join(trigrams, " AND "), nil
	}
	err = tx.QueryRowContext(ctx, `
		SELECT group_concat(value, ' AND ') FROM (
			SELECT value FROM json_each(?) ORDER BY (
				SELECT rowid FROM `+index+` WHERE `+index+` MATCH value ORDER BY rowid LIMIT 1 OFFSET 32
			) DESC NULLS FIRST LIMIT ?)`, list(trigrams), mostAsked).Scan(&match)
	if err != nil {
		return "", fmt.Errorf("compare trigrams: %w", err)
	}
	return match, nil
}
