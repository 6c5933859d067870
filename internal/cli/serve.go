package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/devmail"
	"accountd/internal/graphiql"
	"accountd/internal/server"
	"accountd/schema"
)

// drainTime is how long running requests may take after the signal to end.
const drainTime = 10 * time.Second

type serveCmd struct {
	Listen        string `placeholder:"HOST:PORT" help:"Where to listen (server.listen)."`
	PublicURL     string `placeholder:"URL" help:"The address that users see (server.public_url)."`
	AcceptLostLog bool   `help:"Start without a lost write-ahead log. All sessions and mailed links end."`
	Ephemeral     bool   `help:"For tests: temporary data, free local port, cheap hashing, JSON when ready."`
}

// Run serves until the context of the app ends, and then until running requests are answered.
func (cmd *serveCmd) Run(a *app) error {
	if cmd.Ephemeral {
		return cmd.ephemeral(a)
	}
	c, err := a.load(config.Overrides{Listen: cmd.Listen, PublicURL: cmd.PublicURL})
	if err != nil {
		return err
	}
	return cmd.run(a, c, func() error { return a.printReady(c) })
}

// run serves by the settings c and calls ready once requests are answered.
func (cmd *serveCmd) run(a *app, c *config.Config, ready func() error) error {
	const served = "data directory %s is in use by another server (process %s): " +
		"stop that one, or give this one a directory of its own with --data-dir"
	starting := context.WithoutCancel(a.ctx) // an interrupted start is finished, and the server then ends in order
	ownProcess := a.Stdin == os.Stdin
	var collect func()
	if ownProcess {
		collect = deferGC()
	}
	log := a.log(c)
	for _, warning := range c.Warnings() {
		log.Warn(warning)
	}
	if err := c.SMTPSettings().Check(); err != nil {
		return err
	}
	if err := a.lockServe(c, served, func(text string) { log.Warn(text) }); err != nil {
		return err
	}
	if err := cleanUp(c); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Server.Listen)
	if err != nil {
		return fmt.Errorf("%w: choose another address with --listen", err)
	}
	defer listener.Close() // fails after Shutdown, which has closed it
	c.Bound(listener.Addr())
	if cmd.AcceptLostLog {
		if err := acceptLostLog(a, c, log); err != nil {
			return err
		}
	}
	h, err := a.open(starting, c, log)
	if err != nil {
		return err
	}
	if !cmd.Ephemeral {
		if err := h.db.HoldReserve(); err != nil {
			log.Warn("the server is not ready: there is no space for the reserve for a full disk: " + err.Error())
		}
	}
	if err := h.outbox.Start(starting); err != nil {
		return err
	}
	srv, err := newServer(h, a.Now, log)
	if err != nil {
		return err
	}
	// Before anything else runs, which would make hashes look slow.
	if err := h.service.MeasureHashes(starting); err != nil {
		return err
	}
	if ownProcess {
		defer runtime.KeepAlive(tune())
		defer time.AfterFunc(settleTime, collect).Stop()
	}
	return serve(a, h, srv, listener, log, ready)
}

// serve runs the HTTP server and the background work: publishing and delivering mails, following the key file, deleting
// old sessions. The background work continues until the last request is answered.
func serve(
	a *app, h *instance, srv *server.Server, listener net.Listener, log *slog.Logger, ready func() error,
) error {
	background, stop := context.WithCancel(context.WithoutCancel(a.ctx))
	var running sync.WaitGroup
	running.Go(func() { h.outbox.Run(background) })
	if smtp := h.config.SMTPSettings(); smtp.Host != "" {
		running.Go(func() { email.NewRelay(h.outbox, smtp).Run(background) })
	}
	running.Go(func() { h.keys.Follow(background, log) })
	running.Go(func() { h.service.ClearHourly(background) })
	running.Go(func() { h.service.FollowHashes(background) })
	running.Go(func() { // reads every value of unique fields: not part of the start, but finished before the end
		if err := h.service.CheckFields(context.WithoutCancel(a.ctx)); err != nil {
			log.Error("the values of unique fields cannot be checked", "error", err)
		}
	})
	defer running.Wait()
	defer stop()

	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	if err := ready(); err != nil {
		log.Warn("the message that the server is ready could not be printed", "error", err)
	}
	select {
	case err := <-failed:
		return err
	case <-h.db.Broken():
		log.Error("the server ends, because its disk failed", "error", h.db.Healthy(background))
	case <-a.ctx.Done():
	}
	h.service.Drain()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), drainTime)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// No failure: a client may never send or read what it should.
		log.Warn("connections were cut off: their requests had not ended in time", "time", drainTime)
		err = nil
	}
	return errors.Join(err, <-failed)
}

