//go:build unix

// Package servertest starts the built program for tests and benchmarks that look at it from outside: a
// process, HTTP, files and signals. It is linked into no release binary.
package servertest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

var build = sync.OnceValues(buildProgram)

// Binary builds accountd as it is released, without symbols, and returns the path of the executable. All test processes
// of one checkout share it: whoever comes after the first finds it up to date.
func Binary(tb testing.TB) string {
	tb.Helper()
	path, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

func buildProgram() (string, error) {
	root, err := findRoot()
	if err != nil {
		return "", err
	}
	checkout := sha256.Sum256([]byte(root))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("accountd-test-%d-%x", os.Getuid(), checkout[:8]))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := os.Lstat(dir); err != nil || info.Mode() != fs.ModeDir|0o700 ||
		info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		return "", fmt.Errorf("%s is not a private directory of this user: %w", dir, err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "accountd")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "accountd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// CheapHashing makes Argon2id as cheap as it gets and lets no answer wait for its time, for tests that are not about
// these.
var CheapHashing = []string{
	"ACCOUNTD_LIMITS_UNIFORM_TIME=0s",
	"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=8KiB",
	"ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=1",
}

// Server is a running accountd.
type Server struct {
	URL     string // http://127.0.0.1:PORT
	DataDir string
	Cmd     *exec.Cmd

	tb     testing.TB
	exited chan struct{} // closed after Wait
	err    error         // of Wait; read after exited
	said   chan struct{} // closed when log is whole

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

var readyLine = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// Start runs `accountd serve` on a free port over dataDir and returns when it says that it is ready. It is
// killed at the end of the test at the latest. env are further variables, NAME=value.
func Start(tb testing.TB, dataDir string, env ...string) *Server {
	tb.Helper()
	return StartBy(tb, nil, dataDir, env...)
}

// New is Cheap over a data directory of its own.
func New(tb testing.TB, env ...string) *Server {
	tb.Helper()
	return Cheap(tb, filepath.Join(tb.TempDir(), "data"), env...)
}

// Cheap is Start with CheapHashing.
func Cheap(tb testing.TB, dataDir string, env ...string) *Server {
	tb.Helper()
	return Start(tb, dataDir, slices.Concat(CheapHashing, env)...)
}

// StartBy is Start by a command that becomes the program which its arguments end with, such as setpriv.
func StartBy(tb testing.TB, by []string, dataDir string, env ...string) *Server {
	tb.Helper()
	return StartProgram(tb, append(slices.Clone(by), Binary(tb)), dataDir, env...)
}

// StartProgram is Start of another executable, such as an older version of the program.
func StartProgram(tb testing.TB, program []string, dataDir string, env ...string) *Server {
	tb.Helper()
	args := append(slices.Clone(program), "serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Dir(dataDir) // no config.toml there
	cmd.Env = append(os.Environ(), env...)
	out, in, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	s := &Server{DataDir: dataDir, Cmd: cmd, tb: tb, exited: make(chan struct{}), said: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	in.Close()
	ready := make(chan string, 1)
	go s.read(out, ready)
	go func() {
		s.err = cmd.Wait()
		close(s.exited)
	}()
	tb.Cleanup(s.Kill)
	select {
	case s.URL = <-ready:
	case <-s.exited:
		tb.Fatalf("accountd did not start: %v\n%s", s.err, s.Log())
	case <-time.After(30 * time.Second):
		tb.Fatalf("accountd is not ready after 30 s\n%s", s.Log())
	}
	return s
}

// read keeps the log, and tells the first URL in it.
func (s *Server) read(out io.ReadCloser, ready chan<- string) {
	defer close(s.said)
	defer out.Close()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.mu.Lock()
		s.log.Write(lines.Bytes())
		s.log.WriteByte('\n')
		s.mu.Unlock()
		if ready == nil {
			continue // what a server that is measured logs costs the cores no more than it has to
		}
		if url := readyLine.Find(lines.Bytes()); url != nil {
			ready <- string(url)
			ready = nil
		}
	}
}

// Log is what the server has printed so far.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Kill ends the process as a power cut would (SIGKILL) and waits for it.
func (s *Server) Kill() {
	_ = s.Cmd.Process.Kill() // it may have ended already
	<-s.exited
}

// Stop asks the process to end (SIGTERM) and returns what it exited with.
func (s *Server) Stop() error {
	if err := s.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.Wait()
}

// Wait waits for the process to end, and for the last it said, and returns what it exited with.
func (s *Server) Wait() error {
	<-s.exited
	<-s.said
	return s.err
}

// Answer is a GraphQL response.
type Answer struct {
	Status int
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Extensions map[string]any
	}
}

// Ask posts a query with its variables to the plain endpoint, as the holder of token when that is not
// empty. The error is the transport's: the server did not answer.
func (s *Server) Ask(client *http.Client, token, query string, variables map[string]any) (*Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, s.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "JWT "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	answer := &Answer{Status: resp.StatusCode}
	if err := json.Unmarshal(raw, answer); err != nil {
		return nil, fmt.Errorf("answer %q: %w", raw, err)
	}
	return answer, nil
}

// Field decodes the root field name of the answer into out.
func (a *Answer) Field(name string, out any) error {
	if len(a.Errors) > 0 {
		return fmt.Errorf("status %d: %s", a.Status, a.Errors[0].Message)
	}
	return json.Unmarshal(a.Data[name], out)
}

// Session is the part of an answer that logs somebody in.
type Session struct {
	Success      bool
	Errors       json.RawMessage
	Token        string
	RefreshToken string
}

// Register asks for an account whose address is name@example.com.
func (s *Server) Register(client *http.Client, name, password string) (*Session, error) {
	answer, err := s.Ask(client, "", `mutation R($email: String!, $name: String!, $password: String!) {
		register(email: $email, username: $name, password1: $password, password2: $password) { success errors token
			refreshToken }
	}`, map[string]any{"email": name + "@example.com", "name": name, "password": password})
	if err != nil {
		return nil, err
	}
	var out Session
	return &out, answer.Field("register", &out)
}

// Login asks for a session by username.
func (s *Server) Login(client *http.Client, name, password string) (*Session, error) {
	answer, err := s.Ask(client, "", `mutation L($name: String, $password: String!) {
		tokenAuth(username: $name, password: $password) { success errors token refreshToken }
	}`, map[string]any{"name": name, "password": password})
	if err != nil {
		return nil, err
	}
	var out Session
	return &out, answer.Field("tokenAuth", &out)
}
