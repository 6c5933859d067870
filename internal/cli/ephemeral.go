package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"accountd/internal/config"
)

// ephemeral serves one test run from a temporary directory.
func (cmd *serveCmd) ephemeral(a *app) error {
	if a.commands.DataDir != "" {
		return usageError{errors.New(
			"--data-dir does not go with --ephemeral: it has a temporary directory of its own")}
	}
	if cmd.PublicURL != "" {
		return usageError{errors.New(
			"--public-url does not go with --ephemeral: it is seen at the address that it listens on")}
	}
	if host, _, err := net.SplitHostPort(cmd.Listen); err == nil {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return usageError{fmt.Errorf("--listen %s: an ephemeral server is for this machine only: "+
				"leave it out, or name a port of 127.0.0.1", cmd.Listen)}
		}
	}
	dir, err := os.MkdirTemp("", "accountd-ephemeral-") // mode 0700
	if err != nil {
		return fmt.Errorf("temporary directory: %w", err)
	}
	a.atEnd(func() error { return os.RemoveAll(dir) })
	a.commands.DataDir = dir
	c, err := a.load(config.Overrides{Listen: cmd.Listen, Ephemeral: true})
	if err != nil {
		return err
	}
	var ready atomic.Bool
	if a.Stdin == os.Stdin { // a process of its own, and not inside a Go test
		ctx, stop := untilParentEnds(a.ctx, os.Stdin, &ready)
		defer stop()
		a.ctx = ctx
	}
	return cmd.run(a, c, func() error {
		ready.Store(true)
		url := c.PublicURL()
		return a.print(true, struct {
			URL     string `json:"url"`
			GraphQL string `json:"graphql"`
			Relay   string `json:"relay"`
			Mail    string `json:"mail"`
			DataDir string `json:"data_dir"`
			PID     int    `json:"pid"`
		}{url, url + "/graphql", url + "/relay", url + "/dev/mail", c.Server.DataDir, os.Getpid()}, "")
	})
}

// parentPoll is the time between two checks of the parent process.
const parentPoll = 200 * time.Millisecond

// untilParentEnds returns a context that ends with the process that started this one, so that a killed test run leaves
// no server behind. It ends when the parent is gone, when a pipe that is stdin ends (its writer may be a parent of the
// parent, which is a shell), or when the terminal is closed. PR_SET_PDEATHSIG of Linux does not help: it follows a
// thread of the parent, and a Go program ends threads at any time.
func untilParentEnds(ctx context.Context, stdin *os.File, ready *atomic.Bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	hangup := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(hangup, syscall.SIGHUP)
	}
	gone := parentGone()
	go func() {
		defer cancel()
		for tick := time.Tick(parentPoll); !gone(); {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				return
			case <-tick:
			}
		}
	}()
	if info, err := stdin.Stat(); err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0 {
		go func() {
			_, _ = io.Copy(io.Discard, stdin)
			if ready.Load() { // some CI runners give a pipe that has ended before
				cancel()
			}
		}()
	}
	return ctx, cancel
}
