package bench

import (
	"fmt"
	"regexp"
	"strings"
)

// Document puts the last run, and the targets of all runs, between the markers of docs/performance.md. It returns
// the new text and the charts by file name. runs begin with the last one.
func Document(text string, runs []Measured) (_ string, charts map[string]string, err error) {
	if text, err = replace(text, "run", runs[0].Run.markdown()); err != nil {
		return "", nil, err
	}
	if text, err = replace(text, "targets", targetTable(runs)); err != nil {
		return "", nil, err
	}
	results := runs[0].Results
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

// targetTable has each target of the last run, and the figures of all runs.
func targetTable(runs []Measured) string {
	var out strings.Builder
	out.WriteString("| target |")
	for _, run := range runs {
		fmt.Fprintf(&out, " %s |", strings.TrimSpace(run.Date+" "+run.Commit))
	}
	fmt.Fprintf(&out, "\n|%s\n", strings.Repeat(" --- |", len(runs)+1))
	for _, r := range runs[0].Results {
		for i, c := range r.Checks {
			if c.Bound == 0 {
				continue
			}
			fmt.Fprintf(&out, "| %s: %s |", place(r), c.target())
			for _, run := range runs {
				fmt.Fprintf(&out, " %s |", run.became(r, i))
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}

// place is the label of a result among those of all tables.
func place(r Result) string {
	if r.Table == "size" {
		return label(r) + ", many users beside few"
	}
	return label(r)
}

// became returns the figure of a target in another run, with that run's bound if it differs.
func (m Measured) became(r Result, target int) string {
	for _, own := range m.Results {
		if own.Table != r.Table || own.Name != r.Name || own.Clients != r.Clients || target >= len(own.Checks) {
			continue
		}
		c := own.Checks[target]
		came := quantity(c.Value, c.Unit)
		if !c.Met() {
			came = "**" + came + "**"
		}
		if c.target() != r.Checks[target].target() {
			came += " (" + c.target() + ")"
		}
		return came
	}
	return "not measured"
}

// replace replaces the text between the markers of a name.
func replace(text, name, part string) (string, error) {
	between := regexp.MustCompile(`(?s)(<!-- measured: ` + name + ` -->\n).*?(<!-- end -->\n)`)
	at := between.FindAllStringSubmatchIndex(text, -1)
	if len(at) != 1 {
		return "", fmt.Errorf("the document has %d places for %q, where it needs one: <!-- measured: %s --> and "+
			"<!-- end -->",
			len(at), name, name)
	}
	return text[:at[0][3]] + "\n" + part + "\n" + text[at[0][4]:], nil
}

func (r Run) markdown() string {
	var out strings.Builder
	for _, line := range [][2]string{
		{"Date", r.Date}, {"Machine", r.Machine}, {"System", r.System}, {"Go", r.Go}, {"Commit", r.Commit},
		{"Load average before", r.LoadBefore}, {"Settings that differ from the defaults", r.Settings},
		{"Command", "`" + r.Command + "`"},
	} {
		if line[1] != "" {
			fmt.Fprintf(&out, "- %s: %s\n", line[0], line[1])
		}
	}
	return out.String()
}
