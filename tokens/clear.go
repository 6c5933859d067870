package tokens

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// Statements of clearing. No refresh token of a session expires before an earlier generation, so the first few rows
// of a session suffice.
const (
	clearDue   = `SELECT id FROM sessions WHERE clear_at <= ? ORDER BY clear_at LIMIT 1`
	clearEnded = `SELECT id FROM sessions WHERE ended_at <= ? ORDER BY ended_at, id LIMIT 1`

	// clearRefresh deletes refresh tokens ?3 at most, the oldest, that expired by ?2.
	clearRefresh = `
		DELETE FROM refresh_tokens WHERE session_id = ?1 AND expires_at <= ?2 AND generation IN (
			SELECT generation FROM refresh_tokens WHERE session_id = ?1 ORDER BY generation LIMIT ?3)`
	clearEmptySession = `
		DELETE FROM sessions WHERE id = ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`
	// clearLater has the session looked at again when its oldest refresh token expires.
	clearLater = `
		UPDATE sessions SET clear_at =
			(SELECT expires_at FROM refresh_tokens WHERE session_id = sessions.id ORDER BY generation LIMIT 1)
		WHERE id = ?`
)

// clearBatch takes one session after the other that query finds for due. It deletes its refresh tokens that expired by
// before, and then the session if it has none left.
func clearBatch(
	ctx context.Context, tx *store.Tx, query string, due, before, rows int64,
) (cleared Cleared, more bool, err error) {
	for range rows {
		var session int64
		err := tx.QueryRowContext(ctx, query, due).Scan(&session)
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			return cleared, more, fmt.Errorf("look for a session to clear: %w", err)
		}
		more = true
		var batch Cleared
		batch.RefreshTokens, err = tx.Exec(ctx, "clear refresh tokens", clearRefresh, session, before,
			rows-cleared.RefreshTokens)
		if err == nil {
			batch.Sessions, err = tx.Exec(ctx, "clear session", clearEmptySession, session)
		}
		if err == nil && batch.Sessions == 0 {
			_, err = tx.Exec(ctx, "clear session later", clearLater, session)
		}
		if err != nil {
			return cleared, more, err
		}
		cleared.Add(batch)
		if cleared.RefreshTokens == rows {
			break
		}
	}
	return cleared, more, nil
}
