package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

// selectUser is completed by the columns of configured fields, fromUser and a condition. Every user has a status and a
// primary address. What is true or false is one column, the bits of which flags names: each column costs time in every
// authenticated request.
const selectUser = `
	SELECT u.id, u.username, u.username_key, p.address, u.email, u.first_name, u.last_name, u.password,
		(u.is_active <> 0) + 2 * (u.is_staff <> 0) + 4 * (u.is_superuser <> 0) + 8 * (s.verified <> 0) + 16 * (s.archived <> 0) AS flags,
		u.date_joined, u.last_login, u.credential_epoch, u.secondary_epoch, s.secondary_email, b.address`

// The bits of flags in selectUser.
const (
	flagActive = 1 << iota
	flagStaff
	flagSuperuser
	flagVerified
	flagArchived
)

const fromUser = `
	FROM users u
	JOIN user_status s ON s.user_id = u.id
	JOIN addresses p ON p.canonical = u.email
	LEFT JOIN addresses b ON b.canonical = s.secondary_email
	`

type scanner interface{ Scan(dest ...any) error }

func (s *Service) scanUser(row scanner) (*User, error) {
	var u User
	var username, usernameKey, secondary, secondaryShown sql.NullString
	var joined, flags int64
	var lastLogin sql.NullInt64
	into := []any{&u.ID, &username, &usernameKey, &u.Email, &u.canonical, &u.FirstName, &u.LastName, &u.password, &flags,
		&joined, &lastLogin, &u.credentialEpoch, &u.secondaryEpoch, &secondary, &secondaryShown}
	fields := make([]any, len(s.settings.Fields))
	for i := range fields {
		into = append(into, &fields[i])
	}
	if err := row.Scan(into...); err != nil {
		return nil, err
	}
	u.setFields(s.settings.Fields, fields)
	u.IsActive, u.IsStaff, u.IsSuperuser = flags&flagActive != 0, flags&flagStaff != 0, flags&flagSuperuser != 0
	u.Verified, u.Archived = flags&flagVerified != 0, flags&flagArchived != 0
	u.Username, u.DateJoined = username.String, time.Unix(joined, 0).UTC()
	u.secondary, u.SecondaryEmail = secondary.String, secondaryShown.String
	u.ownUsername, u.usernameKey = username.String, usernameKey.String
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
func (s *Service) findUser(ctx context.Context, tx *store.Tx, query string, args ...any) (*User, error) {
	u, err := s.scanUser(tx.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up user: %w", err)
	}
	return u, nil
}

func (s *Service) userByID(ctx context.Context, tx *store.Tx, id int64) (*User, error) {
	return s.findUser(ctx, tx, s.users.byID, id)
}

func (s *Service) userByUsername(ctx context.Context, tx *store.Tx, key string) (*User, error) {
	return s.findUser(ctx, tx, s.users.byUsername, key)
}

// userByAddress finds the owner of a canonical address, be it their primary or secondary one.
func (s *Service) userByAddress(ctx context.Context, tx *store.Tx, canonical string) (*User, error) {
	return s.findUser(ctx, tx, s.users.byAddress, canonical)
}

// sessionUser is the active user of a live session, nil for nobody.
func (s *Service) sessionUser(ctx context.Context, tx *store.Tx, session, id int64) (*User, error) {
	u, err := s.findUser(ctx, tx, s.users.bySession, id, session, tx.Now.Unix())
	if u != nil {
		u.session = session
	}
	return u, err
}

// holds reports whether sessionUser would find somebody.
func holds(ctx context.Context, tx *store.Tx, session, id int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND is_active AND `+tokens.LiveSession+`)`, id, session, tx.Now.Unix())
}

// refresher is a user as far as a token names them, if they may refresh their session.
func (s *Service) refresher(ctx context.Context, tx *store.Tx, id int64) (who tokens.Subject, found bool, err error) {
	who.ID = id
	err = tx.QueryRowContext(ctx, `
		SELECT coalesce(u.username, p.address)
		FROM users u JOIN user_status s ON s.user_id = u.id JOIN addresses p ON p.canonical = u.email
		WHERE u.id = ? AND u.is_active AND NOT s.archived AND (s.verified OR ?)`, id, s.settings.AllowLoginNotVerified).Scan(&who.Username)
	if errors.Is(err, sql.ErrNoRows) {
		return who, false, nil
	}
	if err != nil {
		return who, false, fmt.Errorf("look up user: %w", err)
	}
	return who, true, nil
}

const selectHashBetween = `
	SELECT substr(password, 1, 40), password FROM users WHERE password <> '' AND substr(password, 1, 40) >= ? AND substr(password, 1, 40) < ?
	ORDER BY substr(password, 1, 40) LIMIT 1`

// hashBetween is the stored password hash that comes first of those whose beginning is not before from and before end,
// and that beginning; "" for none.
func hashBetween(ctx context.Context, tx *store.Tx, from, end string) (beginning, encoded string, err error) {
	err = tx.QueryRowContext(ctx, selectHashBetween, from, end).Scan(&beginning, &encoded)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", "", fmt.Errorf("look up password hash: %w", err)
	}
	return beginning, encoded, nil
}

func exists(ctx context.Context, tx *store.Tx, query string, args ...any) (bool, error) {
	var found bool
	if err := tx.QueryRowContext(ctx, query, args...).Scan(&found); err != nil {
		return false, fmt.Errorf("look up: %w", err)
	}
	return found, nil
}

// usernameTaken reports whether somebody but except has this username.
func usernameTaken(ctx context.Context, tx *store.Tx, key string, except int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ? AND id <> ?)`, key, except)
}

