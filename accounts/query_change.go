package accounts

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// The statements that change accounts. A link in a mail is bound to an epoch of its account, and a change revokes links
// by moving the epoch: credential_epoch for links that set a password, secondary_epoch for links that verify a primary
// or secondary address.

// epochStep returns by how much an epoch moves and where the epochs of a new account begin: 1 to 2^31, at random. A
// file that has lost writes, or an older copy in its place, gives ids out again. Random epochs keep links of the lost
// history invalid for the accounts of the new one.
func epochStep() int64 {
	var random [4]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return 1 + int64(binary.NativeEndian.Uint32(random[:])>>1)
}

// exec runs a statement. action is what failed, for the error.
func exec(ctx context.Context, tx *store.Tx, action, statement string, args ...any) error {
	_, err := tx.Exec(ctx, action, statement, args...)
	return err
}

// revokeAllLinks revokes every link of every user.
func revokeAllLinks(ctx context.Context, tx *store.Tx) error {
	return exec(ctx, tx, "revoke all links",
		`UPDATE users SET credential_epoch = credential_epoch + ?1, secondary_epoch = secondary_epoch + ?1`,
		epochStep())
}

// deleteUser deletes a row of users, by foreign keys every row that belongs to it, and its counters of wrong passwords.
func deleteUser(ctx context.Context, tx *store.Tx, id int64) error {
	if err := clearFailures(ctx, tx, id); err != nil {
		return err
	}
	return exec(ctx, tx, "delete user", `DELETE FROM users WHERE id = ?`, id)
}

// save stores the difference between an account and what it is to be. It revokes the links that the difference
// invalidates, and releases the addresses that after no longer has. Its caller ends sessions. A login may store another
// hash of the same password.
func save(ctx context.Context, tx *store.Tx, before, after *account) error {
	login := before.LastLogin != after.LastLogin
	revokesAll := before.password != after.password && !login || before.IsActive && !after.IsActive
	if revokesAll || login || before.moves(after) || after.Archived && !before.Archived {
		after.credentialEpoch += epochStep()
		var lastLogin any // NULL: never
		if after.LastLogin != nil {
			lastLogin = after.LastLogin.Unix()
		}
		if err := exec(ctx, tx, "update user", `UPDATE users SET last_login = ?, credential_epoch = ? WHERE id = ?`,
			lastLogin, after.credentialEpoch, after.ID); err != nil {
			return err
		}
	}
	if revokesAll || before.canonical != after.canonical || before.secondary != after.secondary ||
		before.Verified && !after.Verified {
		after.secondaryEpoch += epochStep()
	}
	if before.primary() != after.primary() || before.second() != after.second() {
		if err := claimAddresses(ctx, tx, after); err != nil {
			return err
		}
		if err := exec(ctx, tx, "release addresses",
			`DELETE FROM addresses WHERE user_id = ? AND canonical <> ? AND canonical <> ?`,
			after.ID, after.canonical, after.secondary); err != nil {
			return err
		}
	}
	w := updates{ctx: ctx, tx: tx, id: after.ID}
	// The key comes first: when the username changes, a trigger reads the key.
	set(&w, `UPDATE users SET username_key = ? WHERE id = ?`, orNull(before.usernameKey), orNull(after.usernameKey))
	set(&w, `UPDATE users SET username = ? WHERE id = ?`, orNull(before.ownUsername()), orNull(after.ownUsername()))
	set(&w, `UPDATE users SET email = ? WHERE id = ?`, before.canonical, after.canonical)
	set(&w, `UPDATE users SET first_name = ? WHERE id = ?`, before.FirstName, after.FirstName)
	set(&w, `UPDATE users SET last_name = ? WHERE id = ?`, before.LastName, after.LastName)
	set(&w, `UPDATE users SET password = ? WHERE id = ?`, before.password, after.password) // updates an index
	set(&w, `UPDATE users SET is_active = ? WHERE id = ?`, before.IsActive, after.IsActive)
	set(&w, `UPDATE users SET is_staff = ? WHERE id = ?`, before.IsStaff, after.IsStaff)
	set(&w, `UPDATE users SET is_superuser = ? WHERE id = ?`, before.IsSuperuser, after.IsSuperuser)
	set(&w, `UPDATE users SET secondary_epoch = ? WHERE id = ?`, before.secondaryEpoch, after.secondaryEpoch)
	set(&w, `UPDATE user_status SET verified = ? WHERE user_id = ?`, before.Verified, after.Verified)
	set(&w, `UPDATE user_status SET archived = ? WHERE user_id = ?`, before.Archived, after.Archived)
	set(&w, `UPDATE user_status SET secondary_email = ? WHERE user_id = ?`,
		orNull(before.secondary), orNull(after.secondary))
	return w.err
}

// updates are statements on one account, of which none runs after one has failed.
type updates struct {
	ctx context.Context
	tx  *store.Tx
	id  int64
	err error
}

// set runs an update of one column if the value differs.
func set[T comparable](w *updates, statement string, before, after T) {
	if before != after && w.err == nil {
		w.err = exec(w.ctx, w.tx, "update user", statement, after, w.id)
	}
}

