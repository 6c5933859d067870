package tokens

import (
	"context"
	"fmt"

	"accountd/internal/store"
)

// What clearing runs. A session's refresh tokens expire in the order of their generations, or at a time when all before them
// have, so that only the first few are looked at, however many there are.
const (
	clearDue   = `SELECT id FROM sessions WHERE clear_at <= ? ORDER BY clear_at LIMIT ?`
	clearEnded = `SELECT id FROM sessions WHERE ended_at <= ? ORDER BY ended_at, id LIMIT ?`

	clearRefresh = `
		DELETE FROM refresh_tokens WHERE session_id = ?1 AND expires_at <= ?2 AND generation IN (
			SELECT generation FROM refresh_tokens WHERE session_id = ?1 ORDER BY generation LIMIT ?3)`
	clearEmptySession = `
		DELETE FROM sessions WHERE id = ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`
	clearLater = `
		UPDATE sessions SET clear_at = (SELECT expires_at FROM refresh_tokens WHERE session_id = sessions.id ORDER BY generation LIMIT 1)
		WHERE id = ?`
)

// sessionsToClear runs clearDue or clearEnded.
func sessionsToClear(ctx context.Context, tx *store.Tx, query string, before, limit int64) (ids []int64, err error) {
	rows, err := tx.QueryContext(ctx, query, before, limit)
	if err != nil {
		return nil, fmt.Errorf("look for sessions to clear: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("look for sessions to clear: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for sessions to clear: %w", err)
	}
	return ids, nil
}

// deleteRefresh deletes refresh tokens of a session that expired by before, the oldest first.
func deleteRefresh(ctx context.Context, tx *store.Tx, session, before, limit int64) (n int64, err error) {
	return clearRow(ctx, tx, clearRefresh, session, before, limit)
}

// deleteEmptySession deletes a session that has no refresh token.
func deleteEmptySession(ctx context.Context, tx *store.Tx, session int64) (n int64, err error) {
	return clearRow(ctx, tx, clearEmptySession, session)
}

// clearSessionLater has clearing look at a session again when its oldest refresh token expires.
func clearSessionLater(ctx context.Context, tx *store.Tx, session int64) error {
	_, err := clearRow(ctx, tx, clearLater, session)
	return err
}

func clearRow(ctx context.Context, tx *store.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("clear sessions: %w", err)
	}
	return result.RowsAffected()
}
