package bench

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata, or docs/performance.md and its charts, anew")

// lastRuns are the files of the last three runs, the last one first; testdata/bench/run writes them.
var lastRuns = []string{"results.jsonl", "results-1.jsonl", "results-2.jsonl"}

// readRuns reads the existing ones.
func readRuns(t *testing.T, dir string) (runs []Measured) {
	t.Helper()
	for i, name := range lastRuns {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		run, err := Read(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runs = append(runs, run)
	}
	return runs
}

// TestDocument: the tables and charts of docs/performance.md are those of the last three runs in testdata/bench.
// -update writes them.
func TestDocument(t *testing.T) {
	root := filepath.Join("..", "..")
	document := filepath.Join(root, "docs", "performance.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	made, files, err := Document(string(text), readRuns(t, filepath.Join(root, "testdata", "bench")))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{document: made}
	for name, chart := range files {
		want[filepath.Join(root, "docs", name)] = chart
	}
	if *update {
		for path, content := range want {
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for path, content := range want {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(content, string(got)); diff != "" {
			t.Errorf("%s: got other figures than were measured (-want +got); "+
				"go test ./internal/bench -run '^TestDocument$' -update writes it:\n%s", path, diff)
		}
	}
	charts, err := filepath.Glob(filepath.Join(root, "docs", "performance-*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range charts {
		if _, ok := want[path]; !ok {
			t.Errorf("%s: got a chart of nothing that was measured, want none", path)
		}
	}
}
