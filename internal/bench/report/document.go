package report

import (
	"fmt"
	"regexp"
	"strings"
)

// Document puts a run into the text of docs/performance.md, between its markers, and returns the new text and the charts by
// the names of their files. What is outside of the markers is somebody's prose, and stays.
func Document(text string, run Run, results []Result) (_ string, charts map[string]string, err error) {
	if text, err = replace(text, "run", run.markdown()); err != nil {
		return "", nil, err
	}
	charts = map[string]string{}
	for _, t := range Tables {
		file := "performance-" + t.Key + ".svg"
		part := "This run did not measure it.\n"
		if len(t.of(results)) > 0 {
			part = fmt.Sprintf("![%s](%s)\n\n%s", t.Title, file, t.Markdown(results))
			charts[file] = t.Chart(results).SVG()
		}
		if text, err = replace(text, t.Key, part); err != nil {
			return "", nil, err
		}
	}
	return text, charts, nil
}

// replace replaces what is between the markers of that name.
func replace(text, name, part string) (string, error) {
	between := regexp.MustCompile(`(?s)(<!-- measured: ` + name + ` -->\n).*?(<!-- end -->\n)`)
	at := between.FindAllStringSubmatchIndex(text, -1)
	if len(at) != 1 {
		return "", fmt.Errorf("the document has %d places for %q, where it needs one: <!-- measured: %s --> and <!-- end -->", len(at), name, name)
	}
	return text[:at[0][3]] + "\n" + part + "\n" + text[at[0][4]:], nil
}

func (r Run) markdown() string {
	var out strings.Builder
	for _, line := range [][2]string{
		{"Date", r.Date}, {"Machine", r.Machine}, {"System", r.System}, {"Go", r.Go}, {"Commit", r.Commit},
		{"Load average before", r.LoadBefore}, {"Settings that differ from the defaults", r.Settings}, {"Command", "`" + r.Command + "`"},
	} {
		if line[1] != "" {
			fmt.Fprintf(&out, "- %s: %s\n", line[0], line[1])
		}
	}
	return out.String()
}
