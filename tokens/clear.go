package tokens

import (
	"context"
	"math"
	"time"

	"accountd/internal/store"
)

// Cleared counts deleted rows.
type Cleared struct{ Sessions, RefreshTokens int64 }

// Add adds the rows of another batch.
func (c *Cleared) Add(more Cleared) {
	c.Sessions += more.Sessions
	c.RefreshTokens += more.RefreshTokens
}

// ClearRows bounds the sessions, and the refresh tokens, of a batch. In a large file each row lies on pages of its own,
// which are read, logged and written.
const ClearRows = 16

// ClearExpired deletes a batch of refresh tokens that expired more than keep ago, and of sessions without refresh
// tokens whose limit was that long ago. It deletes at most rows of each table. more is false when no session was due.
//
// A session expires with its last access token. A deleted token gets the answers that it got before, with two
// exceptions: revoking an expired refresh token fails with ErrInvalid, and so does the reuse of a rotated token after
// its expiry, which is no longer detected as theft.
func (i *Issuer) ClearExpired(
	ctx context.Context, tx *store.Tx, keep time.Duration, rows int,
) (cleared Cleared, more bool, err error) {
	before := tx.Now.Add(-keep - i.accessMargin()).Unix()
	return clearBatch(ctx, tx, clearDue, before, before, int64(rows))
}

// ClearEnded deletes a batch of sessions that ended more than keep ago, with their refresh tokens. Their tokens are
// invalid either way. more is false when no session was due.
func (i *Issuer) ClearEnded(
	ctx context.Context, tx *store.Tx, keep time.Duration, rows int,
) (cleared Cleared, more bool, err error) {
	return clearBatch(ctx, tx, clearEnded, tx.Now.Add(-keep).Unix(), math.MaxInt64, int64(rows))
}

// clearBatch takes the first sessions that query finds for due. It deletes their refresh tokens that expired by before,
// and then the sessions that have none left.
func clearBatch(
	ctx context.Context, tx *store.Tx, query string, due, before, rows int64,
) (cleared Cleared, more bool, err error) {
	sessions, err := sessionsToClear(ctx, tx, query, due, rows)
	if err != nil {
		return Cleared{}, false, err
	}
	for _, session := range sessions {
		expired, err := exec(ctx, tx, "clear refresh tokens", clearRefresh, session, before, rows-cleared.RefreshTokens)
		if err != nil {
			return Cleared{}, false, err
		}
		empty, err := exec(ctx, tx, "clear session", clearEmptySession, session)
		if err != nil {
			return Cleared{}, false, err
		}
		cleared.Add(Cleared{Sessions: empty, RefreshTokens: expired})
		if empty == 0 {
			if _, err := exec(ctx, tx, "clear session later", clearLater, session); err != nil {
				return Cleared{}, false, err
			}
		}
		if cleared.RefreshTokens == rows {
			break
		}
	}
	return cleared, len(sessions) > 0, nil
}
