package tokens

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// A session id is the time at which the session began, in unix milliseconds, followed by random bits. A counter would
// give ids out again after a restore, and tokens of lost sessions would then match new ones. Time comes first so
// that sessions are stored in the order in which they began.
const (
	sessionTimeBits   = 42 // until the year 2109
	sessionRandomBits = 21
)

// newSessionID makes the id of a session that begins at the given time, which is limited to the years 1970 to 2109.
func newSessionID(at time.Time) int64 {
	began := min(max(at.UnixMilli(), 1), 1<<sessionTimeBits-1)
	random := binary.NativeEndian.Uint32(randomBytes(4)) % (1 << sessionRandomBits)
	return began<<sessionRandomBits | int64(random)
}

// SessionState is a session without its secrets. Times are unix seconds.
type SessionState struct {
	ID          int64
	CreatedAt   int64
	RefreshedAt int64  // when the newest refresh token was issued; CreatedAt without one
	ExpiresAt   *int64 // absolute limit; nil: none
	IdleUntil   *int64 // expiry of the live refresh token, at most ExpiresAt; nil: there is no such token
	EndedAt     *int64 // nil: not ended
	EndReason   string
}

// Ends is the time at which the session expires unless it is refreshed; nil: never.
func (s SessionState) Ends() *int64 {
	if s.IdleUntil != nil {
		return s.IdleUntil
	}
	return s.ExpiresAt
}

// Live reports whether the session has neither ended nor expired at now, in unix seconds.
func (s SessionState) Live(now int64) bool {
	return s.EndedAt == nil && (s.Ends() == nil || *s.Ends() > now)
}

// insertSession stores a session under an unused id. It is not cleared before clearAt.
func insertSession(ctx context.Context, tx *store.Tx, user int64, limit, clearAt *int64) (int64, error) {
	for {
		id := newSessionID(tx.Now)
		n, err := tx.Exec(ctx, "insert session", `
			INSERT INTO sessions (id, user_id, created_at, expires_at, clear_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO NOTHING`, id, user, tx.Now.Unix(), limit, clearAt)
		if err != nil || n == 1 {
			return id, err
		}
	}
}

// endOldest keeps the given session and the newest others of the user, keep in all, and ends the rest. The given one
// stays even if a clock that was set back gave it a lower id.
func endOldest(ctx context.Context, tx *store.Tx, user, session int64, keep int) error {
	_, err := tx.Exec(ctx, "end the oldest sessions", `
		UPDATE sessions SET ended_at = ?, end_reason = 'too many sessions' WHERE id IN (
			SELECT id FROM sessions WHERE user_id = ? AND ended_at IS NULL AND id <> ?
			ORDER BY id DESC LIMIT -1 OFFSET ?)`,
		tx.Now.Unix(), user, session, keep-1)
	return err
}

// endSession fails with ErrInvalid when the user has no such session or it has ended.
func endSession(ctx context.Context, tx *store.Tx, user, session int64, reason string) error {
	n, err := tx.Exec(ctx, "end session",
		`UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND user_id = ? AND ended_at IS NULL`,
		tx.Now.Unix(), reason, session, user)
	if err == nil && n == 0 {
		err = ErrInvalid
	}
	return err
}

// End ends one live session of a user. It fails with ErrInvalid when the user has no such session.
func (i *Issuer) End(ctx context.Context, tx *store.Tx, user, session int64, reason string) error {
	if _, err := limitOf(ctx, tx, user, session); err != nil {
		return err
	}
	return endSession(ctx, tx, user, session, reason)
}

// EndAll ends every session of a user but the one given (0: every one).
func (i *Issuer) EndAll(ctx context.Context, tx *store.Tx, userID, except int64, reason string) error {
	_, err := tx.Exec(ctx, "end sessions",
		`UPDATE sessions SET ended_at = ?, end_reason = ? WHERE user_id = ? AND id <> ? AND ended_at IS NULL`,
		tx.Now.Unix(), reason, userID, except)
	return err
}

// EndAll ends every session of every user and counts them.
func EndAll(ctx context.Context, tx *store.Tx, reason string) (int64, error) {
	return tx.Exec(ctx, "end all sessions",
		`UPDATE sessions SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL`, tx.Now.Unix(), reason)
}

// LiveSession is a condition in SQL: session ?2 belongs to user ?1 and at ?3, in unix seconds, has neither ended nor
// reached its absolute limit. A query of users includes it, which saves a query of its own.
const LiveSession = `EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND ` +
	`user_id = ?1 AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > ?3))`

