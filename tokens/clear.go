package tokens

import (
	"context"
	"time"

	"accountd/internal/store"
)

// Cleared counts the rows that were deleted.
type Cleared struct {
	Sessions      int64
	RefreshTokens int64
}

// Add adds what another batch has deleted.
func (c *Cleared) Add(more Cleared) {
	c.Sessions += more.Sessions
	c.RefreshTokens += more.RefreshTokens
}

// clearRows is how many rows of each table one statement of a batch looks for. Among millions each lies on pages of its own, a
// dozen with its indexes, which are read, logged and written: the writer is held for milliseconds.
const clearRows = 16

// ClearExpired deletes a batch of what has been over for longer than keep because of its age: refresh tokens, and
// sessions that are past their limit or have no refresh token left. It is done when it deletes nothing.
//
// A session counts as over when its last access token has expired as well. What is deleted answers as it did, with
// two exceptions: revoking an expired refresh token fails with ErrInvalid, and so does, unnoticed as theft,
// a rotated one that comes back after it would have expired anyway.
func (i *Issuer) ClearExpired(ctx context.Context, tx *store.Tx, keep time.Duration) (Cleared, error) {
	before := tx.Now.Add(-keep - i.accessMargin()).Unix()
	emptied, tokens, err := deleteExpiredRefresh(ctx, tx, before, clearRows)
	if err != nil {
		return Cleared{}, err
	}
	out := Cleared{RefreshTokens: tokens}
	for session := range emptied {
		n, err := deleteRows(ctx, tx, clearEmptySession, session)
		if err != nil {
			return Cleared{}, err
		}
		out.Sessions += n
	}
	n, err := deleteRows(ctx, tx, clearExpiredSessions, before, clearRows)
	out.Sessions += n
	return out, err
}

// ClearEnded deletes a batch of sessions that ended more than keep ago, with their refresh tokens. It is done
// when it deletes nothing. In an ended session every token is invalid, as unknown ones are.
func (i *Issuer) ClearEnded(ctx context.Context, tx *store.Tx, keep time.Duration) (Cleared, error) {
	before := tx.Now.Add(-keep).Unix()
	tokens, err := deleteRows(ctx, tx, clearEndedRefresh, before, clearRows, clearRows)
	if err != nil {
		return Cleared{}, err
	}
	sessions, err := deleteRows(ctx, tx, clearEndedSessions, before, clearRows)
	return Cleared{Sessions: sessions, RefreshTokens: tokens}, err
}
