// Package email makes messages and hands them over: templates, the outbox table and the spool directory.
//
// It promises that a message exists exactly when the transaction that caused it has committed, that a
// reader of the spool never sees half a file, and that nothing accepted is lost. A message may come twice
// (with the same Message-ID) when a reader takes the file away within the second before a crash. Delivering is for whoever
// reads the spool: a Relay, if there is a mail server, or others.
//
// Files: a Maildir (tmp, new, cur, and failed for messages given up) with retry, what the Relay remembers of messages that
// wait; mode 0700, files 0600. Table: outbox.
package email

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"accountd/internal/store"
)

// ErrFull says that Settings.MaxOutbox messages wait for the spool: no more are accepted.
var ErrFull = errors.New("the outbox is full")

// Settings say what messages look like and where they go.
type Settings struct {
	From     string `toml:"email.from"` // RFC 5322 address, with or without a name
	SiteName string `toml:"email.site_name"`

	// A link is LinkBase/path/token.
	LinkBase           string `toml:"email.link_base"`
	ActivationPath     string `toml:"email.activation_path"`
	SecondaryEmailPath string `toml:"email.secondary_email_path"`
	PasswordResetPath  string `toml:"email.password_reset_path"`
	PasswordSetPath    string `toml:"email.password_set_path"`

	SpoolDir  string `toml:"email.spool_dir"`
	MaxOutbox int    `toml:"email.max_outbox" min:"1" max:"1000000"` // messages that wait for the spool

	TemplatesDir string            `toml:"email.templates_dir"` // files in it replace embedded templates; "": none
	Variables    map[string]string `toml:"email.variables"`     // .Variables in templates

	// Fields has a sample value for each public field of accounts.fields, by name: templates are tried with them.
	Fields map[string]any
}

// Mail is a message to be made. To is a bare address with an ASCII domain.
type Mail struct {
	Kind  Kind
	To    string
	User  User
	Token string
}

// Sealer encrypts messages at rest: a deleted row lives on in the database file for a while.
type Sealer interface {
	Seal(plain, label []byte) ([]byte, error)
	Open(sealed, label []byte) ([]byte, error)
}

// Outbox accepts messages inside transactions and publishes them to the spool afterwards.
type Outbox struct {
	*Composer
	db    *store.DB
	seal  Sealer
	spool spool
	log   *slog.Logger

	mu         sync.Mutex
	publishing bool            // guarded by mu; true in the one process that serves, once the spool can be used
	claimed    map[string]bool // guarded by mu; names that are being published, or are published and not settled
	published  []row           // guarded by mu; in the spool, and their rows not deleted yet
	unreadable int             // guarded by mu; rows that were sealed with a key that is gone
	failure    error           // guarded by mu; of the last attempt to publish

	unsettled chan struct{} // has one when something has been added to published
}

// New reads the templates, as NewComposer does, and creates the spool directory where it is missing. That this cannot be done
// is for Start to find: who does not serve needs no spool.
func New(db *store.DB, seal Sealer, s Settings, log *slog.Logger) (*Outbox, error) {
	composer, err := NewComposer(s)
	if err != nil {
		return nil, err
	}
	dir := spool(s.SpoolDir)
	_ = dir.open()
	return &Outbox{
		Composer: composer, db: db, seal: seal, spool: dir, log: log, claimed: map[string]bool{}, unsettled: make(chan struct{}, 1),
	}, nil
}

// Accepting fails with ErrFull when no more messages are taken. Ask before looking anybody up, so that the
// answer tells nothing about who exists.
func (o *Outbox) Accepting(ctx context.Context, tx *store.Tx) error {
	waiting, err := countRows(ctx, tx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	waiting -= len(o.published) + o.unreadable // these wait for nobody
	o.mu.Unlock()
	if waiting >= o.settings.MaxOutbox {
		return ErrFull
	}
	return nil
}

// Backlog is what is in the outbox.
type Backlog struct {
	Waiting    int   // messages that can be opened
	Unreadable int   // messages that were sealed with a key that is gone: they wait for nothing but the key
	Oldest     int64 // when the oldest of those that wait was made, unix seconds; 0: there is none
}

// ReadBacklog looks at every message that is in the outbox.
func ReadBacklog(ctx context.Context, db *store.DB, seal Sealer) (b Backlog, err error) {
	for after := int64(0); ; {
		var rows []row
		err := db.Read(ctx, func(tx *store.Tx) (err error) {
			rows, err = listRows(ctx, tx, after, drainBatch)
			return err
		})
		if err != nil || len(rows) == 0 {
			return b, err
		}
		for _, r := range rows {
			after = r.id
			if _, err := seal.Open(r.sealed, []byte(r.name)); err != nil {
				b.Unreadable++
				continue
			}
			b.Waiting++
			if b.Oldest == 0 || r.createdAt < b.Oldest {
				b.Oldest = r.createdAt
			}
		}
	}
}

// Count counts the messages in the outbox, whether they can be opened or not. It reads files of every schema.
func Count(ctx context.Context, tx *store.Tx) (int, error) { return countRows(ctx, tx) }

// DropAll removes every message from the outbox, and says how many. Only where nobody serves.
func DropAll(ctx context.Context, tx *store.Tx) (int64, error) { return deleteAllRows(ctx, tx) }

// Send makes the message and stores it as part of the transaction. When that has committed, the message is
// published before Write returns, in the process that serves.
func (o *Outbox) Send(ctx context.Context, tx *store.Tx, m Mail) error {
	name := fileName(tx.Now)
	message, err := o.compose(m, name, tx.Now)
	if err != nil {
		return fmt.Errorf("make the %s email: %w", m.Kind, err)
	}
	sealed, err := o.seal.Seal(message.Raw, []byte(name))
	if err != nil {
		return fmt.Errorf("seal the %s email: %w", m.Kind, err)
	}
	id, err := insertRow(ctx, tx, name, sealed)
	if err != nil {
		return err
	}
	if !o.isPublishing() {
		return nil
	}
	r := row{id: id, name: name}
	o.claim(name) // before anybody can see the row
	tx.After(func(committed bool) {
		if !committed {
			o.release(r)
			return
		}
		// The message is safe in its row, and the request that made it has succeeded: report, not return.
		o.report(o.publish(r, message.Raw))
	})
	return nil
}
