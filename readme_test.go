//go:build unix

package main_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// TestREADME types the README's shell blocks as they stand, the first in a terminal of its own, in a copy of
// this directory. Only the port is another, so that the test does not need 8080.
func TestREADME(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the README's conversation needs %s: %v", tool, err)
		}
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) < 3 || strings.TrimSpace(blocks[0][1]) != "go run ." {
		t.Fatalf("README.md has %d shell blocks and the first is not `go run .`", len(blocks))
	}
	port := servertest.FreePort(t)
	dir := t.TempDir()
	copyTree(t, ".", dir)

	server := exec.Command("bash", "-c", blocks[0][1])
	server.Dir = dir
	server.Env = append(os.Environ(), "ACCOUNTD_SERVER_LISTEN=127.0.0.1:"+port,
		"GOFLAGS=-trimpath", "CGO_ENABLED=0") // as servertest builds it: nothing is compiled twice
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run does not pass signals on
	log, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-server.Process.Pid, syscall.SIGTERM)
		_ = server.Wait() // go run reports the signal
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("server: %s", text)
		}
	})
	awaitReady(t, "http://127.0.0.1:"+port+"/readyz")

	script := ""
	for _, block := range blocks[1:] {
		if !strings.HasPrefix(block[1], "go test") {
			script += block[1]
		}
	}
	script = strings.ReplaceAll(script, "localhost:8080", "localhost:"+port)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", script)
	shell.Dir = dir
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	const want = `{"data":{"me":{"username":"ada","email":"ada@example.com","verified":true}}}`
	if last := lines[len(lines)-1]; last != want {
		t.Errorf("the conversation ends with\n%s\nwant\n%s\nwhole:\n%s", last, want, out)
	}
}

// awaitReady polls until the server answers: nothing else tells a user of `go run .` when it is there.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute) // a first build
	for time.Now().Before(deadline) {
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s is not there after three minutes", url)
}

// copyTree copies what a clone would hold: no repository, no data of a server that ran here, no packages of npm.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == ".git" || path == "data" || path == "accountd" || d.Name() == "node_modules" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		target := filepath.Join(to, path)
		if d.IsDir() {
			if err := os.Mkdir(target, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