// claimAddresses gives an account its addresses, and fails where another account has one. Its own are shown as they are
// written now.
func claimAddresses(ctx context.Context, tx *store.Tx, u *account) error {
	for _, a := range u.addresses() {
		n, err := tx.Exec(ctx, "claim address", `
			INSERT INTO addresses (canonical, user_id, address) VALUES (?, ?, ?)
			ON CONFLICT (canonical) DO UPDATE SET address = excluded.address WHERE user_id = excluded.user_id`,
			a.Canonical, u.ID, a.Shown)
		if err == nil && n == 0 {
			err = errors.New("claim address: another account has it")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// neverUsed is the condition on users by which unverified accounts are deleted. Staff and superusers are never deleted.
const neverUsed = `is_active = 1 AND is_staff = 0 AND is_superuser = 0 AND last_login IS NULL
	AND (SELECT verified FROM user_status WHERE user_id = users.id) = 0`

// unverified returns up to limit ids greater than after, in order: accounts that were never used, and registrations for
// which values are held, both from before a time.
func unverified(ctx context.Context, tx *store.Tx, before time.Time, after int64, limit int) ([]int64, error) {
	return column[int64](ctx, tx, "list unverified accounts", `
		SELECT id FROM users WHERE id > ?1 AND date_joined <= ?2 AND `+neverUsed+`
		UNION SELECT registration FROM held_values WHERE registration > ?1 AND held_at <= ?2 ORDER BY id LIMIT ?3`,
		after, before.Unix(), limit)
}

// column returns the rows of a query of one column. action is what failed, for the error.
func column[T any](ctx context.Context, tx *store.Tx, action, query string, args ...any) (all []T, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	defer rows.Close()
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, fmt.Errorf("%s: %w", action, err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// deleteUnverified deletes an account if it still is unverified and unused, and reports whether it was. It also
// releases the values that are held for a registration of that id.
func deleteUnverified(ctx context.Context, tx *store.Tx, id int64) (bool, error) {
	if err := exec(ctx, tx, "release held values", `DELETE FROM held_values WHERE registration = ?`, id); err != nil {
		return false, err
	}
	unused, err := exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE id = ? AND `+neverUsed+`)`, id)
	if err != nil || !unused {
		return false, err
	}
	return true, deleteUser(ctx, tx, id)
}

// A user's own networks are the latest maxOwnNetworks that the user has authenticated from in ownNetworkDays, which is
// longer than a session may last. Each is written once a day.
const (
	maxOwnNetworks = 10
	ownNetworkDays = 180
)

func ownSince(now time.Time) int64 { return now.AddDate(0, 0, -ownNetworkDays).Unix() }

// isOwnNetwork reports whether a network is one of a user's own.
func isOwnNetwork(ctx context.Context, tx *store.Tx, id int64, network string) (bool, error) {
	return exists(ctx, tx, `
		SELECT EXISTS (SELECT 1 FROM own_networks WHERE user_id = ? AND network = ? AND used_at > ?)`,
		id, network, ownSince(tx.Now))
}

// isKnownNetwork reports whether a network is some user's own.
func isKnownNetwork(ctx context.Context, tx *store.Tx, network string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM own_networks WHERE network = ? AND used_at > ?)`,
		network, ownSince(tx.Now))
}

// passwordCounters are the counters of a user's wrong passwords: the account's, and those of the user's own networks.
func passwordCounters(ctx context.Context, tx *store.Tx, id int64) ([]ratelimit.Counter, error) {
	networks, err := column[string](ctx, tx, "list networks", `SELECT network FROM own_networks WHERE user_id = ?`, id)
	list := []ratelimit.Counter{accountCounter(id)}
	for _, network := range networks {
		list = append(list, ownNetworkCounter(id, network))
	}
	return list, err
}

// rememberNetwork makes the client's network one of the user's own, who has authenticated by the password or by a link
// in a mail. Of the others it deletes the least recently used beyond maxOwnNetworks.
func (s *Service) rememberNetwork(ctx context.Context, tx *store.Tx, id int64) error {
	network := s.networkPseudonym(ctx)
	if network == "" {
		return nil
	}
	n, err := tx.Exec(ctx, "remember network", `
		INSERT INTO own_networks (user_id, network, used_at) VALUES (?1, ?2, ?3)
		ON CONFLICT (user_id, network) DO UPDATE SET used_at = ?3 WHERE abs(?3 - used_at) >= 86400`,
		id, network, tx.Now.Unix())
	if err != nil || n == 0 {
		return err
	}
	return exec(ctx, tx, "forget networks", `
		DELETE FROM own_networks WHERE user_id = ?1 AND network NOT IN (
			SELECT network FROM own_networks WHERE user_id = ?1 ORDER BY network = ?2 DESC, used_at DESC LIMIT ?3)`,
		id, network, maxOwnNetworks)
}

// clearNetworks deletes up to limit networks that have not been used for ownNetworkDays, and returns how many.
func clearNetworks(ctx context.Context, tx *store.Tx, limit int) (int64, error) {
	return tx.Exec(ctx, "clear networks", `
		DELETE FROM own_networks WHERE (user_id, network) IN (
			SELECT user_id, network FROM own_networks WHERE used_at <= ? LIMIT ?)`,
		ownSince(tx.Now), limit)
}
