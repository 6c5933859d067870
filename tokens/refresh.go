package tokens

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"accountd/internal/store"
)

// Pair is the result of a login or a refresh: an access token and the refresh token for the next pair.
type Pair struct {
	Access           string
	Claims           Claims
	Refresh          string // "" without refresh tokens
	RefreshExpiresAt int64  // unix seconds; the session can be refreshed until then. 0: never
	Session          int64
}

// Start begins a session. It ends the oldest sessions of a user who has more than Settings.SessionsPerUser.
func (i *Issuer) Start(ctx context.Context, tx *store.Tx, who Subject) (Pair, error) {
	limit := i.limit(tx.Now)
	clearAt := limit
	if i.settings.AllowRefresh && i.settings.LongRunning {
		idle := i.idleUntil(tx.Now, limit)
		clearAt = &idle
	}
	session, err := insertSession(ctx, tx, who.ID, limit, clearAt)
	if err != nil {
		return Pair{}, err
	}
	if err := endOldest(ctx, tx, who.ID, session, i.settings.SessionsPerUser); err != nil {
		return Pair{}, err
	}
	pair, err := i.sign(who, session, tx.Now, tx.Now.Unix(), limit)
	switch {
	case err != nil || !i.settings.AllowRefresh:
	case i.settings.LongRunning:
		pair.Refresh, pair.RefreshExpiresAt, err = i.issueLeaf(ctx, tx, session, 1, limit)
	default:
		pair.RefreshExpiresAt = i.idleUntil(tx.Now, limit)
	}
	return pair, err
}

// limit is the absolute limit of a session that begins now, in unix seconds; nil: none. A session without refresh
// tokens always has one, because nothing else says when its row can be deleted.
func (i *Issuer) limit(now time.Time) *int64 {
	s := i.settings
	lasting := cmp.Or(s.SessionLifetime, math.MaxInt64)
	switch {
	case !s.AllowRefresh:
		lasting = min(lasting, i.accessMargin())
	case !s.LongRunning:
		lasting = min(lasting, s.RefreshLifetime+i.accessMargin())
	case s.SessionLifetime == 0:
		return nil
	}
	at := now.Add(lasting).Unix()
	return &at
}

// accessMargin is how long an access token is accepted after it was issued.
func (i *Issuer) accessMargin() time.Duration { return i.settings.AccessLifetime + i.settings.Leeway }

// issueLeaf stores a new refresh token as the live leaf of the session. limit is the absolute limit.
func (i *Issuer) issueLeaf(
	ctx context.Context, tx *store.Tx, session, generation int64, limit *int64,
) (raw string, expires int64, err error) {
	raw = newRefresh(session, generation, i.settings.RefreshBytes)
	expires = i.idleUntil(tx.Now, limit)
	_, err = tx.Exec(ctx, "insert refresh token", `
		INSERT INTO refresh_tokens (session_id, generation, located, hash, issued_at, expires_at)
		VALUES (?, ?, 1, ?, ?, ?)`, session, generation, hash(raw), tx.Now.Unix(), expires)
	return raw, expires, err
}

// idleUntil is when a refresh token that is issued now expires unless it is used.
func (i *Issuer) idleUntil(now time.Time, limit *int64) int64 {
	return atMost(limit, now.Add(i.settings.RefreshLifetime).Unix())
}

// atMost is the earlier one of a session's absolute limit, if it has one, and another time.
func atMost(limit *int64, at int64) int64 {
	if limit != nil {
		at = min(at, *limit)
	}
	return at
}

// Refresh exchanges a refresh token for the next pair. allow returns the user as of now. If allow fails, Refresh
// returns that error and changes nothing.
//
// The live leaf is rotated. With Settings.Rotation "keep" it stays, for another RefreshLifetime.
//
// A rotated token is exchanged for the live leaf, never for a second branch, within its grace period or if its
// successor was never used (the reply was lost). Any other rotated token is reuse: it or its successor was stolen.
// The session ends, and the error is *ReuseError.
func (i *Issuer) Refresh(
	ctx context.Context, tx *store.Tx, raw string, allow func(userID int64) (Subject, error),
) (Pair, error) {
	if !i.settings.AllowRefresh {
		return Pair{}, ErrInvalid
	}
	row, err := findRefresh(ctx, tx, raw)
	if err != nil {
		return Pair{}, err
	}
	now := tx.Now.Unix()
	if !row.live(now) {
		return Pair{}, ErrInvalid
	}
	leaf, leafRaw := row, raw
	if row.rotatedAt != nil {
		if leaf, leafRaw, err = i.liveLeaf(ctx, tx, row, raw); err != nil {
			return Pair{}, err
		}
	}
	if leaf.expires <= now {
		return Pair{}, ErrInvalid
	}
	who, err := allow(row.user)
	if err != nil {
		return Pair{}, err
	}
	pair, err := i.sign(who, row.session, tx.Now, row.started, row.limit)
	if err != nil {
		return Pair{}, err
	}
	switch {
	case row.rotatedAt != nil:
		pair.Refresh, pair.RefreshExpiresAt = leafRaw, leaf.expires
		return pair, nil
	case i.settings.Rotation == "keep":
		pair.Refresh, pair.RefreshExpiresAt = raw, i.idleUntil(tx.Now, row.limit)
		_, err := tx.Exec(ctx, "extend refresh token",
			`UPDATE refresh_tokens SET issued_at = ?, expires_at = ? WHERE session_id = ? AND generation = ?`,
			now, pair.RefreshExpiresAt, row.session, row.generation)
		return pair, err
	}
	pair.Refresh, pair.RefreshExpiresAt, err = i.issueLeaf(ctx, tx, row.session, row.generation+1, row.limit)
	if err != nil {
		return Pair{}, err
	}
	return pair, markRotated(ctx, tx, row, sealSuccessor(raw, pair.Refresh))
}

