package accounts

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"accountd/internal/jsontext"
	"accountd/internal/store"
	"accountd/tokens"
)

// shownColumns are what is shown of a user, to be followed by the configured fields, and hiddenColumns the rest, both in the order
// in which readUser takes them. Every user has a status and a primary address. What is true or false is one column, the bits of
// which flags names.
const (
	shownColumns = `u.id,
		(u.is_active <> 0) + 2 * (u.is_staff <> 0) + 4 * (u.is_superuser <> 0) + 8 * (s.verified <> 0) + 16 * (s.archived <> 0),
		u.date_joined, u.last_login, u.username, p.address, u.first_name, u.last_name, b.address`
	hiddenColumns = `u.username_key, u.email, u.password, u.credential_epoch, u.secondary_epoch, s.secondary_email`
)

// The bits of flags in shownColumns.
const (
	flagActive = 1 << iota
	flagStaff
	flagSuperuser
	flagVerified
	flagArchived
)

// besideUser is what the columns are from beside users u.
const besideUser = `
	JOIN user_status s ON s.user_id = u.id
	JOIN addresses p ON p.canonical = u.email
	LEFT JOIN addresses b ON b.canonical = s.secondary_email
	`

// readShown reads what is shown of a user into u.
func (s *Service) readShown(r *jsontext.Reader, u *User) {
	r.Open('[')
	u.ID = r.Int()
	flags := r.Int()
	u.IsActive, u.IsStaff, u.IsSuperuser = flags&flagActive != 0, flags&flagStaff != 0, flags&flagSuperuser != 0
	u.Verified, u.Archived = flags&flagVerified != 0, flags&flagArchived != 0
	u.DateJoined = time.Unix(r.Int(), 0).UTC()
	if !r.Null() {
		at := time.Unix(r.Int(), 0).UTC()
		u.LastLogin = &at
	}
	named := !r.Null()
	if named {
		u.Username = r.Text()
	}
	u.Email = r.OptionalText()
	if !named {
		u.Username = u.Email
	}
	u.FirstName, u.LastName, u.SecondaryEmail = r.OptionalText(), r.OptionalText(), r.OptionalText()
	if len(s.settings.Fields) > 0 {
		u.Fields = Values{}
	}
	for _, f := range s.settings.Fields {
		u.Fields[f.Name] = f.read(r.Value())
	}
}

// readUser reads a whole user.
func (s *Service) readUser(text string) (*account, error) {
	u, r := &account{}, jsontext.NewReader(text)
	s.readShown(r, &u.User)
	u.usernameKey, u.canonical, u.password = r.OptionalText(), r.OptionalText(), r.OptionalText()
	u.credentialEpoch, u.secondaryEpoch, u.secondary = r.Int(), r.Int(), r.OptionalText()
	r.Close(']')
	return u, r.End()
}

// readUsers reads what is shown of several users, and puts them in the order of their ids: json_group_array promises none.
func (s *Service) readUsers(text string) ([]*User, error) {
	r := jsontext.NewReader(text)
	users := make([]User, 0, strings.Count(text, "],[")+1) // or a few more, where that is in a text
	for r.Open('['); r.More(']'); r.Close(']') {
		users = append(users, User{})
		s.readShown(r, &users[len(users)-1])
	}
	list := make([]*User, len(users))
	for i := range users {
		list[i] = &users[i]
	}
	slices.SortFunc(list, func(a, b *User) int { return cmp.Compare(a.ID, b.ID) })
	return list, r.End()
}

// findUser returns nil where nobody is found.
func (s *Service) findUser(ctx context.Context, tx *store.Tx, query string, args ...any) (*account, error) {
	var text string
	err := tx.QueryRowContext(ctx, query, args...).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var u *account
	if err == nil {
		u, err = s.readUser(text)
	}
	if err != nil {
		return nil, fmt.Errorf("look up user: %w", err)
	}
	return u, nil
}

func (s *Service) userByID(ctx context.Context, tx *store.Tx, id int64) (*account, error) {
	return s.findUser(ctx, tx, s.users.byID, id)
}

func (s *Service) userByUsername(ctx context.Context, tx *store.Tx, key string) (*account, error) {
	return s.findUser(ctx, tx, s.users.byUsername, key)
}

// userByAddress finds the owner of a canonical address, be it their primary or secondary one.
func (s *Service) userByAddress(ctx context.Context, tx *store.Tx, canonical string) (*account, error) {
	return s.findUser(ctx, tx, s.users.byAddress, canonical)
}

// sessionUser is the active user of a live session, nil for nobody.
func (s *Service) sessionUser(ctx context.Context, tx *store.Tx, session, id int64) (*account, error) {
	return s.findUser(ctx, tx, s.users.bySession, id, session, tx.Now.Unix())
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

// usernameTaken reports whether somebody but except has the username of a form or one that looks like it, or
// whether such a one is held. A registration that is discreet does not hear of who has its address both as an
// address and as a username.
func usernameTaken(ctx context.Context, tx *store.Tx, f form, except int64) (bool, error) {
	holderOf := ""
	if f.discreet && strings.Contains(f.usernameKey, "@") {
		holderOf = f.address.Canonical
	}
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE username_key = ?1 AND id <> ?2
			AND id IS NOT (SELECT user_id FROM addresses WHERE canonical = ?4))
		OR EXISTS (SELECT 1 FROM users WHERE username_skeleton = ?3 AND id <> ?2)
		OR EXISTS (SELECT 1 FROM held_values
			WHERE name = 'username' AND value = ?1 OR name = '`+heldSkeleton+`' AND value = ?3)`,
		f.usernameKey, except, orNull(f.skeleton), holderOf)
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
		INSERT INTO users (username, username_key, email, first_name, last_name, password, is_active, is_staff, is_superuser, date_joined,
			credential_epoch, secondary_epoch)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		orNull(n.username), orNull(n.usernameKey), n.email.Canonical, n.firstName, n.lastName, n.password, !n.inactive, n.staff, n.root, tx.Now.Unix(),
		epochLeap(), epochLeap())
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
func recordLogin(ctx context.Context, tx *store.Tx, u *account, password string) error {
	leap := epochLeap()
	if _, err := tx.ExecContext(ctx, `UPDATE users SET last_login = ?, credential_epoch = credential_epoch + ? WHERE id = ?`,
		tx.Now.Unix(), leap, u.ID); err != nil {
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
	u.credentialEpoch += leap
	return nil
}
