package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Run describes a run: machine, versions, command.
type Run struct {
	Date       string // of its beginning
	Machine    string // processor, cores, memory
	System     string // operating system, file system
	Go         string // version
	Commit     string // "" if not known
	Command    string
	Settings   string // what differs from the defaults
	LoadBefore string // the load averages when it began
}

// Measured is a run and its results.
type Measured struct {
	Run
	Results []Result
}

// Result is the measurement of one thing.
type Result struct {
	Table   string // the key of a Table
	Name    string
	Clients int  // at once; 0 where there are none
	Ours    Side // of a comparison: the program
	Floor   Side // and what it is measured against, in turns with it
	Checks  []Check
}

// Side is one of two things that are measured in turns.
type Side struct {
	Rate float64 // a second
	P50  float64 // milliseconds, as is P99
	P99  float64
	CPU  float64 // milliseconds that the process used, user and system, for each
	Peak float64 // MiB, the most memory that the process had
}

// Check is a figure and, if there is one, its target.
type Check struct {
	What  string // of the figure, where it is not the row's own
	Value float64
	Unit  string
	Bound float64 // the target; 0: none
	Least bool    // the target is the least, and not the most
}

// Ratio is our rate divided by the floor's.
func (r Result) Ratio() float64 {
	if r.Floor.Rate == 0 {
		return 0
	}
	return r.Ours.Rate / r.Floor.Rate
}

// Met reports whether the target is met.
func (c Check) Met() bool {
	return c.Bound == 0 || c.Least && c.Value >= c.Bound || !c.Least && c.Value <= c.Bound
}

// Missed names the targets that were not met.
func Missed(results []Result) (list []string) {
	for _, r := range results {
		for _, c := range r.Checks {
			if !c.Met() {
				list = append(list, fmt.Sprintf("%s: %s, and the target is %s", label(r), c.figure(), c.target()))
			}
		}
	}
	return list
}

// Write writes a run as lines of JSON: the run, then its results.
func Write(w io.Writer, m Measured) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	if err := lines.Encode(m.Run); err != nil {
		return err
	}
	for _, r := range m.Results {
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// Read reads the lines of Write.
func Read(r io.Reader) (m Measured, err error) {
	lines := json.NewDecoder(bufio.NewReader(r))
	lines.DisallowUnknownFields()
	if err := lines.Decode(&m.Run); err != nil {
		return Measured{}, err
	}
	for {
		var result Result
		err := lines.Decode(&result)
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Measured{}, err
		}
		m.Results = append(m.Results, result)
	}
}
