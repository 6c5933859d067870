//go:build unix

package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"accountd/internal/servertest"
	"accountd/internal/store"
)

// columns returns the columns of all tables of accounts, as they are and in camel case, and a few names that other
// servers accept.
func columns(t *testing.T, db *store.DB) []string {
	t.Helper()
	names := map[string]bool{"admin": true, "role": true, "roles": true, "permissions": true, "groups": true,
		"verified_at": true, "userId": true, "__proto__": true, "constructor": true}
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT c.name FROM sqlite_schema t, pragma_table_info(t.name) c
			WHERE t.type = 'table' AND t.name IN ('users', 'user_status', 'addresses', 'sessions', 'refresh_tokens',
				'user_fields', 'user_search')`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names[name] = true
			words := strings.Split(name, "_")
			for i := range words[1:] {
				words[i+1] = strings.ToUpper(words[i+1][:1]) + words[i+1][1:]
			}
			names[strings.Join(words, "")] = true
		}
		return rows.Err()
	})
	if err != nil || len(names) < 60 {
		t.Fatalf("got %d columns, %v; want at least 60", len(names), err)
	}
	return slices.Sorted(maps.Keys(names))
}

// accountRows returns all that is stored about users, except the times of their logins.
func accountRows(t *testing.T, db *store.DB) string {
	t.Helper()
	var all strings.Builder
	err := db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(),
			`SELECT json_array(u.id, username, email, first_name, last_name, password, is_active, is_staff,
				is_superuser, date_joined, verified, archived, secondary_email)
			FROM users u JOIN user_status s ON s.user_id = u.id ORDER BY u.id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				return err
			}
			fmt.Fprintln(&all, row)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestSecurityWritableFields sends every mutation with every column of the database as an extra argument, in both
// flavours. Arguments outside the contract are refused, and no row changes.
func TestSecurityWritableFields(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	session, err := server.Register(http.DefaultClient, "grace", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	db := server.Open(t)
	server.Exec(t, `UPDATE user_status SET verified = 1`)
	// What the contract lets a client write, beside passwords and tokens.
	writable := map[string]string{
		"register": "email username", "resendActivationEmail": "email", "sendPasswordResetEmail": "email",
		"updateAccount":  "firstName lastName",
		"archiveAccount": "password", "deleteAccount": "password", "sendSecondaryEmailActivation": "email password",
		"swapEmails":           "password",
		"removeSecondaryEmail": "password", "tokenAuth": "password email username",
	}
	before, tried := accountRows(t, db), 0
	for name, r := range prologues {
		args := strings.NewReplacer("$password", "quiet-otter-42", "$name", "new").Replace(r.args)
		for _, column := range columns(t, db) {
			if slices.Contains(strings.Fields(writable[name]), column) {
				continue
			}
			path := []string{"/graphql", "/relay"}[tried%2]
			tried++
			call := strings.TrimPrefix(args+", "+column+": "+[]string{"true", `"x"`, "1"}[tried%3], ", ")
			document := map[string]string{"/graphql": "mutation { " + name + "(" + call + ") { __typename } }",
				"/relay": "mutation { " + name + "(input: {" + call + "}) { __typename } }"}[path]
			got := server.Post(t, path, document, "", "Authorization", "JWT "+session.Token)
			if !got.Has("validation") || strings.Contains(got.Body, `"data"`) {
				t.Errorf("%s: got status %d, %s; want validation", document, got.Status, got.Body)
			}
			// An input object as a variable.
			input := strings.ToUpper(name[:1]) + name[1:] + "Input"
			if name == "tokenAuth" {
				input = "ObtainJSONWebTokenInput"
			} else if strings.HasSuffix(name, "TokenCookie") {
				input = strings.Replace(input, "DeleteToken", "DeleteJSONWebToken", 1)
			}
			values, err := json.Marshal(map[string]any{"v": map[string]any{column: true}})
			if err != nil {
				t.Fatal(err)
			}
			got = server.Post(t, "/relay", "mutation($v: "+input+"!) { "+name+"(input: $v) { __typename } }",
				string(values),
				"Authorization", "JWT "+session.Token)
			if !got.Has("variables") {
				t.Errorf("%s with %s as a variable: got status %d, %s; want variables", name, column, got.Status,
					got.Body)
			}
		}
	}
	if after := accountRows(t, db); after != before {
		t.Errorf("the accounts: got\n%s\nwant\n%s", after, before)
	}
	if tried < 1000 {
		t.Errorf("got %d arguments tried, want at least 1000", tried)
	}
}

// TestSecurityJSONTypes sends every argument of every mutation with values of all other JSON types. All are refused,
// and no row changes.
func TestSecurityJSONTypes(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	session, err := server.Register(http.DefaultClient, "grace", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	db := server.Open(t)
	before := accountRows(t, db)
	for name, r := range prologues {
		for _, arg := range strings.Split(r.args, ", ") {
			argument, _, _ := strings.Cut(arg, ":")
			if argument == "" {
				continue
			}
			for _, value := range []string{"1", "1.5", "true", `{"$ne":null}`, `["quiet-otter-42"]`, `[]`, `{}`,
				`[["x"]]`,
				`{"` + argument + `":"x"}`} {
				query := "mutation($v: String!) { " + name + "(" + argument + ": $v) { __typename } }"
				for _, other := range strings.Split(r.args, ", ") {
					if other != arg {
						query = strings.Replace(query, argument+": $v", argument+": $v, "+
							strings.NewReplacer("$password",
								"quiet-otter-42", "$name", "new").Replace(other), 1)
					}
				}
				got := server.Post(t, "/graphql", query, `{"v":`+value+`}`, "Authorization", "JWT "+session.Token)
				if !got.Has("variables") || got.Status != 400 {
					t.Errorf("%s of %s is %s: got status %d, %s; want 400 variables", argument, name, value, got.Status,
						got.Body)
				}
			}
		}
	}
	if after := accountRows(t, db); after != before {
		t.Errorf("the accounts: got\n%s\nwant\n%s", after, before)
	}
}
