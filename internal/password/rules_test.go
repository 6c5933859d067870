package password

import (
	"strings"
	"testing"
)

// maxName is the longest name, in code points.
const maxName = 150

// TestSimilarityIsBounded counts the characters that are compared for the longest names, whatever their words. It is a
// few thousand at most, so a password of 1,024 characters takes no longer than one of a hundred.
func TestSimilarityIsBounded(t *testing.T) {
	for _, similarity := range []float64{0.7, 0.3} {
		s := Settings{Similarity: similarity}
		for _, password := range []int{8, 64, 100, 256, 1024} {
			for word := 1; word <= maxName; word++ {
				compared := 0
				value := strings.Repeat(strings.Repeat("x", word)+".", maxName)[:maxName]
				for _, part := range append(splitWords(value), value) {
					if s.canBeSimilar(password, len(part)) {
						compared += password + len(part)
					}
				}
				if compared > 2*(maxName+1024) {
					t.Errorf("similarity %g, password of %d, words of %d: %d characters are compared, want at most %d",
						similarity, password, word, compared, 2*(maxName+1024))
				}
			}
		}
	}
}

// BenchmarkSimilarity is a password of 1,024 characters beside the longest names and address. It should take less than
// 50 ms.
func BenchmarkSimilarity(b *testing.B) {
	name := strings.Repeat("abcdefghi.", 15)
	o := Owner{Username: name, FirstName: name, LastName: name, Email: strings.Repeat("abcdefghi.", 24) + "@b.example"}
	s := Settings{Similarity: 0.7, MinLength: 8, Common: true, Numeric: true, MaxBytes: 1024}
	password := strings.Repeat("zq9-vk7x", 128)
	for b.Loop() {
		if problems := s.Check(password, o); problems != nil {
			b.Fatalf("got %v, want no problems", problems)
		}
	}
}
