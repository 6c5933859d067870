package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sampleRun = Run{Date: "2026-01-02 03:04 UTC", Machine: "a processor, 2 cores, 24 GiB", System: "a system",
	Go: "go1.26", Command: "bash run", Settings: "none", LoadBefore: "0.10 0.20 0.30"}

// results has every kind of row: met and missed, without a target, at the least and at the most.
var results = []Result{
	{Table: "http", Name: "me", Clients: 1, Ours: Side{Rate: 8000, P50: 0.12, P99: 0.345, CPU: 0.0945, Peak: 31.4},
		Floor: Side{Rate: 16000, P50: 0.05, P99: 0.1, CPU: 0.02, Peak: 12}},
	{Table: "http", Name: "me", Clients: 16, Ours: Side{Rate: 31500, P50: 0.5, P99: 2.25, CPU: 0.05, Peak: 33},
		Floor:  Side{Rate: 70000, CPU: 0.01, Peak: 12},
		Checks: []Check{{Value: 45, Unit: "%", Bound: 40, Least: true}}},
	{Table: "http", Name: "users, <first> page", Clients: 16, Ours: Side{Rate: 5123, P50: 3, P99: 12, CPU: 0.3,
		Peak: 40},
		Floor:  Side{Rate: 60000, CPU: 0.01, Peak: 12},
		Checks: []Check{{Value: 5123, Unit: "/s", Bound: 6000, Least: true}}},
	{Table: "hash", Name: "tokenAuth", Clients: 16, Ours: Side{Rate: 94.1, P50: 170, P99: 341.2, CPU: 21, Peak: 70},
		Floor: Side{Rate: 95, P50: 20, P99: 21, CPU: 20, Peak: 60},
		Checks: []Check{{Value: 99, Unit: "%", Bound: 95, Least: true}, {What: "p99", Value: 341.2, Unit: "ms",
			Bound: 340.1}}},
	{Table: "size", Name: "me", Clients: 16, Ours: Side{Rate: 30000, P99: 2, CPU: 0.06, Peak: 33},
		Floor: Side{Rate: 31500,
			P99: 1.9, CPU: 0.05, Peak: 33},
		Checks: []Check{{Value: 1.05, Unit: "×", Bound: 1.2}}},
	{Table: "limits", Name: "start", Checks: []Check{{Value: 31.4, Unit: "ms", Bound: 50}}},
	{Table: "limits", Name: "rate", Checks: []Check{{Value: 40, Unit: "%", Bound: 50, Least: true}}},
	{Table: "limits", Name: "signature", Checks: []Check{{Value: 1.234, Unit: "µs"}}},
}

// before is an earlier run with fewer misses and fewer results.
var before = Measured{
	Run: Run{Date: "2026-01-01 03:04 UTC", Commit: "abc"},
	Results: []Result{
		{Table: "http", Name: "me", Clients: 1, Checks: []Check{{Value: 1, Unit: "%", Bound: 40, Least: true}}},
		{Table: "hash", Name: "tokenAuth", Clients: 16, Checks: []Check{{Value: 96, Unit: "%", Bound: 95, Least: true},
			{What: "p99", Value: 310, Unit: "ms", Bound: 300}}},
		{Table: "limits", Name: "rate", Checks: []Check{{Value: 51.4, Unit: "%", Bound: 50, Least: true}}},
	},
}

const sampleText = `# Speed

<!-- measured: run -->
old
<!-- end -->
<!-- measured: targets -->
<!-- end -->
Prose.
<!-- measured: http -->
<!-- end -->
<!-- measured: hash -->
<!-- end -->
<!-- measured: signature -->
<!-- end -->
<!-- measured: transaction -->
<!-- end -->
<!-- measured: size -->
<!-- end -->
<!-- measured: limits -->
<!-- end -->
More prose.
`

func TestReport(t *testing.T) {
	got, charts, err := Document(sampleText, []Measured{{Run: sampleRun, Results: results}, before})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "document.md", got)
	for _, name := range []string{"performance-http.svg", "performance-hash.svg", "performance-size.svg",
		"performance-limits.svg"} {
		golden(t, name, charts[name])
		wellFormed(t, charts[name])
		delete(charts, name)
	}
	if len(charts) > 0 {
		t.Errorf("got the charts %v, want only those that were measured", charts)
	}
	again, _, err := Document(got, []Measured{{Run: sampleRun, Results: results}, before})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("the same run once more (-want +got):\n%s", diff)
	}
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func wellFormed(t *testing.T, document string) {
	t.Helper()
	elements := 0
	for decoder := xml.NewDecoder(strings.NewReader(document)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("got %v, want XML\n%s", err, document)
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
	if elements < 10 {
		t.Errorf("got %d elements, want at least 10:\n%s", elements, document)
	}
}

func TestDocumentRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no place":   "# Speed\n",
		"no end":     strings.Replace(sampleText, "<!-- end -->", "", 10),
		"two places": sampleText + "<!-- measured: http -->\n<!-- end -->\n",
	} {
		if got, _, err := Document(text, []Measured{before}); err == nil {
			t.Errorf("%s: got no error, want one:\n%s", name, got)
		}
	}
}

// TestCharts: charts without bars, or of zeros only, are valid pictures.
func TestCharts(t *testing.T) {
	for name, chart := range map[string]Chart{
		"empty": {Title: "a & b", Unit: "%"},
		"zeros": {Unit: "%", Bars: []Bar{{Label: "<none>"}}},
		"huge":  {Unit: "×", Bars: []Bar{{Label: "x", Value: 1e9, Target: 1e-9}}},
	} {
		t.Run(name, func(t *testing.T) {
			svg := chart.SVG()
			wellFormed(t, svg)
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || len(svg) > 20_000 {
				t.Errorf("got %s, want numbers only in at most 20,000 bytes", svg)
			}
		})
	}
}

func TestLines(t *testing.T) {
	var lines bytes.Buffer
	if err := Write(&lines, Measured{Run: sampleRun, Results: results}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(&lines)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Measured{Run: sampleRun, Results: results}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"", "{", `{"Nothing":1}`, "{}\n{", "{}\n{\"Nothing\":1}"} {
		if _, err := Read(strings.NewReader(wrong)); err == nil {
			t.Errorf("%q: got no error, want one", wrong)
		}
	}
}

func TestMissed(t *testing.T) {
	want := []string{
		"users, <first> page, 16 clients: 5,123/s, and the target is ≥ 6,000/s",
		"tokenAuth, 16 clients: p99 341 ms, and the target is p99 ≤ 340 ms",
		"rate: 40 %, and the target is ≥ 50 %",
	}
	if diff := cmp.Diff(want, Missed(results)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
