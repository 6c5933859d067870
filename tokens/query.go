package tokens

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// insertSession stores a session that is cleared away no sooner than at clearAt, under an id that no other has.
func insertSession(ctx context.Context, tx *store.Tx, user int64, limit, clearAt *int64) (int64, error) {
	for {
		id := newSessionID(tx.Now)
		result, err := tx.ExecContext(ctx, `
			INSERT INTO sessions (id, user_id, created_at, expires_at, clear_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO NOTHING`, id, user, tx.Now.Unix(), limit, clearAt)
		if err != nil {
			return 0, fmt.Errorf("insert session: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return id, err
		}
	}
}

// endOldest ends the user's live sessions but the given one and the newest others, keep in all. After the clock was set
// back, the given one has a lower id than others, and stays all the same.
func endOldest(ctx context.Context, tx *store.Tx, user, session int64, keep int) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE sessions SET ended_at = ?, end_reason = 'too many sessions' WHERE id IN (
			SELECT id FROM sessions WHERE user_id = ? AND ended_at IS NULL AND id <> ? ORDER BY id DESC LIMIT -1 OFFSET ?)`,
		tx.Now.Unix(), user, session, keep-1)
	if err != nil {
		return fmt.Errorf("end the oldest sessions: %w", err)
	}
	return nil
}

func endSession(ctx context.Context, tx *store.Tx, session int64, reason string) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ? AND ended_at IS NULL`, tx.Now.Unix(), reason, session)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

func endSessions(ctx context.Context, tx *store.Tx, user, except int64, reason string) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE sessions SET ended_at = ?, end_reason = ? WHERE user_id = ? AND id <> ? AND ended_at IS NULL`,
		tx.Now.Unix(), reason, user, except)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

func endAllSessions(ctx context.Context, tx *store.Tx, reason string) (int64, error) {
	result, err := tx.ExecContext(ctx, `UPDATE sessions SET ended_at = ?, end_reason = ? WHERE ended_at IS NULL`, tx.Now.Unix(), reason)
	if err != nil {
		return 0, fmt.Errorf("end all sessions: %w", err)
	}
	return result.RowsAffected()
}

// sessionRow is what decides whether a session goes on.
type sessionRow struct {
	limit *int64 // unix seconds; nil: none
	ended bool
}

func (s sessionRow) over(now int64) bool { return s.ended || s.limit != nil && *s.limit <= now }

// LiveSession is a condition in SQL: the session ?2 is the user ?1's, and at ?3, in unix seconds, has neither ended nor reached its
// absolute limit. With it, who reads users needs no read of its own for the session.
const LiveSession = `EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND user_id = ?1 AND ended_at IS NULL AND (expires_at IS NULL OR expires_at > ?3))`

func isLive(ctx context.Context, tx *store.Tx, session, user int64) (live bool, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT `+LiveSession, user, session, tx.Now.Unix()).Scan(&live); err != nil {
		return false, fmt.Errorf("look up session: %w", err)
	}
	return live, nil
}

// findSession fails with ErrInvalid when the user has no such session.
func findSession(ctx context.Context, tx *store.Tx, session, user int64) (sessionRow, error) {
	var row sessionRow
	err := tx.QueryRowContext(ctx,
		`SELECT expires_at, ended_at IS NOT NULL FROM sessions WHERE id = ? AND user_id = ?`, session, user).Scan(&row.limit, &row.ended)
	if errors.Is(err, sql.ErrNoRows) {
		return row, ErrInvalid
	}
	if err != nil {
		return row, fmt.Errorf("look up session: %w", err)
	}
	return row, nil
}

// refreshRow is a refresh token with the session it belongs to. Times are unix seconds.
type refreshRow struct {
	sessionRow
	session    int64
	generation int64
	user       int64
	started    int64
	expires    int64
	rotatedAt  *int64 // nil: the live leaf
	successor  []byte // sealed
}

