package tokens

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
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
	pair, err := i.pair(who, session, tx.Now, tx.Now.Unix(), limit)
	switch {
	case err != nil || !i.settings.AllowRefresh:
	case i.settings.LongRunning:
		pair.Refresh, pair.RefreshExpiresAt, err = i.issueLeaf(ctx, tx, session, 1, limit)
	default:
		pair.RefreshExpiresAt = i.refreshableUntil(tx.Now.Unix(), limit)
	}
	return pair, err
}

// limit is the absolute limit of a session that begins now, in unix seconds; nil: none. A session without refresh
// tokens always has one, because nothing else says when its row can be deleted.
func (i *Issuer) limit(now time.Time) *int64 {
	s := i.settings
	lasting := s.SessionLifetime
	shorten := func(d time.Duration) {
		if lasting == 0 || d < lasting {
			lasting = d
		}
	}
	switch {
	case !s.AllowRefresh:
		shorten(i.accessMargin())
	case !s.LongRunning:
		shorten(s.RefreshLifetime + i.accessMargin())
	}
	if lasting == 0 {
		return nil
	}
	at := now.Add(lasting).Unix()
	return &at
}

// accessMargin is how long an access token is accepted after it was issued.
func (i *Issuer) accessMargin() time.Duration { return i.settings.AccessLifetime + i.settings.Leeway }

// pair makes the access token. It expires no later than its session, for verifiers that check nothing but the token.
func (i *Issuer) pair(who Subject, session int64, now time.Time, orig int64, limit *int64) (Pair, error) {
	expires := now.Add(i.settings.AccessLifetime).Unix()
	if limit != nil {
		expires = min(expires, *limit)
	}
	access, claims, err := i.sign(who, session, now, orig, expires)
	return Pair{Access: access, Claims: claims, Session: session}, err
}

// issueLeaf stores a new refresh token as the live leaf of the session. limit is the absolute limit.
func (i *Issuer) issueLeaf(
	ctx context.Context, tx *store.Tx, session, generation int64, limit *int64,
) (raw string, expires int64, err error) {
	raw = newRefresh(session, generation, i.settings.RefreshBytes)
	expires = i.idleUntil(tx.Now, limit)
	return raw, expires, insertRefresh(ctx, tx, session, generation, hash(raw), expires)
}

// idleUntil is the time at which an unused refresh token expires.
func (i *Issuer) idleUntil(now time.Time, limit *int64) int64 {
	at := now.Add(i.settings.RefreshLifetime).Unix()
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
	pair, err := i.pair(who, row.session, tx.Now, row.started, row.limit)
	if err != nil {
		return Pair{}, err
	}
	switch {
	case row.rotatedAt != nil:
		pair.Refresh, pair.RefreshExpiresAt = leafRaw, leaf.expires
		return pair, nil
	case i.settings.Rotation == "keep":
		pair.Refresh, pair.RefreshExpiresAt = raw, i.idleUntil(tx.Now, row.limit)
		return pair, extendRefresh(ctx, tx, row, pair.RefreshExpiresAt)
	}
	pair.Refresh, pair.RefreshExpiresAt, err = i.issueLeaf(ctx, tx, row.session, row.generation+1, row.limit)
	if err != nil {
		return Pair{}, err
	}
	sealed, err := sealSuccessor(raw, pair.Refresh)
	if err != nil {
		return Pair{}, err
	}
	return pair, markRotated(ctx, tx, row, sealed)
}

// liveLeaf follows the sealed successors from a rotated token to the live leaf. It detects reuse.
func (i *Issuer) liveLeaf(ctx context.Context, tx *store.Tx, row refreshRow, raw string) (refreshRow, string, error) {
	// Both signs are within grace: a clock that was set back must not make theft of a race between two tabs.
	distance := tx.Now.Unix() - *row.rotatedAt
	grace := int64(i.settings.RotationGrace / time.Second)
	first := true
	for row.rotatedAt != nil {
		next, err := openSuccessor(raw, row.successor)
		if err != nil {
			return row, "", fmt.Errorf("open the successor of a refresh token: %w", err)
		}
		successor, err := findRefresh(ctx, tx, next)
		if err != nil {
			return row, "", fmt.Errorf("find the successor of a refresh token: %w", err)
		}
		if first && successor.rotatedAt != nil && max(distance, -distance) > grace {
			if err := endSession(ctx, tx, row.session, "reuse"); err != nil {
				return row, "", err
			}
			return row, "", &ReuseError{row.user}
		}
		first = false
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
	if row.ended {
		return 0, ErrInvalid
	}
	return row.user, endSession(ctx, tx, row.session, "revoked")
}

// LiveRefresh reports whether a refresh token, be it live, rotated or expired, belongs to a session that has not ended.
func (i *Issuer) LiveRefresh(ctx context.Context, tx *store.Tx, raw string) (bool, error) {
	row, err := findRefresh(ctx, tx, raw)
	if errors.Is(err, ErrInvalid) {
		return false, nil
	}
	return err == nil && !row.ended, err
}

func hash(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// sealSuccessor encrypts the token next under a key derived from the token raw, which the database does not have.
func sealSuccessor(raw, next string) ([]byte, error) {
	aead, err := successorAEAD(raw)
	if err != nil {
		return nil, fmt.Errorf("seal the successor of a refresh token: %w", err)
	}
	return aead.Seal(nil, nil, []byte(next), nil), nil
}

func openSuccessor(raw string, sealed []byte) (string, error) {
	aead, err := successorAEAD(raw)
	if err != nil {
		return "", err
	}
	next, err := aead.Open(nil, nil, sealed, nil)
	return string(next), err
}

func successorAEAD(raw string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(raw), nil, "accountd refresh token successor", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