func addressClaimed(ctx context.Context, tx *store.Tx, canonical string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM addresses WHERE canonical = ?)`, canonical)
}

// newUser is what an account starts with.
type newUser struct {
	username, usernameKey string // "": none of its own
	email                 Address
	secondary             *Address
	firstName, lastName   string
	password              string // encoded hash
	verified, archived    bool
	inactive, staff, root bool
	fields                []fieldValue
}

// insertUser fails with Errors when an address is taken; whether something else is, form.taken has said. The transaction
// has the write lock, so what is found free stays free; the unique indexes stand behind it.
func insertUser(ctx context.Context, tx *store.Tx, n newUser) (int64, error) {
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
		orNull(n.username), orNull(n.usernameKey), n.email.Canonical, n.firstName, n.lastName, n.password, !n.inactive, n.staff, n.root, tx.Now.Unix())
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
		secondary = orNull(n.secondary.Canonical)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO user_status (user_id, verified, archived, secondary_email) VALUES (?, ?, ?, ?)`,
		id, n.verified, n.archived, secondary); err != nil {
		return 0, fmt.Errorf("insert user status: %w", err)
	}
	return id, setFields(ctx, tx, id, n.fields)
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// setProfile stores what updateAccount may change in users. An empty username is none.
func setProfile(ctx context.Context, tx *store.Tx, id int64, username, usernameKey, firstName, lastName string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE users SET username = ?, username_key = ?, first_name = ?, last_name = ? WHERE id = ?`,
		orNull(username), orNull(usernameKey), firstName, lastName, id); err != nil {
		return fmt.Errorf("update user: %w", err)
	}
	return nil
}

func setVerified(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `UPDATE user_status SET verified = 1 WHERE user_id = ?`, id); err != nil {
		return fmt.Errorf("set verified: %w", err)
	}
	return nil
}

// recordLogin keeps the time, unarchives, and kills the reset and set links that are out: who can log in
// needs none. u then is as the row is. A password that stays is not written: its index would be, too.
func recordLogin(ctx context.Context, tx *store.Tx, u *User, password string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE users SET last_login = ?, credential_epoch = credential_epoch + 1 WHERE id = ?`,
		tx.Now.Unix(), u.ID); err != nil {
		return fmt.Errorf("record login: %w", err)
	}
	if password != u.password {
		if _, err := tx.ExecContext(ctx, `UPDATE users SET password = ? WHERE id = ?`, password, u.ID); err != nil {
			return fmt.Errorf("upgrade password hash: %w", err)
		}
	}
	if u.Archived {
		if _, err := tx.ExecContext(ctx, `UPDATE user_status SET archived = 0 WHERE user_id = ?`, u.ID); err != nil {
			return fmt.Errorf("unarchive: %w", err)
		}
	}
	at := time.Unix(tx.Now.Unix(), 0).UTC()
	u.LastLogin, u.password, u.Archived = &at, password, false
	u.credentialEpoch++
	return nil
}

// listUsers returns up to limit users with an id greater than after, in order.
func (s *Service) listUsers(ctx context.Context, tx *store.Tx, after int64, limit int) ([]*User, error) {
	rows, err := tx.QueryContext(ctx, s.users.list, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return s.scanUsers(rows)
}

func (s *Service) scanUsers(rows *sql.Rows) ([]*User, error) {
	defer rows.Close()
	var list []*User
	for rows.Next() {
		u, err := s.scanUser(rows)
		if err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		list = append(list, u)
	}
	return list, rows.Err()
}
