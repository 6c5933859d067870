//go:build linux

package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// workerVariable is set in processes of this binary that do a task.
const workerVariable = "ACCOUNTD_BENCH_WORKER"

// task is the work of a worker process. It works in turns, as its standard input says, and ends with it.
type task struct {
	Kind    string // "load", "slow", "clear", or a floor: "handler", "hash", "transaction", "signature"
	Plan    Plan   // of load and slow
	Answer  int    // bytes of the handler's answers
	Threads int    // that hash at once
	Dir     string // where the transactions' file is made (of a handler too, "" for none), and what is cleared
}

// ready is the first line of a worker's output.
type ready struct {
	Address string // of the handler
}

// order is a line of a worker's input; a Turn is the response.
type order struct {
	For  time.Duration
	Warm bool // it does not count
}

// work does the task that in begins with.
func work(in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	var t task
	if err := orders.Decode(&t); err != nil {
		return err
	}
	var r ready
	var turn func(time.Duration, bool) (Turn, error)
	switch t.Kind {
	case "load":
		l, err := NewLoad(t.Plan)
		if err != nil {
			return err
		}
		defer l.Close()
		turn = l.Turn
	case "handler":
		address, err := serveBare(t.Answer, t.Dir)
		if err != nil {
			return err
		}
		r.Address = address
	case "slow":
		turn = (&slow{plan: t.Plan}).turn
	case "clear":
		c, err := newClearing(t.Dir)
		if err != nil {
			return err
		}
		defer c.db.Close() // nothing is under way
		turn = c.turn
	default:
		floor, err := newFloor(t)
		if err != nil {
			return err
		}
		turn = floor.turn
	}
	if err := answers.Encode(r); err != nil {
		return err
	}
	for {
		var o order
		if err := orders.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		done, err := turn(o.For, o.Warm)
		if err != nil {
			return err
		}
		if err := answers.Encode(done); err != nil {
			return err
		}
	}
}

// worker is a process that does a task.
type worker struct {
	ready
	kind    string
	cmd     *exec.Cmd
	orders  *json.Encoder
	answers *json.Decoder
}

// startWorker starts a worker that ends with the test.
func startWorker(tb testing.TB, t task) *worker {
	tb.Helper()
	w := &worker{kind: t.Kind, cmd: exec.Command(os.Args[0])}
	w.cmd.Env = append(os.Environ(), workerVariable+"=1")
	w.cmd.Stderr = tb.Output()
	in, err := w.cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // it ends then; if it has ended before, its test knows
		_ = w.cmd.Wait()
	})
	w.orders, w.answers = json.NewEncoder(in), json.NewDecoder(bufio.NewReader(out))
	if err := w.orders.Encode(t); err != nil {
		tb.Fatalf("%s: %v", t.Kind, err)
	}
	if err := w.answers.Decode(&w.ready); err != nil {
		tb.Fatalf("%s: got %v, want a start", t.Kind, err)
	}
	return w
}

// turn lets the worker work for a while.
func (w *worker) turn(d time.Duration, warm bool) (Turn, error) {
	if err := w.orders.Encode(order{d, warm}); err != nil {
		return Turn{}, fmt.Errorf("%s: %w", w.kind, err)
	}
	var done Turn
	if err := w.answers.Decode(&done); err != nil {
		return Turn{}, fmt.Errorf("%s has failed, and says why above: %w", w.kind, err)
	}
	return done, nil
}

// TestWork: an impossible task, and a turn with a wrong response, end the worker with an error.
func TestWork(t *testing.T) {
	address, err := serveBare(3, "")
	if err != nil {
		t.Fatal(err)
	}
	asking := func(want string) string {
		return fmt.Sprintf(`{"Kind":"load","Plan":{"Address":%q,"Clients":1,"Requests":[{"Path":"/","Want":%q}]}}`,
			address,
			want)
	}
	for _, test := range []struct {
		name, in, out, err string
	}{
		{"nothing", "", "", "EOF"},
		{"unknown", `{"Kind":"sleep"}`, "", `there is no task "sleep"`},
		{"no clients", `{"Kind":"load"}`, "", "a plan needs clients"},
		{"no turn", asking("xxx"), `{"Address":""}`, ""},
		{"no such order", asking("xxx") + "{", `{"Address":""}`, "unexpected EOF"},
		{"right", asking("xxx") + `{"For":1000000}`, `"P99":`, ""},
		{"warm", asking("xxx") + `{"For":1000000,"Warm":true}`, `"P99":0`, ""},
		{"wrong", asking("y") + `{"For":1000000}`, `{"Address":""}`, `contain "y"`},
		{"cleared nowhere", `{"Kind":"clear","Dir":"/proc/nowhere"}`, "", "/proc/nowhere"},
		{"slow", strings.Replace(asking("xxx"), "\"load\"", "\"slow\"", 1) + `{"For":1000000}`, `"Done":1`, ""},
		{"transactions nowhere", `{"Kind":"transaction","Dir":"/proc/nowhere"}`, "", "unable to open"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			err := work(strings.NewReader(test.in), &out)
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if !strings.Contains(out.String(), test.out) {
				t.Errorf("got %s, want %s in it", out.String(), test.out)
			}
		})
	}
}
