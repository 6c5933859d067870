package tokens

import (
	"context"
	"fmt"

	"accountd/internal/store"
)

// SessionState is a session as its owner or an operator may see it. Times are unix seconds.
type SessionState struct {
	ID          int64
	CreatedAt   int64
	RefreshedAt int64  // when its newest refresh token was given out or used; CreatedAt where there is none
	ExpiresAt   *int64 // absolute limit; nil: none
	EndedAt     *int64 // nil: it has not been ended
	EndReason   string
}

// Sessions gives the sessions of a user that have not been cleared away, the newest first.
func (i *Issuer) Sessions(ctx context.Context, tx *store.Tx, userID int64) ([]SessionState, error) {
	rows, err := tx.QueryContext(ctx, `
		SELECT s.id, s.created_at, s.expires_at, s.ended_at, s.end_reason,
			coalesce((SELECT max(issued_at) FROM refresh_tokens WHERE session_id = s.id), s.created_at)
		FROM sessions s WHERE s.user_id = ? ORDER BY s.id DESC`, userID)
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	var list []SessionState
	for rows.Next() {
		var s SessionState
		if err := rows.Scan(&s.ID, &s.CreatedAt, &s.ExpiresAt, &s.EndedAt, &s.EndReason, &s.RefreshedAt); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		list = append(list, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return list, nil
}
