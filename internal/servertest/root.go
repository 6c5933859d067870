package servertest

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Link matches a link in a mail. Its group is the token.
var Link = regexp.MustCompile(`https?://\S+/([A-Za-z0-9_-]{40,})`)

// File returns the absolute path of a file of the repository, given by its slash-separated path below the root.
func File(tb testing.TB, path string) string {
	tb.Helper()
	root, err := findRoot()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(root, filepath.FromSlash(path))
}

// findRoot returns the directory of go.mod: the working directory, where go test runs a package, or one above.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod in the working directory or above")
		}
		dir = filepath.Dir(dir)
	}
}

// Read returns the text of a file of the repository.
func Read(tb testing.TB, path string) string {
	tb.Helper()
	text, err := os.ReadFile(File(tb, path))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// FreePort returns a port of 127.0.0.1 that nothing listens on.
func FreePort(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	return port
}
