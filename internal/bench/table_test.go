package bench

import (
	"fmt"
	"strings"
)

// Table is one table of the document, and its chart.
type Table struct {
	Key   string // of its results, and in the names of its markers and its file
	Title string // of the chart
	Axis  string // what the bars are

	columns []string
	row     func(Result) []string
	bar     func(Result) Bar
	unit    string // of the bars
}

// Tables are those of the document.
var Tables = []Table{
	beside("http", "Requests without a hash and without a write, beside a bare net/http handler", "bare handler"),
	beside("hash", "Logins and registrations, beside bare Argon2id on all cores", "bare hashes"),
	beside("signature", "verifyToken, beside bare signatures on all cores", "bare signatures"),
	beside("transaction", "refreshToken, beside bare durable transactions of SQLite", "bare transactions"),
	{
		Key: "size", Title: "Cost with many users, as a multiple of the cost with few",
		Axis: "time per request; less is better", unit: "×",
		columns: []string{"operation", "clients", "few: requests/s", "many: requests/s", "few: p50", "many: p50",
			"few: p99",
			"many: p99", "few: CPU each", "many: CPU each", "many: peak memory", "cost of many", "target", "met"},
		row: func(r Result) []string {
			cells := []string{r.Name, clients(r), number(r.Floor.Rate), number(r.Ours.Rate), millis(r.Floor.P50),
				millis(r.Ours.P50), millis(r.Floor.P99), millis(r.Ours.P99), millis(r.Floor.CPU), millis(r.Ours.CPU),
				mebibytes(r.Ours.Peak)}
			return append(append(cells, fmt.Sprintf("%.2f ×", r.cost())), verdict(r)...)
		},
		bar: func(r Result) Bar {
			b := Bar{Label: label(r), Value: r.cost(), Met: met(r)}
			if len(r.Checks) > 0 {
				b.Target = r.Checks[0].Bound
			}
			return b
		},
	},
	{
		Key: "limits", Title: "How much is used of what the targets allow",
		Axis: "of what is allowed; less is better", unit: "%",
		columns: []string{"what", "figure", "target", "met"},
		row: func(r Result) []string {
			return append([]string{r.Name, r.Checks[0].figure()}, verdict(r)...)
		},
		bar: func(r Result) Bar {
			c := r.Checks[0]
			if c.Bound == 0 || c.Value == 0 {
				return Bar{}
			}
			used := c.Value / c.Bound
			if c.Least {
				used = 1 / used
			}
			return Bar{Label: r.Name, Value: 100 * used, Target: 100, Met: met(r)}
		},
	},
}

// beside is a table of operations and their floor.
func beside(key, title, floor string) Table {
	return Table{
		Key: key, Title: title, Axis: "of the rate of the " + floor + "; more is better", unit: "%",
		columns: []string{"operation", "clients", "requests/s", "p50", "p99", "CPU each", "peak memory", floor + "/s",
			"CPU of one", "of the floor", "target", "met"},
		row: func(r Result) []string {
			cells := []string{
				r.Name, clients(r), number(r.Ours.Rate), millis(r.Ours.P50), millis(r.Ours.P99), millis(r.Ours.CPU),
				mebibytes(r.Ours.Peak),
				number(r.Floor.Rate), millis(r.Floor.CPU), fmt.Sprintf("%.1f %%", 100*r.Ratio()),
			}
			return append(cells, verdict(r)...)
		},
		bar: func(r Result) Bar {
			b := Bar{Label: label(r), Value: 100 * r.Ratio(), Met: met(r)}
			for _, c := range r.Checks {
				if c.Unit == "/s" && r.Floor.Rate > 0 {
					b.Target = 100 * c.Bound / r.Floor.Rate
				} else if c.Unit == "%" {
					b.Target = c.Bound
				}
			}
			return b
		},
	}
}

// Markdown returns the table of the results that belong to it.
func (t Table) Markdown(results []Result) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s |\n|%s\n", strings.Join(t.columns, " | "), strings.Repeat(" --- |", len(t.columns)))
	for _, r := range t.of(results) {
		fmt.Fprintf(&out, "| %s |\n", strings.Join(t.row(r), " | "))
	}
	return out.String()
}

// Chart returns its picture.
func (t Table) Chart(results []Result) Chart {
	c := Chart{Title: t.Title, Axis: t.Axis, Unit: t.unit}
	for _, r := range t.of(results) {
		if b := t.bar(r); b.Label != "" {
			c.Bars = append(c.Bars, b)
		}
	}
	return c
}

// of returns the results of the table, in the order of measuring.
func (t Table) of(results []Result) (list []Result) {
	for _, r := range results {
		if r.Table == t.Key {
			list = append(list, r)
		}
	}
	return list
}

// cost is our time for one operation divided by the floor's.
func (r Result) cost() float64 {
	if r.Ours.Rate == 0 {
		return 0
	}
	return r.Floor.Rate / r.Ours.Rate
}

func met(r Result) bool {
	for _, c := range r.Checks {
		if !c.Met() {
			return false
		}
	}
	return true
}

// verdict returns the last two cells of a row: the targets, and whether they were met.
func verdict(r Result) []string {
	var targets, missed []string
	for _, c := range r.Checks {
		if c.Bound == 0 {
			continue
		}
		targets = append(targets, c.target())
		if !c.Met() {
			missed = append(missed, c.figure())
		}
	}
	switch {
	case len(targets) == 0:
		return []string{"", ""}
	case len(missed) == 0:
		return []string{strings.Join(targets, ", "), "yes"}
	default:
		return []string{strings.Join(targets, ", "), "**no**: " + strings.Join(missed, ", ")}
	}
}

func (c Check) target() string {
	sign := "≤"
	if c.Least {
		sign = "≥"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", c.What, sign, quantity(c.Bound, c.Unit)))
}

func (c Check) figure() string { return strings.TrimSpace(c.What + " " + quantity(c.Value, c.Unit)) }

func quantity(value float64, unit string) string {
	switch {
	case unit == "/s":
		return number(value) + "/s"
	case unit == "":
		return number(value)
	default:
		return number(value) + " " + unit
	}
}

// label is a result's name and number of clients.
func label(r Result) string {
	switch r.Clients {
	case 0:
		return r.Name
	case 1:
		return r.Name + ", 1 client"
	default:
		return fmt.Sprintf("%s, %d clients", r.Name, r.Clients)
	}
}

func clients(r Result) string {
	if r.Clients == 0 {
		return ""
	}
	return fmt.Sprint(r.Clients)
}

func mebibytes(mib float64) string { return fmt.Sprintf("%.0f MiB", mib) }

func millis(ms float64) string {
	switch {
	case ms == 0:
		return ""
	case ms < 1:
		return number(1000*ms) + " µs"
	default:
		return number(ms) + " ms"
	}
}

// number formats three digits, with groups of thousands.
func number(x float64) string {
	switch {
	case x < 10:
		return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%.2f", x), "0"), ".0")
	case x < 100:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", x), ".0")
	}
	digits := fmt.Sprintf("%.0f", x)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
