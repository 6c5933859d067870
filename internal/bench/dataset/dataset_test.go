//go:build unix

package dataset

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/cli"
	"accountd/internal/servertest"
	"accountd/internal/store"
)

var small = Size{Users: 30, Sessions: 75}

func makeSmall(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := Make(t.Context(), dir, small, servertest.CheapHashing, time.Now); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a command of the program on the directory.
func run(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	if code := cli.Run(t.Context(), cli.Env{
		Args: append(args, "--data-dir", dir), Environ: servertest.CheapHashing, Stdin: strings.NewReader(stdin),
		Stdout: &out, Stderr: &out, Now: time.Now,
	}); code != 0 {
		t.Fatalf("%s: got exit code %d, want 0: %s", args, code, out.String())
	}
}

// rows are all columns of what a query finds, by name.
func rows(t *testing.T, dir, query string, args ...any) []map[string]any {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "accountd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for found.Next() {
		into := make([]any, len(columns))
		for i := range into {
			into[i] = new(any)
		}
		if err := found.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := map[string]any{}
		for i, name := range columns {
			row[name] = *into[i].(*any)
		}
		list = append(list, row)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// userRows are the rows of one user, without what differs between any two: id, time, epochs, and the salt of the hash.
func userRows(t *testing.T, dir, username string) map[string][]map[string]any {
	t.Helper()
	all := map[string][]map[string]any{}
	for table, id := range map[string]string{"users": "id", "user_status": "user_id", "addresses": "user_id",
		"user_search": "user_id", "user_fields": "user_id"} {
		list := rows(t, dir, fmt.Sprintf(`SELECT t.* FROM %s t JOIN users u ON u.id = t.%s WHERE u.username = ?`, table,
			id), username)
		for _, row := range list {
			delete(row, id)
			delete(row, "date_joined")
			delete(row, "credential_epoch")
			delete(row, "secondary_epoch")
			for column, value := range row {
				text, ok := value.(string)
				if !ok {
					continue
				}
				if column == "password" {
					text = text[:strings.LastIndex(text, ",p=")]
				}
				if column == "username_skeleton" && text == store.Skeleton(username) {
					text = username
				}
				row[column] = strings.ReplaceAll(text, username, "USERNAME")
			}
		}
		all[table] = list
	}
	return all
}

func TestRowsAreAsTheProgramMakesThem(t *testing.T) {
	dir := makeSmall(t)
	const number = 7
	seeded := rows(t, dir, `SELECT * FROM users WHERE username = ?`, Username(number))[0]
	if seeded["id"] != ID(number) || seeded["email"] != Email(number) || seeded["first_name"] == "" ||
		seeded["last_name"] == "" {
		t.Fatalf("user %d: got %v, want its id, address and names", number, seeded)
	}
	run(t, dir, Password+"\n", "user", "add", "--username=ada", "--email=ada@example.com", "--password-stdin",
		"--verified",
		"--first-name", seeded["first_name"].(string), "--last-name", seeded["last_name"].(string))
	want, got := userRows(t, dir, "ada"), userRows(t, dir, Username(number))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-program +seeding):\n%s", diff)
	}
	if len(got["users"]) != 1 || len(got["addresses"]) != 1 || len(got["user_search"]) != 1 {
		t.Errorf("user %d: got the rows %v, want one of the user, one address and one of the search index", number, got)
	}

	s := servertest.Cheap(t, dir)
	if login, err := s.Login(http.DefaultClient, "ada", Password); err != nil || !login.Success {
		t.Fatalf("got %+v, %v; want success", login, err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	const session = `SELECT s.expires_at - s.created_at AS lasting, s.ended_at, s.end_reason, s.clear_at - s.created_at
		AS clear, t.generation, t.located, t.issued_at - s.created_at AS issued, t.expires_at -
		t.issued_at AS idle, t.rotated_at, t.successor, length(t.hash) AS hash FROM sessions s JOIN
		refresh_tokens t ON t.session_id = s.id WHERE s.user_id = ? LIMIT 1`
	id := rows(t, dir, `SELECT id FROM users WHERE username = 'ada'`)[0]["id"]
	if diff := cmp.Diff(rows(t, dir, session, id), rows(t, dir, session, ID(number))); diff != "" {
		t.Errorf("sessions (-program +seeding):\n%s", diff)
	}
}

// TestNothingIsWrong looks at the file as an operator does, and at the indexes of trigrams, which have to be those of
// the texts.
func TestNothingIsWrong(t *testing.T) {
	dir := makeSmall(t)
	s := servertest.Cheap(t, dir) // makes the spool
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "", "doctor")
	for _, index := range []string{"search_username", "search_email", "search_first_name", "search_last_name",
		"search_secondary_email"} {
		rows(t, dir, `INSERT INTO `+index+` (`+index+`, rank) VALUES ('integrity-check', 1)`)
	}
	for table, want := range map[string]int{
		"users": small.Users + 1, "user_status": small.Users + 1, "addresses": small.Users + 1,
		"user_search": small.Users + 1,
		"sessions":    small.Sessions, "refresh_tokens": small.Sessions,
	} {
		if got := rows(t, dir, `SELECT count(*) AS n FROM `+table)[0]["n"]; got != int64(want) {
			t.Errorf("%s: got %v rows, want %d", table, got, want)
		}
	}
	if mode := rows(t, dir, `PRAGMA journal_mode`)[0]["journal_mode"]; mode != "wal" {
		t.Errorf("got journal_mode %v, want wal", mode)
	}
}

func TestUsersAreThere(t *testing.T) {
	s := servertest.Cheap(t, makeSmall(t))
	login := func(name string) string {
		t.Helper()
		session, err := s.Login(http.DefaultClient, name, Password)
		if err != nil {
			t.Fatal(err)
		}
		if !session.Success {
			t.Fatalf("login of %s: got %s, want success", name, session.Errors)
		}
		return session.Token
	}
	login(Username(small.Users))
	live, over := 0, 0
	for j := 1; j <= small.Sessions; j++ {
		answer, err := s.Ask(http.DefaultClient, "",
			`mutation R($t: String) { refreshToken(refreshToken: $t) { success token payload } }`,
			map[string]any{"t": RefreshToken(j)})
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Success bool
			Payload struct{ Username string }
		}
		if err := answer.Field("refreshToken", &out); err != nil {
			t.Fatal(err)
		}
		if out.Success == Expired(j, small.Users) || out.Success &&
			out.Payload.Username != Username(Owner(j, small.Users)) {
			t.Errorf("session %d: got %+v, want user %s, or expired %t", j, out, Username(Owner(j, small.Users)),
				Expired(j, small.Users))
		}
		if out.Success {
			live++
		} else {
			over++
		}
	}
	if over < small.Sessions/20 || over > small.Sessions/5 {
		t.Errorf("got %d live sessions and %d expired, want 5 %% to 20 %% of them expired", live, over)
	}

	admin := login(Admin)
	for arguments, want := range map[string]int{
		``:                                        small.Users + 1,
		`(username_Icontains: "ER00000")`:         small.Users,
		`(username_Istartswith: "user000001")`:    10,
		`(email: "USER0000009@example.com")`:      1,
		`(status_Verified: false)`:                0,
		`(first: 20, username_Icontains: "user")`: 20,
	} {
		answer, err := s.Ask(http.DefaultClient, admin, `{ users`+arguments+` { edges { node { username } } } }`, nil)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Edges []struct{ Node struct{ Username string } }
		}
		if err := answer.Field("users", &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Edges) != want {
			t.Errorf("users%s: got %d, want %d", arguments, len(page.Edges), want)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		dir  string // within a directory that has a file
		size Size
		want string
	}{
		{"a directory that is there", ".", small, "is there already"},
		{"more users than names", "new", Size{Users: maxUsers + 1}, "10000000 users: from 0 to 9999999 are possible"},
		{"fewer users than none", "new", Size{Users: -1}, "-1 users"},
		{"fewer sessions than none", "new", Size{Users: 1, Sessions: -1}, "-1 sessions"},
		{"sessions of nobody", "new", Size{Sessions: 1}, "sessions without users"},
		{"a place that is not there", "no/such", small, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			parent := t.TempDir()
			err := Make(t.Context(), filepath.Join(parent, test.dir), test.size, servertest.CheapHashing, time.Now)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			left, err := os.ReadDir(parent)
			if err != nil || len(left) > 0 {
				t.Errorf("got %v left, %v; want nothing", left, err)
			}
		})
	}
}
