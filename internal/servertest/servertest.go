//go:build unix

// Package servertest runs the built program for tests and benchmarks, and is their client.
//
// New, Cheap and Start run a server as a process of its own; Run and Command run the other commands. A Server is asked
// over HTTP by Ask, Post and Send, its database is opened by Open and Exec, and it ends by Stop or Kill. File and
// Read look at the repository. No release binary contains this package.
package servertest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
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
// of one checkout share it: after the first build, go build finds it up to date.
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

// CheapHashing are settings for the cheapest Argon2id and no delayed responses.
var CheapHashing = []string{
	"ACCOUNTD_LIMITS_UNIFORM_TIME=0s",
	"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=8KiB",
	"ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=1",
}

// Public are the settings of a server behind a reverse proxy that makes it public: its listener stays on loopback.
var Public = slices.Concat(CheapHashing, []string{
	"ACCOUNTD_SERVER_PUBLIC_URL=https://accounts.example", "ACCOUNTD_SERVER_ALLOWED_HOSTS=127.0.0.1",
})

// Server is a running accountd.
type Server struct {
	URL     string // http://127.0.0.1:PORT
	DataDir string
	Cmd     *exec.Cmd

	env     []string
	printed output
	exited  chan struct{} // closed after Wait
	err     error         // of Wait; read after exited
}

// Start runs `accountd serve` on a free port over dataDir, with the variables of env (NAME=value), and returns when the
// server is ready. The end of the test kills it.
func Start(tb testing.TB, dataDir string, env ...string) *Server {
	tb.Helper()
	return StartProgram(tb, []string{Binary(tb)}, dataDir, env...)
}

// New is Cheap over a new data directory.
func New(tb testing.TB, env ...string) *Server {
	tb.Helper()
	return Cheap(tb, filepath.Join(tb.TempDir(), "data"), env...)
}

// Cheap is Start with CheapHashing.
func Cheap(tb testing.TB, dataDir string, env ...string) *Server {
	tb.Helper()
	return Start(tb, dataDir, slices.Concat(CheapHashing, env)...)
}

// StartProgram is Start of another command line, such as an older version of the program or setpriv before it.
func StartProgram(tb testing.TB, program []string, dataDir string, env ...string) *Server {
	tb.Helper()
	args := append(slices.Clone(program), "serve", "--listen", "127.0.0.1:0", "--data-dir", dataDir)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Dir(dataDir) // no config.toml there
	cmd.Env = append(os.Environ(), env...)
	ready := make(chan string, 1)
	s := &Server{DataDir: dataDir, Cmd: cmd, env: env, exited: make(chan struct{})}
	s.printed.ready = ready
	cmd.Stdout, cmd.Stderr = &s.printed, &s.printed
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
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

// output keeps what a process prints.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer  // guarded by mu
	ready chan<- string // gets the first URL of the text; nil afterwards
}

var serverURL = regexp.MustCompile(`(http://127\.0\.0\.1:\d+)\D`)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p)
	if o.ready != nil { // benchmarks share the cores with this
		if url := serverURL.FindSubmatch(o.text.Bytes()); url != nil {
			o.ready <- string(url[1])
			o.ready = nil
		}
	}
	return len(p), nil
}

// Log returns what the server has printed so far.
func (s *Server) Log() string {
	s.printed.mu.Lock()
	defer s.printed.mu.Unlock()
	return s.printed.text.String()
}

// Kill ends the process as a power cut would (SIGKILL) and waits for it.
func (s *Server) Kill() {
	_ = s.Cmd.Process.Kill() // it may have ended already
	<-s.exited
}

// Stop ends the process in order (SIGTERM) and returns Wait's error.
func (s *Server) Stop() error {
	if err := s.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.Wait()
}

// Wait waits for the end of the process and of its log. The error is an *exec.ExitError unless it exited with 0.
func (s *Server) Wait() error {
	<-s.exited
	return s.err
}
