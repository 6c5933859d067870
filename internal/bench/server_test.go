//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/bench/dataset"
	"accountd/internal/servertest"
)

// leastUsers is the least number of users of a file: more than the logins of one measurement are spread over.
const leastUsers = 1000

// server is the built program with its default settings, over a data directory with that many users.
type server struct {
	*servertest.Server
	users int
}

// data returns a new directory on the measured disk.
func data(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(*dirFlag, "accountd-bench-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	return dir
}

// fresh starts a server on a new file.
func fresh(tb testing.TB, users int) *server {
	tb.Helper()
	return start(tb, seeded(tb, users), users)
}

func start(tb testing.TB, dir string, users int) *server {
	tb.Helper()
	return &server{servertest.Start(tb, dir), users}
}

// seeded makes a data directory with two sessions for each user.
func seeded(tb testing.TB, users int) string {
	tb.Helper()
	dir := filepath.Join(data(tb), "data")
	if err := dataset.Make(tb.Context(), dir, dataset.Size{Users: users, Sessions: 2 * users}, os.Environ(),
		time.Now); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// address is host:port.
func (s *server) address() string { return strings.TrimPrefix(s.URL, "http://") }

// contender asks s by plan, from a process of its own.
func (s *server) contender(tb testing.TB, plan Plan) contender {
	tb.Helper()
	plan.Address = s.address()
	return contender{startWorker(tb, task{Kind: "load", Plan: plan}).turn, s.Cmd.Process.Pid}
}

// login logs the first n users in.
func (s *server) login(tb testing.TB, n int) []*servertest.Session {
	tb.Helper()
	list, failed := make([]*servertest.Session, n), make([]error, n)
	turns := make(chan bool, runtime.NumCPU())
	var running sync.WaitGroup
	for i := range n {
		turns <- true
		running.Go(func() {
			list[i], failed[i] = s.loginAs(dataset.Username(i + 1))
			<-turns
		})
	}
	running.Wait()
	for _, err := range failed {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return list
}

func (s *server) loginAs(username string) (*servertest.Session, error) {
	session, err := s.Login(http.DefaultClient, username, dataset.Password)
	if err == nil && !session.Success {
		err = fmt.Errorf("login of %s: got %s, want success", username, session.Errors)
	}
	return session, err
}

// cursor returns the cursor of a user.
func (s *server) cursor(tb testing.TB, token string, offset int) string {
	tb.Helper()
	answer, err := s.Ask(http.DefaultClient, token,
		`query ($offset: Int) { users(first: 1, offset: $offset) { pageInfo { endCursor } } }`,
		map[string]any{"offset": offset})
	if err != nil {
		tb.Fatal(err)
	}
	var out struct{ PageInfo struct{ EndCursor string } }
	if err := answer.Field("users", &out); err != nil {
		tb.Fatal(err)
	}
	if out.PageInfo.EndCursor == "" {
		tb.Fatalf("got no user number %d, want one", offset)
	}
	return out.PageInfo.EndCursor
}

// answerSize sends a request and returns the length of the response.
func (s *server) answerSize(tb testing.TB, r Request) int {
	tb.Helper()
	req, err := http.NewRequest(http.MethodPost, s.URL+r.Path, strings.NewReader(strings.ReplaceAll(r.Body, "{chain}",
		r.Chain)))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if r.Token != "" {
		req.Header.Set("Authorization", "JWT "+r.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(body, []byte(r.Want)) {
		tb.Fatalf("got %q, %v; want %q in it", body, err, r.Want)
	}
	return len(body)
}

// stamp returns a unique text.
func stamp() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }
