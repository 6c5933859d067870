package accounts

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"accountd/internal/store"
)

// populate makes a file of n accounts, most of them active and verified, with names out of syllables.
func populate(b *testing.B, n int) *Service {
	b.Helper()
	db, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "test.db"), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	random := rand.New(rand.NewPCG(3, 4))
	syllables := []string{"an", "be", "cor", "da", "el", "fi", "gus", "han", "io", "ka", "lin", "mo", "ne", "os", "pe",
		"ra", "son", "ti", "ul", "vi"}
	const batch = 10_000
	for start := 0; start < n; start += batch {
		err := db.Write(b.Context(), func(tx *store.Tx) error {
			for i := start + 1; i <= min(start+batch, n); i++ {
				name := ""
				for range 4 {
					name += syllables[random.IntN(len(syllables))]
				}
				u := named(name + fmt.Sprint(i))
				u.Verified, u.IsActive = random.IntN(4) > 0, random.IntN(50) > 0
				if _, err := insertUser(b.Context(), tx, u, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return &Service{db: db, users: newUserQueries(nil), filters: Settings{}.FilterFields()}
}

// BenchmarkUsers is a page of 20 among few and among many accounts. What uses an index costs about the same in both; an
// offset counts every account that it leaves out.
func BenchmarkUsers(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		s := populate(b, n)
		part := func(text string) []Filter { return []Filter{{"username", IContains, text}} }
		for _, bench := range []struct {
			name string
			q    UserQuery
		}{
			{"first page", UserQuery{}},
			{"by cursor in the middle", UserQuery{After: ptr(cursor(int64(n / 2)))}},
			{"page 5000 by cursor", UserQuery{After: ptr(cursor(int64(min(n, 5000*20) - 20)))}},
			{"by offset in the middle", UserQuery{Offset: ptr(n / 2)}},
			{"last page", UserQuery{Last: ptr(20)}},
			{"1 letter", UserQuery{Filters: part("k")}},
			{"3 letters", UserQuery{Filters: part("son")}},
			{"3 letters, rare", UserQuery{Filters: part("998")}},
			{"10 letters", UserQuery{Filters: part("dakalinmos")}},
			{"2 letters that nobody has", UserQuery{Filters: part("qq")}},
			{"3 letters that nobody has", UserQuery{Filters: part("qqq")}},
			{"3 letters of every address", UserQuery{Filters: part("exa")}},
			{"6 letters of usual ones", UserQuery{Filters: part("sonone")}},
			{"9 letters of an account", UserQuery{Filters: part("lin500xyz")}},
			{"beginning of 1 letter", UserQuery{Filters: []Filter{{"username", IStartsWith, "v"}}}},
			{"username", UserQuery{Filters: []Filter{{"username", Exact, "nobody"}}}},
			{"email", UserQuery{Filters: []Filter{{"email", Exact, "nobody@example.com"}}}},
			{"inactive", UserQuery{Filters: []Filter{{"is_active", Exact, false}}}},
			{"3 letters and archived", UserQuery{Filters: append(part("son"),
				Filter{"status__archived", Exact, true})}},
			{"archived, which nobody is", UserQuery{Filters: []Filter{{"status__archived", Exact, true}}}},
		} {
			bench.q.Limit = 100
			if bench.q.Last == nil {
				bench.q.First = ptr(20)
			}
			b.Run(fmt.Sprintf("%s/users=%d", bench.name, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Users(b.Context(), bench.q); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
