// Package cli has the commands of accountd and puts the other packages together.
//
// A command is a struct of its flags and arguments, which kong fills in, with a method Run. Run gets the app and, if it
// asks for them, the settings in force, the accounts and the queue of mails. A method AfterApply checks the command
// line before. Files and locks that a command opens are closed after it. Errors are printed by Run of this package,
// which also chooses the exit code.
//
// Commands work beside a running server. Locks on the data directory keep apart what must not run at the same time: two
// servers, a restore and any other use of the database, and two changes of the key ring.
package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/store"
)

// Env is the outside world, as a command sees it.
type Env struct {
	Args           []string // without the program's name
	Environ        []string // NAME=value
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Now            func() time.Time
}

// commands is the command line as kong reads it.
type commands struct {
	ConfigFile string `name:"config" short:"c" placeholder:"FILE" help:"Settings (default: config.toml, if it exists)."`
	DataDir    string `placeholder:"DIR" help:"The directory of database, keys and mails (server.data_dir)."`

	Serve   serveCmd   `cmd:"" default:"withargs" help:"Run the server. This is the default command."`
	User    userCmd    `cmd:"" help:"Show, add and change accounts, with or without a running server."`
	Keys    keysCmd    `cmd:"" help:"Show and change the key ring, with or without a running server."`
	Tokens  tokensCmd  `cmd:"" help:"Delete ended and expired sessions."`
	Schema  schemaCmd  `cmd:"" help:"Print the GraphQL schema."`
	Mail    mailCmd    `cmd:"" help:"Show, retry and delete mails in the spool, and test delivery."`
	Backup  backupCmd  `cmd:"" help:"Write a snapshot of the database to one file."`
	Restore restoreCmd `cmd:"" help:"Replace the database by a backup. All sessions and mailed links end."`
	Doctor  doctorCmd  `cmd:"" help:"Check the data directory, and say what is wrong and what to do."`
	Config  configCmd  `cmd:"" help:"Check and print the settings."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// app is what every command gets.
type app struct {
	Env
	ctx      context.Context
	commands commands
	closing  []func() error // see atEnd
}

// atEnd has fn called when the command has ended: the last fn first.
func (a *app) atEnd(fn func() error) { a.closing = append(a.closing, fn) }

// end adds the errors of closing to the one of the command.
func (a *app) end(err error) error {
	for _, fn := range slices.Backward(a.closing) {
		err = errors.Join(err, fn())
	}
	return err
}

// settings loads the settings in force.
func (a *app) settings() (*config.Config, error) { return a.load(config.Overrides{}) }

func (a *app) load(flags config.Overrides) (*config.Config, error) {
	flags.DataDir = a.commands.DataDir
	return config.Load(a.commands.ConfigFile, a.Environ, flags)
}

// warn prints a warning. The command continues.
func (a *app) warn(text string) { fmt.Fprintf(a.Stderr, "accountd: warning: %s\n", text) }

// printf prints to standard output.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.Stdout, format, args...)
	return err
}

// print prints the object as a line of JSON, or the text.
func (a *app) print(asJSON bool, object any, text string) error {
	if asJSON {
		return json.NewEncoder(a.Stdout).Encode(object)
	}
	return a.printf("%s", text)
}

// printList prints the items as lines of JSON, or as a table with a header, whose cells are separated by tabs.
func printList[T any](
	a *app, asJSON bool, items []T, object func(T) any, header string, row func(T) string,
) error {
	if asJSON {
		encoder := json.NewEncoder(a.Stdout)
		encoder.SetEscapeHTML(false) // addresses have angle brackets
		for _, item := range items {
			if err := encoder.Encode(object(item)); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, item := range items {
		fmt.Fprintln(w, row(item))
	}
	return w.Flush()
}

// log returns a logger to standard error. The format "auto" is text on a terminal and JSON otherwise.
func (a *app) log(c *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		panic("log.level: " + err.Error()) // config has checked it
	}
	f, isFile := a.Stderr.(*os.File)
	terminal := isFile && isatty.IsTerminal(f.Fd())
	if c.Log.Format == "json" || c.Log.Format == "auto" && !terminal {
		return slog.New(slog.NewJSONHandler(a.Stderr, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(a.Stderr, &tint.Options{Level: level, NoColor: !terminal}))
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitIO      = 74 // EX_IOERR of sysexits.h: a write did not reach the disk
)

// Run runs one command and returns the exit code of the program: 0, 1 for a failure, 2 for a mistake in the command
// line, 74 where the disk failed.
func Run(ctx context.Context, env Env) int {
	privateFiles()
	helped := false
	a := &app{Env: env, ctx: ctx}
	kinds := strings.Trim(fmt.Sprint(email.Kinds()), "[]")
	parser := kong.Must(&a.commands,
		kong.Name("accountd"),
		kong.Description("Accounts for your app: register, verify by email, log in, over GraphQL."),
		kong.Vars{
			"mail_kinds": strings.ReplaceAll(kinds, " ", ", "),
			"link_kinds": "activation, password_reset, password_set, secondary_email",
			"algorithms": ",HS256,HS384,HS512,EdDSA,ES256,RS256",
		},
		kong.Writers(env.Stdout, env.Stderr),
		kong.Exit(func(int) { helped = true }), // kong goes on, and finds mistakes that do not matter
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(a),
		kong.BindToProvider(a.settings),
		kong.BindToProvider(a.accounts),
		kong.BindToProvider(a.openQueue),
	)
	parsed, err := parser.Parse(env.Args)
	switch {
	case helped:
		return exitOK
	case err == nil:
		err = a.end(parsed.Run())
	default:
		err = usageError{err}
	}
	return report(env.Stderr, err)
}

// report prints an error, one line for each problem, and returns the exit code.
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
		printProblems(w, problems)
		return exitFailure
	}
	fmt.Fprintf(w, "accountd: %v\n", err)
	if errors.Is(err, store.ErrUnsynced) {
		return exitIO
	}
	return exitFailure
}

type versionCmd struct{}

// Run prints the version that go build has taken from git, or "devel".
func (*versionCmd) Run(a *app) error {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = strings.Trim(info.Main.Version, "()") // of "(devel)"
	}
	return a.printf("accountd %s (%s, %s/%s)\n", cmp.Or(version, "devel"), runtime.Version(), runtime.GOOS,
		runtime.GOARCH)
}
