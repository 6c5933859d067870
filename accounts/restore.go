package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// Revoked counts what RevokeAll has ended.
type Revoked struct {
	Sessions int64 // that had not ended
	Mails    int64 // that waited in the outbox
}

// RevokeAll makes a database that was restored from a backup, or has lost its write-ahead log, fit to be used: what
// has been revoked since must not come back with it. It ends every session, for the reason that is given, kills
// every link that is out, and drops the mails that wait with such links. lastIDs are those that the database before
// it has given out, nil where that cannot be read: none of them, and so no token that names one, gets another
// owner.
func RevokeAll(ctx context.Context, db *store.DB, lastIDs map[string]int64, reason string) (out Revoked, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		if err := endAllLinks(ctx, tx); err != nil {
			return err
		}
		if out.Sessions, err = tokens.EndAll(ctx, tx, reason); err != nil {
			return err
		}
		if out.Mails, err = email.DropAll(ctx, tx); err != nil {
			return err
		}
		return store.SkipIDs(ctx, tx, lastIDs)
	})
	return out, err
}
