package store

import (
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// earlierFile makes a file of an earlier schema, with a user and what else queries put into it.
func earlierFile(t *testing.T, version int, queries ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.db")
	old, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	old.SetMaxOpenConns(1)
	names, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names[:version] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	all = append(all, "PRAGMA user_version = "+strconv.Itoa(version), `BEGIN;
		INSERT INTO users (id, username, username_key, email, date_joined) VALUES (7, 'Ada', 'ada', 'ada@example.com', 1);
		INSERT INTO addresses VALUES ('ada@example.com', 7, 'Ada@example.com'); INSERT INTO user_status (user_id) VALUES (7);
		COMMIT`)
	for _, query := range append(all, queries...) {
		if _, err := old.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMigrateSearch: a file of any earlier schema, with the index that it had for searching, is sound, and migrates
// to the same schema and a full index.
func TestMigrateSearch(t *testing.T) {
	t.Parallel()
	names, err := steps()
	if err != nil {
		t.Fatal(err)
	}
	want, err := expectedSchema(t.Context(), len(names))
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version < len(names); version++ {
		var index []string
		if version >= 4 && version < 14 {
			file := "search_4.sql"
			if version >= 8 {
				file = "search_8.sql"
			}
			text, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			index = append(index, string(text))
			if version < 8 {
				index = append(index, `INSERT INTO user_substrings (user_substrings) VALUES ('rebuild')`)
			} else {
				index = append(index, `INSERT INTO user_substrings (rowid, grams) VALUES (7, 'aada bada')`)
			}
		}
		path := earlierFile(t, version, index...)
		found, err := Check(t.Context(), path)
		if err != nil || found.err() != nil {
			t.Errorf("schema %d: problems %v, %v, want none", version, found.err(), err)
		}
		db := open(t, path)
		err = db.Read(t.Context(), func(tx *Tx) error {
			got, err := readSchema(t.Context(), tx.conn)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("schema %d becomes another one (-want +got):\n%s", version, diff)
			}
			if err != nil {
				return err
			}
			var id int
			return tx.QueryRowContext(t.Context(), `SELECT rowid FROM search_email WHERE search_email MATCH '"ple"'`).Scan(&id)
		})
		if err != nil {
			t.Errorf("schema %d: %v", version, err)
		}
		found, err = Check(t.Context(), path)
		if err != nil || found.err() != nil || found.Users != 1 {
			t.Errorf("from schema %d: %d users, problems %v, %v, want 1 user and no problems", version, found.Users, found.err(), err)
		}
	}
}