func newServer(h *instance, now func() time.Time, log *slog.Logger) (*server.Server, error) {
	c := h.config
	s := c.SchemaSettings()
	s.ClientAddr, s.Exempt, s.RequestID, s.Log = server.ClientAddr, server.Exempt, server.RequestID, log
	api, err := schema.New(h.service, s)
	if err != nil {
		return nil, err
	}
	settings := c.ServerSettings()
	settings.Plain, settings.Relay = api.Handler(schema.Plain), api.Handler(schema.Relay)
	settings.Auth, settings.JWKS = http.HandlerFunc(api.ServeAuth), http.HandlerFunc(h.keys.ServeJWKS)
	if c.GraphiQL() {
		settings.Page = graphiql.Handler(c.DevMail())
		settings.PageByProxy = c.Server.GraphiQL == config.On
	}
	if c.DevMail() {
		settings.Mail = devmail.Handler(c.SpoolDir())
	}
	settings.Ready = func(ctx context.Context) error {
		return errors.Join(h.outbox.Healthy(), h.keys.Healthy(), h.db.Healthy(ctx))
	}
	settings.Now, settings.Log = now, log
	return server.New(settings)
}

// printReady prints where everything is.
func (a *app) printReady(c *config.Config) error {
	url := c.PublicURL()
	text := fmt.Sprintf("accountd is ready\n\n  API       %s/graphql\n  Relay     %s/relay\n", url, url)
	if c.GraphiQL() {
		text += fmt.Sprintf("  GraphiQL  %s/\n", url)
	}
	if c.PublishesKeys() {
		text += fmt.Sprintf("  Keys      %s/.well-known/jwks.json\n", url)
	}
	if c.DevMail() {
		text += fmt.Sprintf("  Mail      %s/dev/mail\n", url)
	}
	if listener := "http://" + c.Server.Listen; listener != url {
		text += fmt.Sprintf("  Listener  %s\n", listener)
	}
	spool := filepath.Join(c.SpoolDir(), "new")
	if smtp := c.SMTPSettings(); smtp.Host != "" {
		spool += fmt.Sprintf(", delivered by %s:%d", smtp.Host, smtp.Port)
	}
	return a.printf("%s  Spool     %s\n\n", text, spool)
}

// startingGC is GOGC while the server starts. The garbage of a start is small enough to be left until afterwards.
const startingGC = 800

// settleTime is how long the garbage of the start stays after the server is ready, so that the first request does not
// wait for the collector.
const settleTime = 100 * time.Millisecond

// deferGC postpones garbage collection until the returned function is called, which gives the memory back.
func deferGC() (collect func()) {
	before := debug.SetGCPercent(startingGC)
	return func() {
		debug.FreeOSMemory()
		debug.SetGCPercent(before)
	}
}

// ballast is the size in bytes of an untouched allocation, which gets no memory from the system. It makes the heap look
// larger than its few megabytes, so that the collector runs less often. A larger GOGC would do the same for small
// answers, and too much when thousands of connections are open.
const ballast = 4 << 20

// tune adapts Go's runtime to requests that cost microseconds beside password hashes that take a core each. The
// variables GOGC and GOMAXPROCS have precedence. The returned ballast has to be kept alive.
func tune() (held []byte) {
	if os.Getenv("GOGC") == "" {
		held = make([]byte, ballast)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// Hashes take all cores, and Go's scheduler would let other requests wait behind them for tens of
		// milliseconds. With threads to spare, the system's scheduler runs them at once: threads of hashes have low
		// priority.
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
	return held
}
