package accounts

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"accountd/internal/store"
	"accountd/internal/usersearch"

	"github.com/google/go-cmp/cmp"
)

// listed is a page by ids.
type listed struct {
	IDs       []int64
	Next, Pre bool
}

func (h *harness) list(t *testing.T, q UserQuery) listed {
	t.Helper()
	page, err := h.Users(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	out := listed{Next: page.HasNext, Pre: page.HasPrevious}
	for _, u := range page.Users {
		out.IDs = append(out.IDs, u.ID)
		if u.Cursor() != cursor(u.ID) {
			t.Errorf("user %d: cursor %s, want %s", u.ID, u.Cursor(), cursor(u.ID))
		}
	}
	return out
}

// seed adds n accounts behind the service's back; every third is inactive.
func (h *harness) seed(t *testing.T, n int) {
	t.Helper()
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) `
	h.exec(t, numbers+`INSERT INTO users (id, username, username_key, email, is_active, date_joined)
		SELECT i, 'User' || i, 'user' || i, 'u' || i || '@example.com', i % 3 > 0, 0 FROM n;`+
		numbers+`INSERT INTO addresses (canonical, user_id, address) SELECT 'u' || i || '@example.com', i, 'U' || `+
		`i || '@example.com' FROM n;`+
		numbers+`INSERT INTO user_status (user_id, verified) SELECT i, i % 2 FROM n`, n, n, n)
}

// slowPage is the specification's algorithm word for word, over all ids that fit.
func slowPage(ids []int64, q UserQuery) listed {
	edges := slices.Clone(ids)
	var prior, following bool
	if q.After != nil || q.Offset != nil && *q.Offset > 0 {
		after, _ := parseCursor("", q.After, 0)
		start := len(edges)
		for i, id := range edges {
			if id > after {
				start = i
				break
			}
		}
		if q.Offset != nil {
			start = min(start+*q.Offset, len(edges))
		}
		prior, edges = start > 0, edges[start:]
	}
	if q.Before != nil {
		before, _ := parseCursor("", q.Before, 0)
		following = len(ids) > 0 && ids[len(ids)-1] >= before
		edges = slices.DeleteFunc(edges, func(id int64) bool { return id >= before })
	}
	first := q.First
	if q.First == nil && q.Last == nil {
		first = &q.Limit
	}
	var out listed
	switch {
	case first != nil:
		out.Next = len(edges) > *first
	case q.Before != nil:
		out.Next = following
	}
	switch {
	case q.Last != nil:
		out.Pre = len(edges) > *q.Last
	default:
		out.Pre = prior
	}
	if first != nil && len(edges) > *first {
		edges = edges[:*first]
	}
	if q.Last != nil && len(edges) > *q.Last {
		edges = edges[len(edges)-*q.Last:]
	}
	if len(edges) > 0 {
		out.IDs = edges
	}
	return out
}

// TestPages holds pages against slowPage, with users that come and go between them.
func TestPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t, searchable)
	const users = 40
	h.seed(t, users)
	h.exec(t, `INSERT INTO user_fields (user_id, name, value) SELECT id, 'level', id % 4 FROM users WHERE id % 5 > 0;
		INSERT INTO user_fields (user_id, name, value) SELECT id, 'about', 'Team ' || (id % 3) FROM users`)
	alive := map[int64]bool{}
	for i := range int64(users) {
		alive[i+1] = true
	}
	random := rand.New(rand.NewPCG(1, 2))
	number := func(most int) *int {
		if random.IntN(2) == 0 {
			return nil
		}
		n := random.IntN(most)
		return &n
	}
	place := func() *string {
		if random.IntN(2) == 0 {
			return nil
		}
		c := cursor(1 + random.Int64N(users+10))
		return &c
	}
	for round := range 3000 {
		if round%50 == 49 {
			id := 1 + random.Int64N(users)
			h.exec(t, `DELETE FROM users WHERE id = ?`, id)
			delete(alive, id)
		}
		if round%200 == 199 {
			u := h.add(t, AddUserInput{Username: "new" + string(rune('a'+round/200)),
				Email: string(rune('a'+round/200)) + "@example.com", NoPassword: true})
			alive[u.ID] = true
		}
		q := UserQuery{First: number(12), Last: number(12), Offset: number(12), After: place(), Before: place(),
			Limit: 11}
		fits := func(int64) bool { return true }
		switch random.IntN(8) {
		case 0:
			q.Filters = []Filter{{"is_active", Exact, true}}
			fits = func(id int64) bool { return id%3 > 0 || id > users }
		case 1:
			q.Filters = []Filter{{"username", IContains, "SER1"}}
			fits = func(id int64) bool { return id == 1 || id >= 10 && id < 20 }
		case 2:
			q.Filters = []Filter{{"username", IStartsWith, "u"}}
			fits = func(id int64) bool { return id <= users }
		case 3:
			q.Filters = []Filter{{"level", Exact, 1}}
			fits = func(id int64) bool { return id <= users && id%5 > 0 && id%4 == 1 }
		case 4:
			q.Filters = []Filter{{"about", In, "Team 1, Team 2"}}
			fits = func(id int64) bool { return id <= users && id%3 > 0 }
		case 5:
			q.Filters = []Filter{{"about", IStartsWith, "TEAM 1"}, {"is_active", Exact, true}}
			fits = func(id int64) bool { return id <= users && id%3 == 1 }
		case 6:
			q.Filters = []Filter{{"about", Exact, "Team 1"}, {"level", Exact, 3}}
			fits = func(id int64) bool { return id <= users && id%3 == 1 && id%5 > 0 && id%4 == 3 }
		}
		var ids []int64
		for id := range alive {
			if fits(id) {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		if diff := cmp.Diff(slowPage(ids, q), h.list(t, q)); diff != "" {
			t.Fatalf("round %d, %+v over %v (-want +got):\n%s", round, q, ids, diff)
		}
	}
}

// TestWholeList pages through everything in both directions while users go, and meets everybody else once.
func TestWholeList(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.seed(t, 50)
	var forward, backward []int64
	q := UserQuery{First: ptr(7), Limit: 100}
	for {
		page := h.list(t, q)
		forward = append(forward, page.IDs...)
		if page.Pre != (q.After != nil) {
			t.Errorf("page %v: previous %t, want %t", page.IDs, page.Pre, q.After != nil)
		}
		if !page.Next {
			break
		}
		last := page.IDs[len(page.IDs)-1]
		q.After = ptr(cursor(last))
		h.exec(t, `DELETE FROM users WHERE id = ?`, last)
	}
	q = UserQuery{Last: ptr(7), Limit: 100}
	for {
		page := h.list(t, q)
		slices.Reverse(page.IDs)
		backward = append(backward, page.IDs...)
		if page.Next != (q.Before != nil) {
			t.Errorf("page %v: next %t, want %t", page.IDs, page.Next, q.Before != nil)
		}
		if !page.Pre {
			break
		}
		q.Before = ptr(cursor(page.IDs[len(page.IDs)-1]))
	}
	if len(forward) != 50 || !slices.IsSorted(forward) {
		t.Errorf("forward %v, want 50 in order", forward)
	}
	if len(backward) != 43 {
		t.Errorf("backward %v, want 43", backward)
	}
}

func TestPageRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.seed(t, 3)
	for _, test := range []struct {
		name string
		q    UserQuery
		want string // "": none
	}{
		{"at the limit", UserQuery{First: ptr(100), Last: ptr(100)}, ""},
		{"first", UserQuery{First: ptr(101)},
			"Requesting 101 records on the `users` connection exceeds the `first` limit of 100 records."},
		{"last", UserQuery{Last: ptr(101)},
			"Requesting 101 records on the `users` connection exceeds the `last` limit of 100 records."},
		{"negative first", UserQuery{First: ptr(-1)}, "Argument first must not be negative."},
		{"negative last", UserQuery{Last: ptr(math.MinInt32)}, "Argument last must not be negative."},
		{"negative offset", UserQuery{Offset: ptr(-1)}, "Argument offset must not be negative."},
		{"far offset", UserQuery{Offset: ptr(math.MaxInt32)}, ""},
		{"far after", UserQuery{After: ptr(cursor(usersearch.NoEnd - 1))}, ""},
		{"far before", UserQuery{Before: ptr(cursor(usersearch.NoEnd - 1)), Last: ptr(2)}, ""},
	} {
		test.q.Limit = 100
		_, err := h.Users(t.Context(), test.q)
		if test.want == "" && err != nil || test.want != "" && !cmp.Equal(err, error(&UsageError{test.want})) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	for _, c := range []string{
		"", "1", "garbage", "YXJyYXljb25uZWN0aW9uOjA=", "VXNlck5vZGU6MQ==", "\x00", "é", cursor(0), cursor(-1),
		cursor(usersearch.NoEnd), cursor(1) + "=", cursor(1) + " ", cursor(1) + "\n",
		base64.RawURLEncoding.EncodeToString([]byte("users1:01")),
		base64.RawURLEncoding.EncodeToString([]byte("users1:+1")),
		base64.RawURLEncoding.EncodeToString([]byte("1")), base64.RawURLEncoding.EncodeToString([]byte("users2:1")),
		base64.RawURLEncoding.EncodeToString([]byte("users1:9223372036854775808")),
		base64.RawURLEncoding.EncodeToString([]byte("users1:1 OR 1")),
	} {
		for name, q := range map[string]UserQuery{"after": {After: &c, Limit: 100},
			"before": {Before: &c, Limit: 100}} {
			_, err := h.Users(t.Context(), q)
			want := &UsageError{"Argument " + name + " is not a valid cursor: send one that an edge, or pageInfo, had."}
			if !cmp.Equal(err, error(want)) {
				t.Errorf("%s %q: error %v, want %v", name, c, err, want)
			}
		}
	}
}

func TestUserByID(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	for id, want := range map[int64]*User{ada.ID: &ada.User, ada.ID + 1: nil, 0: nil, -1: nil, math.MaxInt64: nil} {
		got, err := h.UserByID(t.Context(), id)
		if err != nil || (got == nil) != (want == nil) || got != nil && got.Username != want.Username {
			t.Errorf("user %d: got %v, error %v, want %v", id, got, err, want)
		}
	}
}

// TestLongPages: pages that may read many users wait for each other, and other reads do not wait for them.
func TestLongPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.seed(t, 3)
	held, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release) // or a failure would wait for ever
	var holding sync.WaitGroup
	hold := func() error {
		return h.db.ReadLong(t.Context(), func(*store.Tx) error {
			held <- struct{}{}
			<-released
			return nil
		})
	}
	for range 2 {
		holding.Go(func() {
			if err := hold(); err != nil {
				t.Error(err)
			}
		})
		<-held
	}
	for name, q := range map[string]UserQuery{"offset": {Offset: ptr(2)},
		"filter": {Filters: []Filter{{Field: "username", Lookup: IContains, Value: "user"}}}} {
		q.Limit = 100
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := h.Users(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, beside two others: error %v, want %v", name, err, context.DeadlineExceeded)
		}
		cancel()
	}
	if got := h.list(t, UserQuery{Limit: 100, After: ptr(cursor(1))}); len(got.IDs) != 2 {
		t.Errorf("page after the first user: %v, want 2 users", got.IDs)
	}
	if got := h.list(t, UserQuery{Limit: 100, Filters: []Filter{{Field: "username", Lookup: IExact,
		Value: "USER2"}}}); len(got.IDs) != 1 {
		t.Errorf("page of one user: %v, want 1 user", got.IDs)
	}
	if u, err := h.UserByID(t.Context(), 2); err != nil || u == nil {
		t.Errorf("user 2: got %v, error %v, want the user", u, err)
	}
	release()
	holding.Wait()
	if got := h.list(t, UserQuery{Limit: 100, Offset: ptr(2)}); len(got.IDs) != 1 {
		t.Errorf("page from the third user: %v, want 1 user", got.IDs)
	}
}
