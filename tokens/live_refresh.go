package tokens

import (
	"context"
	"errors"

	"accountd/internal/store"
)

// LiveRefresh says whether a refresh token, be it the live leaf, rotated or expired, belongs to a session that has not
// ended.
func (i *Issuer) LiveRefresh(ctx context.Context, tx *store.Tx, raw string) (bool, error) {
	row, err := findRefresh(ctx, tx, raw)
	if errors.Is(err, ErrInvalid) {
		return false, nil
	}
	return err == nil && !row.ended, err
}