func insertRefresh(ctx context.Context, tx *store.Tx, session, generation int64, hash []byte, expires int64) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO refresh_tokens (session_id, generation, located, hash, issued_at, expires_at) VALUES (?, ?, 1, ?, ?, ?)`,
		session, generation, hash, tx.Now.Unix(), expires)
	if err != nil {
		return fmt.Errorf("insert refresh token: %w", err)
	}
	return nil
}

const (
	selectRefresh = `
		SELECT t.session_id, t.generation, s.user_id, s.created_at, s.expires_at, s.ended_at IS NOT NULL, t.expires_at, t.rotated_at, t.successor
		FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id `
	// lookUpRefresh goes to the place of a token, and only when it is not there looks among those that tell none.
	lookUpRefresh = selectRefresh + `WHERE t.session_id = ?1 AND t.generation = ?2 AND t.hash = ?3 UNION ALL ` +
		selectRefresh + `WHERE t.hash = ?3 AND t.located = 0`
)

// findRefresh fails with ErrInvalid when there is no such token.
func findRefresh(ctx context.Context, tx *store.Tx, raw string) (refreshRow, error) {
	var row refreshRow
	session, generation := refreshPlace(raw)
	err := tx.QueryRowContext(ctx, lookUpRefresh, session, generation, hash(raw)).
		Scan(&row.session, &row.generation, &row.user, &row.started, &row.limit, &row.ended, &row.expires, &row.rotatedAt, &row.successor)
	if errors.Is(err, sql.ErrNoRows) {
		return row, ErrInvalid
	}
	if err != nil {
		return row, fmt.Errorf("look up refresh token: %w", err)
	}
	return row, nil
}

// extendRefresh gives a refresh token that was used and stays good its new idle limit.
func extendRefresh(ctx context.Context, tx *store.Tx, row refreshRow, expires int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE refresh_tokens SET issued_at = ?, expires_at = ? WHERE session_id = ? AND generation = ?`,
		tx.Now.Unix(), expires, row.session, row.generation)
	if err != nil {
		return fmt.Errorf("extend refresh token: %w", err)
	}
	return nil
}

func markRotated(ctx context.Context, tx *store.Tx, row refreshRow, successor []byte) error {
	result, err := tx.ExecContext(ctx, `
		UPDATE refresh_tokens SET rotated_at = ?, successor = ?
		WHERE session_id = ? AND generation = ? AND rotated_at IS NULL`, tx.Now.Unix(), successor, row.session, row.generation)
	if err != nil {
		return fmt.Errorf("rotate refresh token: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return fmt.Errorf("rotate refresh token: %d rows, %v", n, err)
	}
	return nil
}

func listSessions(ctx context.Context, tx *store.Tx, user int64) ([]SessionState, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT s.id, s.created_at, s.expires_at, s.ended_at, s.end_reason,
			coalesce((SELECT t.issued_at FROM refresh_tokens t WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1), s.created_at),
			(SELECT t.expires_at FROM refresh_tokens t WHERE t.session_id = s.id ORDER BY t.generation DESC LIMIT 1)
		FROM sessions s WHERE s.user_id = ? ORDER BY s.id DESC`, user)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var list []SessionState
	for rows.Next() {
		var s SessionState
		if err := rows.Scan(&s.ID, &s.CreatedAt, &s.ExpiresAt, &s.EndedAt, &s.EndReason, &s.RefreshedAt, &s.IdleUntil); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// CountLive counts the sessions of everybody that have neither ended nor expired. It reads files of every schema.
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

// LastBegan is when the newest session began, the zero time when there is none.
func LastBegan(ctx context.Context, tx *store.Tx) (time.Time, error) {
	var at int64
	err := tx.QueryRowContext(ctx, `SELECT created_at FROM sessions ORDER BY id DESC LIMIT 1`).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("find the newest session: %w", err)
	}
	return time.Unix(at, 0).UTC(), nil
}
