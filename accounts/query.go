package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// selectUser is completed by a condition. Every user has a status and a primary address.
const selectUser = `
	SELECT u.id, u.username, p.address, u.email, u.first_name, u.last_name, u.password, u.is_active, u.is_staff,
		u.is_superuser, u.date_joined, u.last_login, u.credential_epoch, u.secondary_epoch, s.verified, s.archived, s.secondary_email, b.address
	FROM users u
	JOIN user_status s ON s.user_id = u.id
	JOIN addresses p ON p.canonical = u.email
	LEFT JOIN addresses b ON b.canonical = s.secondary_email
	`

type scanner interface{ Scan(dest ...any) error }

func scanUser(row scanner) (*User, error) {
	var u User
	var username, secondary, secondaryShown sql.NullString
	var joined int64
	var lastLogin sql.NullInt64
	err := row.Scan(&u.ID, &username, &u.Email, &u.canonical, &u.FirstName, &u.LastName, &u.password, &u.IsActive, &u.IsStaff,
		&u.IsSuperuser, &joined, &lastLogin, &u.credentialEpoch, &u.secondaryEpoch, &u.Verified, &u.Archived, &secondary, &secondaryShown)
	if err != nil {
		return nil, err
	}
	u.Username, u.DateJoined = username.String, time.Unix(joined, 0).UTC()
	u.secondary, u.SecondaryEmail = secondary.String, secondaryShown.String
	if !username.Valid {
		u.Username = u.Email
	}
	if lastLogin.Valid {
		at := time.Unix(lastLogin.Int64, 0).UTC()
		u.LastLogin = &at
	}
	return &u, nil
}

// findUser returns nil where nobody is found.
func findUser(ctx context.Context, tx *store.Tx, query string, arg any) (*User, error) {
	u, err := scanUser(tx.QueryRowContext(ctx, query, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up user: %w", err)
	}
	return u, nil
}

func userByID(ctx context.Context, tx *store.Tx, id int64) (*User, error) {
	return findUser(ctx, tx, selectUser+`WHERE u.id = ?`, id)
}

func userByUsername(ctx context.Context, tx *store.Tx, key string) (*User, error) {
	return findUser(ctx, tx, selectUser+`WHERE u.username_key = ?`, key)
}

// userByAddress finds the owner of a canonical address, be it their primary or secondary one.
func userByAddress(ctx context.Context, tx *store.Tx, canonical string) (*User, error) {
	return findUser(ctx, tx, selectUser+`WHERE u.id = (SELECT user_id FROM addresses WHERE canonical = ?)`, canonical)
}

func exists(ctx context.Context, tx *store.Tx, query string, arg any) (bool, error) {
	var found bool
	if err := tx.QueryRowContext(ctx, query, arg).Scan(&found); err != nil {
		return false, fmt.Errorf("look up: %w", err)
	}
	return found, nil
}

func usernameTaken(ctx context.Context, tx *store.Tx, key string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?)`, key)
}

func addressClaimed(ctx context.Context, tx *store.Tx, canonical string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM addresses WHERE canonical = ?)`, canonical)
}

// newUser is what an account starts with.
type newUser struct {
	username, usernameKey string
	email                 Address
	secondary             *Address
	firstName, lastName   string
	password              string // encoded hash
	verified, archived    bool
	inactive, staff, root bool
}

// insertUser fails with Errors when the username or an address is taken. The transaction has the write
// lock, so what it finds free stays free; the unique indexes stand behind it.
func insertUser(ctx context.Context, tx *store.Tx, n newUser) (int64, error) {
	if taken, err := usernameTaken(ctx, tx, n.usernameKey); err != nil {
		return 0, err
	} else if taken {
		return 0, one("username", errUsernameInUse)
	}
	claim := []Address{n.email}
	if n.secondary != nil {
		claim = append(claim, *n.secondary)
	}
	for i, address := range claim {
		if claimed, err := addressClaimed(ctx, tx, address.Canonical); err != nil {
			return 0, err
		} else if claimed {
			return 0, one([]string{"email", "secondary_email"}[i], errEmailInUse)
		}
	}
	result, err := tx.ExecContext(ctx, `
		INSERT INTO users (username, username_key, email, first_name, last_name, password, is_active, is_staff, is_superuser, date_joined)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.username, n.usernameKey, n.email.Canonical, n.firstName, n.lastName, n.password, !n.inactive, n.staff, n.root, tx.Now.Unix())
	if err != nil {
		return 0, fmt.Errorf("insert user: %w", err)
	}
	id, err := result.LastInsertId()
	if err != nil {
		return 0, fmt.Errorf("insert user: %w", err)
	}
	for _, address := range claim {
		if _, err := tx.ExecContext(ctx, `INSERT INTO addresses (canonical, user_id, address) VALUES (?, ?, ?)`,
			address.Canonical, id, address.Shown); err != nil {
			return 0, fmt.Errorf("claim address: %w", err)
		}
	}
	var secondary sql.NullString
	if n.secondary != nil {
		secondary = sql.NullString{String: n.secondary.Canonical, Valid: true}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO user_status (user_id, verified, archived, secondary_email) VALUES (?, ?, ?, ?)`,
		id, n.verified, n.archived, secondary); err != nil {
		return 0, fmt.Errorf("insert user status: %w", err)
	}
	return id, nil
}

func setVerified(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET verified = 1 WHERE user_id = ?`, id); err != nil {
		return fmt.Errorf("set verified: %w", err)
	}
	return nil
}

// recordLogin keeps the time, unarchives, and kills the reset and set links that are out: who can log in
// needs none.
func recordLogin(ctx context.Context, tx *store.Tx, id int64, password string) error {
	if _, err := tx.ExecContext(ctx, `
		UPDATE users SET last_login = ?, password = ?, credential_epoch = credential_epoch + 1 WHERE id = ?`,
		tx.Now.Unix(), password, id); err != nil {
		return fmt.Errorf("record login: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET archived = 0 WHERE user_id = ? AND archived = 1`, id); err != nil {
		return fmt.Errorf("unarchive: %w", err)
	}
	return nil
}

// listUsers returns up to limit users with an id greater than after, in order.
func listUsers(ctx context.Context, tx *store.Tx, after int64, limit int) ([]*User, error) {
	rows, err := tx.QueryContext(ctx, selectUser+`WHERE u.id > ? ORDER BY u.id LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	defer rows.Close()
	var list []*User
	for rows.Next() {
		u, err := scanUser(rows)
		if err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		list = append(list, u)
	}
	return list, rows.Err()
}
