package tokens

import (
	"context"
	"time"

	"accountd/internal/store"
)

// RefreshAccess exchanges a live access token for one with the same origIat and session, where there are no
// refresh tokens (Settings.LongRunning off). That goes on until the origIat is more than
// Settings.RefreshLifetime old. allow is as in Refresh. It fails with ErrInvalid; nothing changes either way,
// so a read transaction does.
func (i *Issuer) RefreshAccess(ctx context.Context, tx *store.Tx, raw string, allow func(userID int64) (Subject, error)) (Pair, error) {
	claims, err := i.Verify(raw)
	if err != nil || !i.settings.AllowRefresh {
		return Pair{}, ErrInvalid // an expired one is no live one
	}
	session, err := findSession(ctx, tx, claims.Session, claims.Subject)
	if err != nil {
		return Pair{}, err
	}
	until, now := i.refreshableUntil(claims.OrigIssuedAt, session.limit), tx.Now.Unix()
	if session.over(now) || now > until {
		return Pair{}, ErrInvalid
	}
	who, err := allow(claims.Subject)
	if err != nil {
		return Pair{}, err
	}
	pair, err := i.pair(who, claims.Session, tx.Now, claims.OrigIssuedAt, session.limit)
	pair.RefreshExpiresAt = until
	return pair, err
}

// refreshableUntil is the last moment at which an access token of a session can be exchanged.
func (i *Issuer) refreshableUntil(orig int64, limit *int64) int64 {
	until := orig + int64(i.settings.RefreshLifetime/time.Second)
	if limit != nil {
		until = min(until, *limit)
	}
	return until
}

// RevokeAccess ends the session of an access token, which may have expired, and says whose it was. It fails
// with ErrInvalid when the token is not ours or its session has ended.
func (i *Issuer) RevokeAccess(ctx context.Context, tx *store.Tx, raw string) (userID int64, err error) {
	claims, err := i.signed(raw)
	if err != nil {
		return 0, err
	}
	session, err := findSession(ctx, tx, claims.Session, claims.Subject)
	if err != nil {
		return 0, err
	}
	if session.ended {
		return 0, ErrInvalid
	}
	return claims.Subject, endSession(ctx, tx, claims.Session, "revoked")
}
