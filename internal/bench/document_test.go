package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/bench/report"
)

// TestDocument: the tables and charts of docs/performance.md are those of testdata/bench/results.jsonl, which a run has
// written, and nobody has edited them. -update makes them anew.
func TestDocument(t *testing.T) {
	root := filepath.Join("..", "..")
	file, err := os.Open(filepath.Join(root, "testdata", "bench", "results.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	run, results, err := report.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(root, "docs", "performance.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	made, files, err := report.Document(string(text), run, results)
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
			t.Errorf("%s is not what was measured; go test ./internal/bench -run '^TestDocument$' -update makes it so (-measured +file):\n%s", path, diff)
		}
	}
	charts, err := filepath.Glob(filepath.Join(root, "docs", "performance-*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range charts {
		if _, ok := want[path]; !ok {
			t.Errorf("%s is of nothing that was measured: remove it", path)
		}
	}
}