// liveLeaf follows the sealed successors from a rotated token to the live leaf. It detects reuse.
func (i *Issuer) liveLeaf(ctx context.Context, tx *store.Tx, row refreshRow, raw string) (refreshRow, string, error) {
	// Both signs are within grace: a clock that was set back must not make theft of a race between two tabs.
	distance := tx.Now.Unix() - *row.rotatedAt
	grace := int64(i.settings.RotationGrace / time.Second)
	for first := true; row.rotatedAt != nil; first = false {
		next, err := openSuccessor(raw, row.successor)
		if err != nil {
			return row, "", fmt.Errorf("open the successor of a refresh token: %w", err)
		}
		successor, err := findRefresh(ctx, tx, next)
		if err != nil {
			return row, "", fmt.Errorf("find the successor of a refresh token: %w", err)
		}
		if first && successor.rotatedAt != nil && max(distance, -distance) > grace {
			if err := endSession(ctx, tx, row.user, row.session, "reuse"); err != nil {
				return row, "", err
			}
			return row, "", &ReuseError{row.user}
		}
		row, raw = successor, next
	}
	return row, raw, nil
}

// Revoke ends the session of a refresh token, be it live, rotated or expired, and returns the user. It fails with
// ErrInvalid when the token is unknown or its session has ended.
func (i *Issuer) Revoke(ctx context.Context, tx *store.Tx, raw string) (userID int64, err error) {
	row, err := findRefresh(ctx, tx, raw)
	if err != nil {
		return 0, err
	}
	return row.user, endSession(ctx, tx, row.user, row.session, "revoked")
}

// LiveRefresh reports whether a refresh token, be it live, rotated or expired, belongs to a session that has not ended.
func (i *Issuer) LiveRefresh(ctx context.Context, tx *store.Tx, raw string) (bool, error) {
	row, err := findRefresh(ctx, tx, raw)
	if errors.Is(err, ErrInvalid) {
		return false, nil
	}
	return err == nil && !row.ended, err
}

// RefreshAccess exchanges a live access token for one of the same session with the same origIat, when there are no
// refresh tokens (Settings.LongRunning off). It does so until Settings.RefreshLifetime after origIat. allow is as in
// Refresh. It fails with ErrInvalid. A read transaction suffices, because it writes nothing.
func (i *Issuer) RefreshAccess(
	ctx context.Context, tx *store.Tx, raw string, allow func(userID int64) (Subject, error),
) (Pair, error) {
	claims, err := i.Verify(raw)
	if err != nil || !i.settings.AllowRefresh {
		return Pair{}, ErrInvalid // also when it has expired
	}
	limit, err := limitOf(ctx, tx, claims.Subject, claims.Session)
	if err != nil {
		return Pair{}, err
	}
	until := i.idleUntil(time.Unix(claims.OrigIssuedAt, 0), limit)
	if tx.Now.Unix() > until {
		return Pair{}, ErrInvalid
	}
	who, err := allow(claims.Subject)
	if err != nil {
		return Pair{}, err
	}
	pair, err := i.sign(who, claims.Session, tx.Now, claims.OrigIssuedAt, limit)
	pair.RefreshExpiresAt = until
	return pair, err
}

// RevokeAccess ends the session of an access token, which may have expired, and returns the user. It fails with
// ErrInvalid when the token is not signed by a key of the ring or its session has ended.
func (i *Issuer) RevokeAccess(ctx context.Context, tx *store.Tx, raw string) (userID int64, err error) {
	claims, err := i.verifySigned(raw)
	if err != nil {
		return 0, err
	}
	return claims.Subject, endSession(ctx, tx, claims.Subject, claims.Session, "revoked")
}
