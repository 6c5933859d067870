package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMigrateSearch: a file of any earlier schema, with the index that it had for searching, is sound, and migrates
// to the same schema and a full index.
func TestMigrateSearch(t *testing.T) {
	t.Parallel()
	want, err := expectedSchema(t.Context(), len(steps()))
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version < len(steps()); version++ {
		queries := []string{ada}
		if version >= 4 && version < 14 {
			file := "search_4.sql"
			if version >= 8 {
				file = "search_8.sql"
			}
			text, err := os.ReadFile(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			queries = append(queries, string(text))
			if version < 8 {
				queries = append(queries, `INSERT INTO user_substrings (user_substrings) VALUES ('rebuild')`)
			} else {
				queries = append(queries, `INSERT INTO user_substrings (rowid, grams) VALUES (7, 'aada bada')`)
			}
		}
		path := earlierFile(t, version, queries...)
		found, err := Check(t.Context(), path)
		if err != nil || found.Problems != nil {
			t.Errorf("schema %d: problems %q, %v, want none", version, found.Problems, err)
		}
		db := open(t, path)
		err = db.Read(t.Context(), func(tx *Tx) error {
			got, err := pairs[string](tx.QueryContext(t.Context(), schemaQuery))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("schema %d becomes another one (-want +got):\n%s", version, diff)
			}
			if err != nil {
				return err
			}
			var id int
			return tx.QueryRowContext(t.Context(),
				`SELECT rowid FROM search_email WHERE search_email MATCH '"ple"'`).Scan(&id)
		})
		if err != nil {
			t.Errorf("schema %d: got %v, want no error", version, err)
		}
		found, err = Check(t.Context(), path)
		if err != nil || found.Problems != nil || found.Users != 1 {
			t.Errorf("from schema %d: %d users, problems %q, %v, want 1 user and no problems", version, found.Users,
				found.Problems, err)
		}
	}
}