// limitOf is the absolute limit of a live session, nil for none. It fails with ErrInvalid when the user has no such
// session.
func limitOf(ctx context.Context, tx *store.Tx, user, session int64) (limit *int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT expires_at FROM sessions WHERE id = ?2 AND `+LiveSession, user, session,
		tx.Now.Unix()).Scan(&limit)
	return limit, lookUpError(err, "session")
}

// lookUpError is ErrInvalid when there is no such row.
func lookUpError(err error, what string) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrInvalid
	case err != nil:
		return fmt.Errorf("look up %s: %w", what, err)
	}
	return nil
}

// refreshRow is a refresh token with its session. Times are unix seconds.
type refreshRow struct {
	session    int64
	generation int64
	user       int64
	started    int64
	limit      *int64 // of the session, absolute; nil: none
	ended      bool   // the session has
	expires    int64
	rotatedAt  *int64 // nil: the live leaf
	successor  []byte // sealed
}

// live reports whether the session is live.
func (r refreshRow) live(now int64) bool { return !r.ended && (r.limit == nil || *r.limit > now) }

const (
	selectRefresh = `
		SELECT t.session_id, t.generation, s.user_id, s.created_at, s.expires_at, s.ended_at IS NOT NULL,
			t.expires_at, t.rotated_at, t.successor
		FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id `
	// lookUpRefresh reads the row that the token names. Tokens from before migration 0010 name none and have an index.
	lookUpRefresh = selectRefresh + `WHERE t.session_id = ?1 AND t.generation = ?2 AND t.hash = ?3 UNION ALL ` +
		selectRefresh + `WHERE t.hash = ?3 AND t.located = 0`
)

// findRefresh fails with ErrInvalid when there is no such token.
func findRefresh(ctx context.Context, tx *store.Tx, raw string) (refreshRow, error) {
	var row refreshRow
	session, generation := refreshPlace(raw)
	err := tx.QueryRowContext(ctx, lookUpRefresh, session, generation, hash(raw)).
		Scan(&row.session, &row.generation, &row.user, &row.started, &row.limit, &row.ended,
			&row.expires, &row.rotatedAt, &row.successor)
	return row, lookUpError(err, "refresh token")
}

func markRotated(ctx context.Context, tx *store.Tx, row refreshRow, successor []byte) error {
	n, err := tx.Exec(ctx, "rotate refresh token", `
		UPDATE refresh_tokens SET rotated_at = ?, successor = ?
		WHERE session_id = ? AND generation = ? AND rotated_at IS NULL`,
		tx.Now.Unix(), successor, row.session, row.generation)
	if err == nil && n != 1 {
		err = fmt.Errorf("rotate refresh token: %d rows changed, not one", n)
	}
	return err
}

// Sessions are the stored sessions of a user, the newest first.
func (i *Issuer) Sessions(ctx context.Context, tx *store.Tx, userID int64) ([]SessionState, error) {
	const newest = `FROM refresh_tokens t WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1)`
	rows, err := tx.QueryContext(ctx, `
		SELECT s.id, s.created_at, s.expires_at, s.ended_at, s.end_reason,
			coalesce((SELECT t.issued_at `+newest+`, s.created_at), (SELECT t.expires_at `+newest+`
		FROM sessions s WHERE s.user_id = ? ORDER BY s.id DESC`, userID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var list []SessionState
	for rows.Next() {
		var s SessionState
		err := rows.Scan(&s.ID, &s.CreatedAt, &s.ExpiresAt, &s.EndedAt, &s.EndReason, &s.RefreshedAt, &s.IdleUntil)
		if err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// CountLive counts the sessions of all users that have neither ended nor expired. It works with every schema version.
func CountLive(ctx context.Context, tx *store.Tx) (n int64, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT count(*) FROM sessions WHERE ended_at IS NULL AND (expires_at IS NULL OR expires_at > ?1)
			AND coalesce((SELECT max(expires_at) FROM refresh_tokens WHERE session_id = sessions.id), ?1 + 1) > ?1`,
		tx.Now.Unix()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count live sessions: %w", err)
	}
	return n, nil
}

// LastBegan is the time at which the newest session began, 1970 without sessions.
func LastBegan(ctx context.Context, tx *store.Tx) (time.Time, error) {
	var at int64
	const newest = `SELECT coalesce((SELECT created_at FROM sessions ORDER BY id DESC LIMIT 1), 0)`
	if err := tx.QueryRowContext(ctx, newest).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("find the newest session: %w", err)
	}
	return time.Unix(at, 0).UTC(), nil
}
