// Package spelling finds the word that was probably meant. It is for names out of files that their author reads the
// answer of, never for what clients send.
package spelling

// Nearest is the candidate that name is a misspelling of, the first of equals; "" where it looks like none of them.
func Nearest(name string, candidates []string) string {
	best, least := "", len(name)/4+2
	for _, c := range candidates {
		if d := Distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// Distance is Levenshtein's, in bytes.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(row[j]+1, above+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
