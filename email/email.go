// Package email composes messages from templates, stores them in the outbox, publishes them to the spool and delivers
// them.
//
// The outbox is a table. A message is inserted in the transaction that causes it, encrypted, and published to the
// spool after the commit. The spool is a Maildir. A Relay delivers it by SMTP; other programs may read it instead.
//
// Guarantees: a message is published if and only if its transaction commits. A reader of the spool never sees a
// partial file. An accepted message is not lost. It may be delivered twice, with the same Message-ID, if the process
// dies after a reader has taken the file and before the row is deleted, which is less than a second.
//
// Files: the directories tmp, new, cur, failed and retry of the spool, mode 0700, files 0600. Table: outbox.
package email

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"accountd/internal/store"
)

// ErrFull says that Settings.MaxOutbox messages are waiting for the spool.
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

// Mail is the input of a message. To is a bare address with an ASCII domain.
type Mail struct {
	Kind  Kind
	To    string
	User  User
	Token string
}

// Sealer encrypts messages at rest, because the content of a deleted row remains in the database file for a while.
type Sealer interface {
	Seal(plain, label []byte) []byte
	Open(sealed, label []byte) ([]byte, error)
}

// Outbox accepts messages inside transactions and publishes them to the spool afterwards.
type Outbox struct {
	*Composer
	db    *store.DB
	seal  Sealer
	spool spool
	log   *slog.Logger

	publishing atomic.Bool  // set in the serving process, once the spool can be used
	unreadable atomic.Int64 // rows sealed with a key that is not in the ring

	mu        sync.Mutex
	claimed   map[int64]string // guarded by mu; names of messages that are being published or settled, by id
	published []int64          // guarded by mu; in the spool, with rows that are still to be deleted
	failure   error            // guarded by mu; of the last attempt to publish

	unsettled chan struct{} // receives when published has grown
}

// New parses the templates as NewComposer does, and creates a missing spool directory. A failure to create it is left
// to Start, because a process that does not serve needs no spool.
func New(db *store.DB, seal Sealer, s Settings, log *slog.Logger) (*Outbox, error) {
	composer, err := NewComposer(s)
	if err != nil {
		return nil, err
	}
	dir := spool(s.SpoolDir)
	_ = dir.open()
	return &Outbox{
		Composer: composer, db: db, seal: seal, spool: dir, log: log,
		claimed: map[int64]string{}, unsettled: make(chan struct{}, 1),
	}, nil
}

// Accepting fails with ErrFull when the outbox is full. The caller checks it before it looks up any user, so that the
// answer does not reveal which users exist.
func (o *Outbox) Accepting(ctx context.Context, tx *store.Tx) error {
	waiting, err := Count(ctx, tx)
	if err != nil {
		return err
	}
	o.mu.Lock()
	waiting -= len(o.published) + int(o.unreadable.Load()) // these are not waiting for the spool
	o.mu.Unlock()
	if waiting >= o.settings.MaxOutbox {
		return ErrFull
	}
	return nil
}

// Backlog describes the outbox.
type Backlog struct {
	Waiting    int   // messages that can be opened
	Unreadable int   // messages sealed with a key that is not in the ring
	Oldest     int64 // creation of the oldest waiting message, unix seconds; 0: none is waiting
}

// ReadBacklog opens every message in the outbox.
func ReadBacklog(ctx context.Context, db *store.DB, seal Sealer) (b Backlog, err error) {
	err = eachRow(ctx, db, func(r row) error {
		if _, err := seal.Open(r.sealed, []byte(r.name)); err != nil {
			b.Unreadable++
			return nil
		}
		b.Waiting++
		if b.Oldest == 0 || r.createdAt < b.Oldest {
			b.Oldest = r.createdAt
		}
		return nil
	})
	return b, err
}

// Send composes the message and stores it in the transaction. In the serving process, the message is published after
// the commit and before Write returns.
func (o *Outbox) Send(ctx context.Context, tx *store.Tx, m Mail) error {
	name := fileName(tx.Now)
	message, err := o.compose(m, name, tx.Now)
	if err != nil {
		return fmt.Errorf("make the %s email: %w", m.Kind, err)
	}
	id, err := insertRow(ctx, tx, name, o.seal.Seal(message.Raw, []byte(name)))
	if err != nil {
		return err
	}
	if !o.publishing.Load() {
		return nil
	}
	o.claim(id, name) // before the row is visible
	tx.After(func(committed bool) {
		if !committed {
			o.release(id, name)
			return
		}
		// A failure is reported and not returned: the request has succeeded, and the message is safe in its row.
		o.report(o.publish(id, name, message.Raw))
	})
	return nil
}
