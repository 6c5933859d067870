package password

import (
	"strings"
	"testing"
)

// maxName is the longest name, in code points.
const maxName = 150

// TestSimilarityIsBounded counts the characters that are looked at when a password is compared with the longest names and
// address there can be, however they fall into words: never more than a few thousand for each, so a password of 1,024
// characters takes no longer than one of a hundred.
func TestSimilarityIsBounded(t *testing.T) {
	for _, similarity := range []float64{0.7, 0.3} {
		s := Settings{Similarity: similarity}
		for _, password := range []int{8, 64, 100, 256, 1024} {
			for word := 1; word <= maxName; word++ {
				looked := 0
				value := strings.Repeat(strings.Repeat("x", word)+".", maxName)[:maxName]
				for _, part := range append(splitWords(value), value) {
					if s.canBeSimilar(password, len(part)) {
						looked += password + len(part)
					}
				}
				if looked > 2*(maxName+1024) {
					t.Errorf("similarity %g: %d characters in words of %d: %d are looked at", similarity, password, word, looked)
				}
			}
		}
	}
}

// BenchmarkSimilarity is a password of 1,024 characters against the longest names and address there can be. The aim is
// less than 50 ms.
func BenchmarkSimilarity(b *testing.B) {
	name := strings.Repeat("abcdefghi.", 15)
	o := Owner{Username: name, FirstName: name, LastName: name, Email: strings.Repeat("abcdefghi.", 24) + "@b.example"}
	s := Settings{Similarity: 0.7, MinLength: 8, Common: true, Numeric: true, MaxBytes: 1024}
	password := strings.Repeat("zq9-vk7x", 128)
	for b.Loop() {
		if problems := s.Check(password, o); problems != nil {
			b.Fatal(problems)
		}
	}
}
