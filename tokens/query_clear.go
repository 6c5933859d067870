package tokens

import (
	"context"
	"fmt"

	"accountd/internal/store"
)

// Statements of clearing. No refresh token of a session expires before an earlier generation, so the first few rows
// of a session suffice.
const (
	clearDue   = `SELECT id FROM sessions WHERE clear_at <= ? ORDER BY clear_at LIMIT ?`
	clearEnded = `SELECT id FROM sessions WHERE ended_at <= ? ORDER BY ended_at, id LIMIT ?`

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
	return ids, rows.Err()
}
