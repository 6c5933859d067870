package accounts

import (
	"context"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

const (
	purgeBatch  = 200 // accounts that are looked up at once
	counterRows = 100 // counters of limits that are deleted in one transaction
)

// PurgeUnverified permanently deletes accounts that were neither verified nor used within Settings.PurgeUnverified, so
// that nobody can keep names and addresses from their owners. Staff and superusers stay. After an error what it has
// deleted stays deleted.
func (s *Service) PurgeUnverified(ctx context.Context) (deleted int, err error) {
	if s.settings.PurgeUnverified == 0 {
		return 0, nil
	}
	after, more := int64(0), true
	for more {
		var found []int64 // outside of a write: looking at a million accounts takes long
		err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
			found, err = unverified(ctx, tx, tx.Now.Add(-s.settings.PurgeUnverified), after, purgeBatch)
			return err
		})
		if err != nil {
			return deleted, err
		}
		if more = len(found) == purgeBatch; len(found) == 0 {
			break
		}
		after = found[len(found)-1]
		for _, id := range found {
			unused := false
			// One by one: an account has more than a hundred entries in the index of user_search, and deleting them
			// among those of a million accounts takes tens of milliseconds.
			if _, err := s.writeBatch(ctx, func(tx *store.Tx) (err error) {
				unused, err = deleteUnverified(ctx, tx, id)
				return err
			}); err != nil {
				return deleted, err
			}
			if unused {
				s.event(ctx, "unverified_account_deleted", id)
				deleted++
			}
		}
	}
	return deleted, nil
}

// clearThrottles deletes counters of limits that count no more, and networks that are no user's own any more.
func (s *Service) clearThrottles(ctx context.Context, before time.Time) error {
	counters := func(tx *store.Tx) (int64, error) {
		// Counters of accounts stay: consecutive failures do not expire.
		return ratelimit.DeleteUnused(ctx, tx, before, limitAccount, counterRows)
	}
	networks := func(tx *store.Tx) (int64, error) { return clearNetworks(ctx, tx, counterRows) }
	for _, clear := range []func(*store.Tx) (int64, error){counters, networks} {
		for deleted := int64(counterRows); deleted == counterRows; {
			if _, err := s.writeBatch(ctx, func(tx *store.Tx) (err error) {
				deleted, err = clear(tx)
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
