package tokens

import (
	"context"
	"math"
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

// ClearRows is how many sessions, and how many refresh tokens, a batch of clearing looks for at most. Among millions each lies on pages of
// its own, some with its indexes, which are read, logged and written.
const ClearRows = 16

// ClearExpired deletes a batch, of at most so many rows of each table, of what has been over for longer than keep because of its age: refresh tokens, and
// sessions that have no refresh token left or, where they never had one, are past their limit. more is false when there was nothing
// to look at.
//
// A session counts as over when its last access token has expired as well. What is deleted answers as it did, with
// two exceptions: revoking an expired refresh token fails with ErrInvalid, and so does, unnoticed as theft,
// a rotated one that comes back after it would have expired anyway.
func (i *Issuer) ClearExpired(ctx context.Context, tx *store.Tx, keep time.Duration, rows int) (cleared Cleared, more bool, err error) {
	before := tx.Now.Add(-keep - i.accessMargin()).Unix()
	return clearBatch(ctx, tx, clearDue, before, before, int64(rows))
}

// ClearEnded deletes such a batch of sessions that ended more than keep ago, with their refresh tokens. more is false when there was none.
// In an ended session every token is invalid, as unknown ones are.
func (i *Issuer) ClearEnded(ctx context.Context, tx *store.Tx, keep time.Duration, rows int) (cleared Cleared, more bool, err error) {
	return clearBatch(ctx, tx, clearEnded, tx.Now.Add(-keep).Unix(), math.MaxInt64, int64(rows))
}

// clearBatch deletes refresh tokens that expired by before of the first sessions that query finds, and the sessions that have none then.
func clearBatch(ctx context.Context, tx *store.Tx, query string, over, before, rows int64) (cleared Cleared, more bool, err error) {
	sessions, err := sessionsToClear(ctx, tx, query, over, rows)
	if err != nil {
		return Cleared{}, false, err
	}
	for _, session := range sessions {
		expired, err := deleteRefresh(ctx, tx, session, before, rows-cleared.RefreshTokens)
		if err != nil {
			return Cleared{}, false, err
		}
		empty, err := deleteEmptySession(ctx, tx, session)
		if err != nil {
			return Cleared{}, false, err
		}
		cleared.Add(Cleared{Sessions: empty, RefreshTokens: expired})
		if empty == 0 {
			if err := clearSessionLater(ctx, tx, session); err != nil {
				return Cleared{}, false, err
			}
		}
		if cleared.RefreshTokens == rows {
			break
		}
	}
	return cleared, len(sessions) > 0, nil
}
