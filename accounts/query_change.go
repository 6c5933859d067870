package accounts

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"

	"accountd/internal/store"
)

// The statements of operations that change an account. What kills links that are out moves an epoch: credential_epoch
// those for a new password, secondary_epoch those that verify an address, primary or secondary.

// epochLeap is how far an epoch moves, and where those of a new account begin: 1 to 2^31, at random. When a file has
// lost writes, or an older copy takes its place, accounts and ids come that were there before. Epochs that were
// counted would come again with them, and so would links.
func epochLeap() int64 {
	var random [4]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return 1 + int64(binary.NativeEndian.Uint32(random[:])>>1)
}

func setPassword(ctx context.Context, tx *store.Tx, id int64, encoded string) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET password = ?1, credential_epoch = credential_epoch + ?2, secondary_epoch = secondary_epoch + ?2
		WHERE id = ?3`, encoded, epochLeap(), id); err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}

func setArchived(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET archived = 1 WHERE user_id = ?`, id); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE users SET credential_epoch = credential_epoch + ? WHERE id = ?`,
		epochLeap(), id); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

func deactivate(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET is_active = 0, credential_epoch = credential_epoch + ?1, secondary_epoch = secondary_epoch + ?1
		WHERE id = ?2`, epochLeap(), id); err != nil {
		return fmt.Errorf("deactivate: %w", err)
	}
	return nil
}

// endAddressLinks kills the links that are out to verify an address.
func endAddressLinks(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE users SET secondary_epoch = secondary_epoch + ? WHERE id = ?`,
		epochLeap(), id); err != nil {
		return fmt.Errorf("end links: %w", err)
	}
	return nil
}

// endAllLinks kills every link that is out, of everybody.
func endAllLinks(ctx context.Context, tx *store.Tx) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET credential_epoch = credential_epoch + ?1, secondary_epoch = secondary_epoch + ?1`,
		epochLeap()); err != nil {
		return fmt.Errorf("end all links: %w", err)
	}
	return nil
}

// deleteUser deletes the row and, by the foreign keys, everything that belongs to it.
func deleteUser(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM users WHERE id = ?`, id); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return clearFailures(ctx, tx, id)
}

// claimAddress gives a free address to a user. One of their own it shows as it is written now.
func claimAddress(ctx context.Context, tx *store.Tx, id int64, a Address) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO addresses (canonical, user_id, address) VALUES (?, ?, ?)
		ON CONFLICT (canonical) DO UPDATE SET address = excluded.address WHERE user_id = excluded.user_id`, a.Canonical, id, a.Shown); err != nil {
		return fmt.Errorf("claim address: %w", err)
	}
	return nil
}

// placeAddresses says which of a user's addresses is the primary and which the secondary one ("": none), and gives the
// others up.
func placeAddresses(ctx context.Context, tx *store.Tx, u *account, primary, secondary string) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET email = ?1, credential_epoch = credential_epoch + ?2 * ?3, secondary_epoch = secondary_epoch + ?3
		WHERE id = ?4`, primary, u.moves(primary, secondary), epochLeap(), u.ID); err != nil {
		return fmt.Errorf("set primary address: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET secondary_email = ? WHERE user_id = ?`,
		sql.NullString{String: secondary, Valid: secondary != ""}, u.ID); err != nil {
		return fmt.Errorf("set secondary address: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM addresses WHERE user_id = ? AND canonical <> ? AND canonical <> ?`,
		u.ID, primary, secondary); err != nil {
		return fmt.Errorf("give addresses up: %w", err)
	}
	return nil
}

// updateUser writes what an operator may change, but for fields, addresses and epochs.
func updateUser(ctx context.Context, tx *store.Tx, u *changed) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET is_active = ?, is_staff = ?, is_superuser = ? WHERE id = ?`,
		u.IsActive, u.IsStaff, u.IsSuperuser, u.ID); err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET verified = ?, archived = ? WHERE user_id = ?`,
		u.Verified, u.Archived, u.ID); err != nil {
		return fmt.Errorf("update user status: %w", err)
	}
	return nil
}

// neverUsed is what accounts are purged by: neither verified nor used, and of nobody with rights.
const neverUsed = `is_active = 1 AND is_staff = 0 AND is_superuser = 0 AND last_login IS NULL
	AND (SELECT verified FROM user_status WHERE user_id = users.id) = 0`

// unverified are up to limit accounts that were never used, and registrations for which values are held, from
// before a time, with an id greater than after, in order.
func unverified(ctx context.Context, tx *store.Tx, before time.Time, after int64, limit int) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT id FROM users WHERE id > ?1 AND date_joined <= ?2 AND `+neverUsed+`
		UNION SELECT registration FROM held_values WHERE registration > ?1 AND held_at <= ?2 ORDER BY id LIMIT ?3`,
		after, before.Unix(), limit)
	if err != nil {
		return nil, fmt.Errorf("list unverified accounts: %w", err)
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list unverified accounts: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// deleteUnverified deletes an account that is still as unverified found it, and says whether it was, or releases
// what is held for the registration of that id.
func deleteUnverified(ctx context.Context, tx *store.Tx, id int64) (bool, error) {
	if _, err := tx.ExecContext(ctx, `DELETE FROM held_values WHERE registration = ?`, id); err != nil {
		return false, fmt.Errorf("release held values: %w", err)
	}
	result, err := tx.ExecContext(ctx, `DELETE FROM users WHERE id = ? AND `+neverUsed, id)
	if err != nil {
		return false, fmt.Errorf("delete unverified account: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	return true, clearFailures(ctx, tx, id)
}
