package tokens

import (
	"context"
	"time"

	"accountd/internal/store"
)

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
	session, err := findSession(ctx, tx, claims.Session, claims.Subject)
	if err != nil {
		return Pair{}, err
	}
	until, now := i.refreshableUntil(claims.OrigIssuedAt, session.limit), tx.Now.Unix()
	if !session.live(now) || now > until {
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

// refreshableUntil is the last second in which an access token of a session can be exchanged.
func (i *Issuer) refreshableUntil(orig int64, limit *int64) int64 {
	until := orig + int64(i.settings.RefreshLifetime/time.Second)
	if limit != nil {
		until = min(until, *limit)
	}
	return until
}

// RevokeAccess ends the session of an access token, which may have expired, and returns the user. It fails with
// ErrInvalid when the token is not signed by a key of the ring or its session has ended.
func (i *Issuer) RevokeAccess(ctx context.Context, tx *store.Tx, raw string) (userID int64, err error) {
	claims, err := i.verifySigned(raw)
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
