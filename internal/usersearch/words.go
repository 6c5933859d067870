package usersearch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"accountd/internal/store"
)

const (
	// fewWithWord is how many users with a word of the index of substrings are looked at one by one, whatever else they have.
	fewWithWord = 128

	// muchRarer is how many times as many users a word has to have before it is better left out beside another one: so many
	// steps through the index cost what a look at a user does.
	muchRarer = 16

	// maxWordsWeighed is how many words are weighed, of the many that many filters have.
	maxWordsWeighed = 8

	// maxCommonWords is how many words CommonWords remembers, in about a hundred bytes each.
	maxCommonWords = 4096
)

// CommonWords remembers which words of the index of substrings many users have: each search has some of these, and asking about
// one costs a quarter of a page. It only advises where to look, so it may be out of date; a word that becomes rare is rarely worth asking again.
type CommonWords struct {
	mu    sync.Mutex
	reach map[string]int64 // as find finds it; guarded by mu
}

func (c *CommonWords) get(word string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reach[word]
}

// put forgets all words when there are too many: those in use are soon found again.
func (c *CommonWords) put(word string, reach int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reach == nil || len(c.reach) >= maxCommonWords {
		c.reach = map[string]int64{}
	}
	c.reach[word] = reach
}

// find is the id of the last of the first users with a word, the greater the rarer the word is, or 0 if it is one that only few have.
// few are these, as a list in JSON.
func (c *CommonWords) find(ctx context.Context, tx *store.Tx, word string) (reach int64, few string, err error) {
	if reach = c.get(word); reach > 0 {
		return reach, "", nil
	}
	var users int
	err = tx.QueryRowContext(ctx, `
		SELECT count(*), coalesce(max(id), 0), json_group_array(id)
		FROM (SELECT rowid AS id FROM user_substrings WHERE user_substrings MATCH ? ORDER BY rowid LIMIT ?) looked`, word, fewWithWord).Scan(&users, &reach, &few)
	if err != nil {
		return 0, "", fmt.Errorf("count users with a word: %w", err)
	}
	if users < fewWithWord {
		return 0, few, nil
	}
	c.put(word, reach)
	return reach, "", nil
}

// weighWords decides which words the index of substrings is asked for: no more where few users have one, who are known by now, or else the
// two that the fewest have, as far as the first users tell. Where the rarest is much rarer than any other it is up to narrow.
func (q *Query) weighWords(ctx context.Context, tx *store.Tx) error {
	if q.match == "" || len(q.words) < 2 {
		return nil
	}
	type weighed struct {
		word  string
		reach int64 // as CommonWords find it
	}
	var list []weighed
	for _, word := range q.words[:min(len(q.words), maxWordsWeighed)] {
		reach, few, err := q.common.find(ctx, tx, word)
		if err != nil {
			return err
		}
		if reach == 0 {
			q.match, q.found = "", true
			q.and("f.user_id"+oneOfList, few)
			return nil
		}
		list = append(list, weighed{word, reach})
	}
	slices.SortStableFunc(list, func(a, b weighed) int { return cmp.Compare(b.reach, a.reach) })
	if list[0].reach/muchRarer < list[1].reach {
		q.match = allOf([]string{list[0].word, list[1].word})
	} else {
		q.rarest = list[0].word
	}
	return nil
}

// allOf is what user_substrings is asked for to find who has all words.
func allOf(words []string) string { return strings.Join(words, " AND ") }

// narrow decides whether the rarest word is enough to find a stretch of users: it is if all that are wanted are among the first who
// have it, twice as many. Otherwise all words are asked for, which is slow where SQLite has to go far in
// a long list of users, and is not as slow as a look at each of them.
func (q *Query) narrow(ctx context.Context, tx *store.Tx, part Stretch) error {
	if q.rarest == "" {
		return nil
	}
	q.match = allOf(q.words)
	wanted := part.Offset + part.Limit
	if part.Descending || wanted > fewWithWord {
		return nil
	}
	conditions := slices.Concat(q.where, q.switches())
	text := "SELECT coalesce(sum(fits), 0) FROM (SELECT " + strings.Join(conditions, " AND ") + ` AS fits
		FROM user_substrings x CROSS JOIN user_search f ON f.user_id = x.rowid
		WHERE x.user_substrings MATCH ? AND x.rowid > ? AND x.rowid < ? ORDER BY x.rowid LIMIT ?) looked`
	var fitting int
	if err := q.row(ctx, tx, text, append(slices.Clip(q.args), q.rarest, part.After, part.Before, min(2*wanted, fewWithWord))).Scan(&fitting); err != nil {
		return fmt.Errorf("count users with a word: %w", err)
	}
	if fitting >= wanted {
		q.match = q.rarest
	}
	return nil
}
