// Package cli is the commands: one file each. It puts the other packages together.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"

	"accountd/accounts"
	"accountd/internal/config"
	"accountd/internal/store"
)

// Env is what the commands have of the world.
type Env struct {
	Args           []string // without the program's name
	Environ        []string // NAME=value
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time
}

// commands is the command line as kong reads it.
type commands struct {
	ConfigFile string `name:"config" short:"c" placeholder:"FILE" help:"Settings (default: config.toml in this directory, if there is one)."`
	DataDir    string `placeholder:"DIR" help:"Where database, keys and mails lie (server.data_dir)."`

	Serve   serveCmd   `cmd:"" default:"withargs" help:"Run the server. Without a command, this is it."`
	User    userCmd    `cmd:"" help:"Look at, add and change accounts, beside a running server or without one."`
	Keys    keysCmd    `cmd:"" help:"Look at and change the key ring, beside a running server or without one."`
	Tokens  tokensCmd  `cmd:"" help:"Clear sessions away."`
	Schema  schemaCmd  `cmd:"" help:"Print the GraphQL schema."`
	Mail    mailCmd    `cmd:"" help:"Look at the mails that are sent, and at those that could not be."`
	Backup  backupCmd  `cmd:"" help:"Write the database to one file, beside a running server or without one."`
	Restore restoreCmd `cmd:"" help:"Put a backup in the place of the database. Every session and every mailed link ends."`
	Doctor  doctorCmd  `cmd:"" help:"Look at everything in the data directory, and say what is wrong and what to do."`
	Config  configCmd  `cmd:"" help:"Look at the settings."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// app is what every command is given.
type app struct {
	Env
	ctx      context.Context
	commands *commands
}

// settings are those in force for a command.
func (a *app) settings(flags config.Overrides) (*config.Config, error) {
	flags.DataDir = a.commands.DataDir
	return config.Load(a.commands.ConfigFile, a.Environ, flags)
}

// warn says what somebody should know though all goes well.
func (a *app) warn(text string) { fmt.Fprintf(a.Stderr, "accountd: warning: %s\n", text) }

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// Exit codes.
const (
	exitOK = iota
	exitFailure
	exitUsage

	exitIO = 74 // EX_IOERR of sysexits.h: the disk has not taken what was written
)

// exited is how kong ends after --help.
type exited int

// Run runs one command and returns the exit code of the program: 0, 1 for a failure, 2 for a command line that is
// not understood, 74 where the disk failed.
func Run(ctx context.Context, env Env) (code int) {
	defer func() {
		if p := recover(); p != nil {
			status, ok := p.(exited)
			if !ok {
				panic(p)
			}
			code = int(status)
		}
	}()
	var c commands
	parser := kong.Must(&c,
		kong.Name("accountd"),
		kong.Description("Accounts for your app: register, verify by email, log in, over GraphQL."),
		kong.Vars{"mail_kinds": mailKinds()},
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	parsed, err := parser.Parse(env.Args)
	if err == nil {
		err = parsed.Run(&app{Env: env, ctx: ctx, commands: &c})
	} else {
		err = usageError{err}
	}
	return report(env.Stderr, err)
}

// report says what went wrong, one line for each thing.
func report(w io.Writer, err error) int {
	var usage usageError
	var problems accounts.Errors
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(w, "accountd: %v\nTry accountd --help.\n", err)
		return exitUsage
	case errors.As(err, &problems):
		for _, line := range problemLines(problems) {
			fmt.Fprintf(w, "accountd: %s\n", line)
		}
		return exitFailure
	case errors.Is(err, store.ErrUnsynced):
		fmt.Fprintf(w, "accountd: %v\n", err)
		return exitIO
	default:
		fmt.Fprintf(w, "accountd: %v\n", err)
		return exitFailure
	}
}
