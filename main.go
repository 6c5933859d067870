// Command accountd is an account server: accounts for an app over GraphQL, in one SQLite file.
//
// `go run .` serves on http://localhost:8080; `accountd --help` lists the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"accountd/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Run(ctx, cli.Env{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
	}))
}
