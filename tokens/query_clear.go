package tokens

import (
	"context"
	"fmt"

	"accountd/internal/store"
)

// What clearing runs. The last two look at the same sessions, those that ended first: a session may have more refresh
// tokens than one batch deletes.
const (
	clearExpiredRefresh = `
		DELETE FROM refresh_tokens WHERE hash IN (
			SELECT hash FROM refresh_tokens WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
		RETURNING session_id`
	clearEmptySession = `
		DELETE FROM sessions WHERE id = ? AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`
	clearExpiredSessions = `
		DELETE FROM sessions WHERE id IN (
			SELECT id FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)
		AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`
	clearEndedRefresh = `
		DELETE FROM refresh_tokens WHERE hash IN (
			SELECT hash FROM refresh_tokens WHERE session_id IN (
				SELECT id FROM sessions WHERE ended_at <= ? ORDER BY ended_at, id LIMIT ?)
			LIMIT ?)`
	clearEndedSessions = `
		DELETE FROM sessions WHERE id IN (
			SELECT id FROM sessions WHERE ended_at <= ? ORDER BY ended_at, id LIMIT ?)
		AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id)`
)

// deleteExpiredRefresh deletes refresh tokens that expired by before, the oldest first, and says of which sessions.
func deleteExpiredRefresh(ctx context.Context, tx *store.Tx, before int64, limit int) (sessions map[int64]bool, n int64, err error) {
	rows, err := tx.QueryContext(ctx, clearExpiredRefresh, before, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("clear expired refresh tokens: %w", err)
	}
	defer rows.Close()
	sessions = map[int64]bool{}
	for rows.Next() {
		var session int64
		if err := rows.Scan(&session); err != nil {
			return nil, 0, fmt.Errorf("clear expired refresh tokens: %w", err)
		}
		sessions[session] = true
		n++
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("clear expired refresh tokens: %w", err)
	}
	return sessions, n, nil
}

// deleteRows runs one of the other statements and counts the rows.
func deleteRows(ctx context.Context, tx *store.Tx, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, fmt.Errorf("clear sessions: %w", err)
	}
	return result.RowsAffected()
}
