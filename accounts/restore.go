package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// Revoked counts what RevokeAll has ended.
type Revoked struct {
	Sessions int64 // live ones
	Mails    int64 // dropped from the outbox
}

// RevokeAll prepares a database for use that was restored from a backup or has lost its WAL: nothing that was revoked
// since may become valid again. It ends every session with a reason, revokes every link in mails, and drops the mails
// in the outbox. lastIDs are the last ids that the replaced database has given out, by table; nil where it cannot be
// read. New rows get greater ids, so no token of the replaced database names one.
func RevokeAll(ctx context.Context, db *store.DB, lastIDs map[string]int64, reason string) (out Revoked, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		if err := revokeAllLinks(ctx, tx); err != nil {
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
