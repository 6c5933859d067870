package accounts

import (
	"context"
	"slices"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

const (
	// purgeBatch is how many accounts are looked for at once.
	purgeBatch = 200

	// purgeRows is how many accounts go in one transaction: taking one out of the index of substrings, in more than a hundred places,
	// holds the writer for tens of milliseconds among a million.
	purgeRows = 1

	// counterRows is how many rows of throttles go in one transaction.
	counterRows = 100
)

// PurgeUnverified deletes, for good, accounts that were never verified and never used for Settings.PurgeUnverified after they
// were made, so that names and addresses of others cannot be kept from them. What an operator has given rights stays. What it has
// deleted when an error comes stays deleted.
func (s *Service) PurgeUnverified(ctx context.Context) (deleted int, err error) {
	if s.settings.PurgeUnverified == 0 {
		return 0, nil
	}
	after, more := int64(0), true
	for more {
		var found []int64 // outside of the write: looking at a million accounts takes its time
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
		for users := range slices.Chunk(found, purgeRows) {
			gone, err := s.purge(ctx, users)
			if err != nil {
				return deleted, err
			}
			for _, id := range gone {
				s.event(ctx, "unverified_account_deleted", id)
			}
			deleted += len(gone)
		}
	}
	return deleted, nil
}

// purge deletes those of users that are still unverified, and returns them.
func (s *Service) purge(ctx context.Context, users []int64) (gone []int64, err error) {
	_, err = s.aside(ctx, func(tx *store.Tx) error {
		for _, id := range users {
			deleted, err := deleteUnverified(ctx, tx, id)
			if err != nil {
				return err
			}
			if deleted {
				gone = append(gone, id)
			}
		}
		return nil
	})
	return gone, err
}

// clearThrottles deletes what no rate counts any more, and networks that are nobody's own any more.
func (s *Service) clearThrottles(ctx context.Context, before time.Time) error {
	counters := func(tx *store.Tx) (int64, error) {
		// Accounts keep theirs: failures in a row do not age, but for those from one of the owner's own networks.
		return ratelimit.DeleteUnused(ctx, tx, before, limitAccount, counterRows)
	}
	networks := func(tx *store.Tx) (int64, error) { return clearNetworks(ctx, tx, counterRows) }
	for _, clear := range []func(*store.Tx) (int64, error){counters, networks} {
		for deleted := int64(counterRows); deleted == counterRows; {
			if _, err := s.aside(ctx, func(tx *store.Tx) (err error) {
				deleted, err = clear(tx)
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}
