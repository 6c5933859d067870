package tokens

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"time"

	"accountd/internal/store"
)

// Pair is what logs somebody in: an access token, and the refresh token for the next ones.
type Pair struct {
	Access           string
	Claims           Claims
	Refresh          string // "": there are no refresh tokens
	RefreshExpiresAt int64  // unix seconds; until when the session can be refreshed. 0: it cannot
	Session          int64
}

// Start begins a session. When the user has more than Settings.SessionsPerUser, the oldest end.
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

// limit is when a session that begins now is over, however often it is refreshed; nil: never. Without refresh
// tokens nothing but this says when its row has served its time.
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

// accessMargin is how long the last access token of a session is good after it was issued.
func (i *Issuer) accessMargin() time.Duration { return i.settings.AccessLifetime + i.settings.Leeway }

// pair makes the access token. It outlives its session nowhere, so that whoever checks it without asking here refuses it
// then, too.
func (i *Issuer) pair(who Subject, session int64, now time.Time, orig int64, limit *int64) (Pair, error) {
	expires := now.Add(i.settings.AccessLifetime).Unix()
	if limit != nil {
		expires = min(expires, *limit)
	}
	access, claims, err := i.sign(who, session, now, orig, expires)
	return Pair{Access: access, Claims: claims, Session: session}, err
}

// issueLeaf stores a new refresh token as the family's live leaf. limit is the session's absolute end.
func (i *Issuer) issueLeaf(ctx context.Context, tx *store.Tx, session, generation int64, limit *int64) (raw string, expires int64, err error) {
	raw = newRefresh(session, generation, i.settings.RefreshBytes)
	expires = i.idleUntil(tx.Now, limit)
	return raw, expires, insertRefresh(ctx, tx, session, generation, hash(raw), expires)
}

// idleUntil is when a refresh token expires that nobody uses from now on.
func (i *Issuer) idleUntil(now time.Time, limit *int64) int64 {
	at := now.Add(i.settings.RefreshLifetime).Unix()
	if limit != nil {
		at = min(at, *limit)
	}
	return at
}

// Refresh exchanges a refresh token for the next pair. allow says who the user is now, or why they may not
// go on; its error is returned as it is and nothing changes.
//
// The live leaf is rotated, or with Settings.Rotate off stays the leaf, good for another RefreshLifetime.
// A rotated token within its grace period, or whose successor was never used (the reply was lost), is
// answered with the live leaf, never with a second branch. Any other rotated token has been stolen, one way
// or the other: the session ends and the error is *ReuseError.
func (i *Issuer) Refresh(ctx context.Context, tx *store.Tx, raw string, allow func(userID int64) (Subject, error)) (Pair, error) {
	if !i.settings.AllowRefresh {
		return Pair{}, ErrInvalid
	}
	row, err := findRefresh(ctx, tx, raw)
	if err != nil {
		return Pair{}, err
	}
	now := tx.Now.Unix()
	if row.over(now) {
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

// liveLeaf follows the seals from a rotated token to the end of its family, or finds that it was stolen.
func (i *Issuer) liveLeaf(ctx context.Context, tx *store.Tx, row refreshRow, raw string) (refreshRow, string, error) {
	// The distance counts both ways: a clock that was set back must not turn two tabs into thieves.
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

// Revoke ends the session of a refresh token, be it the live leaf, rotated or expired, and says whose it
// was. It fails with ErrInvalid when the token is unknown or its session has ended.
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

// EndAll ends every session of a user but the one given (0: every one).
func (i *Issuer) EndAll(ctx context.Context, tx *store.Tx, userID, except int64, reason string) error {
	return endSessions(ctx, tx, userID, except, reason)
}

func hash(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// sealSuccessor encrypts next under a key that only the holder of raw can derive: the database alone
// gives no usable token.
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
