package accounts

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"accountd/email"
	"accountd/internal/jsontext"
	"accountd/internal/store"
	"accountd/tokens"
)

// recorded is values as SQLite puts them into a record.
func (h *harness) recorded(t *testing.T, values ...any) (text string) {
	t.Helper()
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		query := "SELECT json_array(?" + strings.Repeat(", ?", len(values)-1) + ")"
		return tx.QueryRowContext(t.Context(), query, values...).Scan(&text)
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// readColumn is a value of a record as the column has it: nil, a string, an int64 or a float64.
func readColumn(value any) any {
	number, ok := value.(json.Number)
	if !ok {
		return value
	}
	if n, err := number.Int64(); err == nil {
		return n
	}
	f, _ := number.Float64() // infinite where out of range
	return f
}

// TestRecord: values come out of a record of SQLite's as they went in.
func TestRecord(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	for _, test := range []struct {
		name   string
		values []any
	}{
		{"nothing", []any{nil, "", nil}},
		{"texts", []any{"ada", "a,b],[\"c\"", "null", "[", "]", "1"}},
		{"quotes", []any{`"`, `\`, `\"`, `\\u0041`, `a"b\c`, "it's"}},
		{"control characters", []any{"\x00", "a\x00b", "\b\f\n\r\t", "\x01\x1f\x7f", "\n"}},
		{"Unicode", []any{"ß", "日本", "😀", "\u2028\u0085", "\ufeff", "\ufffd"}},
		{"no UTF-8", []any{"\xff", "a\xc3", "\xed\xa0\x80", "\xf0\x9f"}},
		{"whole numbers", []any{int64(0), int64(-1), int64(math.MaxInt64), int64(math.MinInt64)}},
		{"numbers", []any{1.0, -0.5, 0.1, 1e300, 5e-324, math.MaxFloat64, 1.0 / 3, -1e15, 123456789012345680.0}},
		{"no numbers", []any{math.Inf(1), math.Inf(-1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := h.recorded(t, test.values...)
			r := jsontext.NewReader(text)
			r.Open('[')
			for i, want := range test.values {
				if got := readColumn(r.Value()); got != want {
					t.Errorf("value %d of %s: got %#v, want %#v", i, text, got, want)
				}
			}
			r.Close(']')
			if err := r.End(); err != nil {
				t.Errorf("%s: got error %v, want none", text, err)
			}
		})
	}
	t.Run("any numbers", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			values := make([]any, 100)
			for i := range values {
				values[i] = math.Float64frombits(random.Uint64())
				if f := values[i].(float64); f != f {
					values[i] = random.NormFloat64() // SQLite has NULL for what is no number
				}
			}
			text := h.recorded(t, values...)
			r := jsontext.NewReader(text)
			r.Open('[')
			for _, want := range values {
				if got := readColumn(r.Value()); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
		}
	})
}

// TestRecordBroken: a record that SQLite would not write is an error.
func TestRecordBroken(t *testing.T) {
	t.Parallel()
	s := &Service{}
	for _, text := range []string{"", "[", "[[]]", "[1]", "[[1,1,0,0,0,0,3,null,null]]",
		`[[1,1,0,0,0,0,3,null,"a","b","c","d","e"]`, `[[1,1,0,0,0,0,3,null,"a","b","c","d"]]`} {
		if users, err := s.readUsers(text); err == nil {
			t.Errorf("%s: got %d users, want an error", text, len(users))
		}
	}
	if u, err := s.readAccount(`[1,1,0,0,0,0,3,null,"a","b","c","d","e"]`); err == nil {
		t.Errorf("shown columns alone: got %+v, want an error", u)
	}
}

// FuzzRecord: SQLite's records are read to the byte, and numbers exactly.
func FuzzRecord(f *testing.F) {
	f.Add("a\"],[\\\x00", int64(-1), 0.1)
	f.Add("\xff\u2028", int64(math.MinInt64), 5e-324)
	f.Add("null", int64(0), 1e300)
	h := newHarness(f, standard)
	f.Fuzz(func(t *testing.T, text string, n int64, x float64) {
		if x != x || !utf8.ValidString(text) {
			return // NULL to SQLite; replaced beside an escape sequence
		}
		r := jsontext.NewReader(h.recorded(t, text, n, x, text))
		r.Open('[')
		if got := r.Text(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if got := r.Int(); got != n {
			t.Errorf("got %d, want %d", got, n)
		}
		if got := readColumn(r.Value()); got != x {
			t.Errorf("got %v, want %v", got, x)
		}
		if got := r.Value(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		r.Close(']')
		if err := r.End(); err != nil {
			t.Errorf("got error %v, want none", err)
		}
	})
}

// TestUserRecord: a page and a look-up by id show the same user, for every content of the database.
func TestUserRecord(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
		s.Fields = []Field{{Name: "phone", Type: String}, {Name: "ratio", Type: Float}, {Name: "level", Type: Int},
			{Name: "since", Type: DateTime}}
	})
	h.exec(t, `
		INSERT INTO users (id, username, username_key, email, first_name, last_name, password, is_active, is_staff,
				is_superuser, date_joined, last_login)
			VALUES (1, NULL, NULL, 'a@x', '"],["', char(0, 92), 'hash', 2, 1, 0, -1, 0),
				(2, '', '', 'b@x', cast(x'ff' AS TEXT), 'ß', '', 0, 0, 1, 5, NULL);
		INSERT INTO addresses (canonical, user_id, address) VALUES ('a@x', 1, 'A@x'),
			('b@x', 2, 'null'), ('c@x', 2, 'C"@x');
		INSERT INTO user_status (user_id, verified, archived, secondary_email) VALUES (1, 1, 0, NULL), (2, 0, 1, 'c@x');
		INSERT INTO user_fields (user_id, name, value)
			VALUES (1, 'phone', x'00'), (1, 'ratio', 0.1), (1, 'level', '7'), (1, 'since', 60),
			(2, 'phone', '],['), (2, 'ratio', 3), (2, 'level', 2.0)`)
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
	want := []*User{
		{User: email.User{
			ID: 1, Username: "A@x", Email: "A@x", FirstName: `"],["`, LastName: "\x00\\", IsActive: true, IsStaff: true,
			Verified:   true,
			DateJoined: at(-1), LastLogin: ptr(at(0)), Fields: Values{"phone": nil, "ratio": 0.1, "level": nil,
				"since": at(60)},
		}},
		{IsSuperuser: true, User: email.User{
			ID: 2, Username: "", Email: "null", FirstName: "\xff", LastName: "ß", SecondaryEmail: `C"@x`,
			Archived:   true,
			DateJoined: at(5), Fields: Values{"phone": "],[", "ratio": 3.0, "level": nil, "since": nil},
		}},
	}
	whole := []*account{
		{User: *want[0], canonical: "a@x", password: "hash"},
		{User: *want[1], canonical: "b@x", secondary: "c@x"},
	}
	page, err := h.Users(t.Context(), UserQuery{Limit: 10})
	if err != nil || len(page.Users) != len(want) {
		t.Fatalf("%d users, error %v, want %d", len(page.Users), err, len(want))
	}
	var each []*User
	if err := h.EachUser(t.Context(), func(u *User) error { each = append(each, u); return nil }); err != nil ||
		len(each) != len(want) {
		t.Fatalf("%d users, error %v, want %d", len(each), err, len(want))
	}
	for i, want := range want {
		for name, got := range map[string]*User{"in a page": page.Users[i], "one of all": each[i]} {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("user %d, %s (-want +got):\n%s", want.ID, name, diff)
			}
		}
		one := h.user(t, accountKey(want.ID))
		sameUser(t, whole[i], one)
	}
}
