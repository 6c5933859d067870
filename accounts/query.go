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
	passwords "accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

// The columns of an account in the order in which readAccount reads them: shownColumns, the configured fields, and
// hiddenColumns.
const (
	shownColumns = `u.id, u.is_active, u.is_staff, u.is_superuser, s.verified, s.archived, u.date_joined, u.last_login,
		u.username, p.address, u.first_name, u.last_name, b.address`
	hiddenColumns = `u.username_key, u.email, u.password, u.credential_epoch, u.secondary_epoch, s.secondary_email`
)

// besideUser joins the tables of the columns to users u. Every user has a status and a primary address.
const besideUser = `
	JOIN user_status s ON s.user_id = u.id
	JOIN addresses p ON p.canonical = u.email
	LEFT JOIN addresses b ON b.canonical = s.secondary_email
	`

// readShown reads the columns that users are shown.
func (s *Service) readShown(r *jsontext.Reader, u *User) {
	r.Open('[')
	u.ID = r.Int()
	u.IsActive, u.IsStaff, u.IsSuperuser = r.Int() != 0, r.Int() != 0, r.Int() != 0
	u.Verified, u.Archived = r.Int() != 0, r.Int() != 0
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

// readAccount reads all columns.
func (s *Service) readAccount(text string) (*account, error) {
	u, r := &account{}, jsontext.NewReader(text)
	s.readShown(r, &u.User)
	u.usernameKey, u.canonical, u.password = r.OptionalText(), r.OptionalText(), r.OptionalText()
	u.credentialEpoch, u.secondaryEpoch, u.secondary = r.Int(), r.Int(), r.OptionalText()
	r.Close(']')
	return u, r.End()
}

// readUsers reads the shown columns of several users and sorts them by id: json_group_array promises no order.
func (s *Service) readUsers(text string) ([]*User, error) {
	r := jsontext.NewReader(text)
	users := make([]User, 0, strings.Count(text, "],[")+1) // an estimate: texts may have it too
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

// transaction is a method of store.DB that runs a function in a transaction.
type transaction = func(context.Context, func(*store.Tx) error) error

// read returns what fn reads in a transaction of run.
func read[T any](ctx context.Context, run transaction, fn func(*store.Tx) (T, error)) (out T, err error) {
	err = run(ctx, func(tx *store.Tx) error {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// find returns the account of a query; nil for none.
func (s *Service) find(ctx context.Context, tx *store.Tx, query string, args ...any) (*account, error) {
	var text string
	err := tx.QueryRowContext(ctx, query, args...).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up user: %w", err)
	}
	return s.readAccount(text)
}

func (s *Service) userByID(ctx context.Context, tx *store.Tx, id int64) (*account, error) {
	return s.find(ctx, tx, s.users.byID, id)
}

// userByAddress finds the account that has a canonical address as its primary or secondary one.
func (s *Service) userByAddress(ctx context.Context, tx *store.Tx, canonical string) (*account, error) {
	return s.find(ctx, tx, s.users.byAddress, canonical)
}

// sessionUser returns the account of a live session if it has that id and is active; nil otherwise.
func (s *Service) sessionUser(ctx context.Context, tx *store.Tx, session, id int64) (*account, error) {
	return s.find(ctx, tx, s.users.bySession, id, session, tx.Now.Unix())
}

// sessionUserExists reports whether sessionUser would find an account.
func sessionUserExists(ctx context.Context, tx *store.Tx, session, id int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND is_active AND `+tokens.LiveSession+`)`,
		id, session, tx.Now.Unix())
}

// subjectOf is refreshSubject in a transaction, as package tokens calls it.
func (s *Service) subjectOf(ctx context.Context, tx *store.Tx) func(userID int64) (tokens.Subject, error) {
	return func(id int64) (tokens.Subject, error) { return s.refreshSubject(ctx, tx, id) }
}

// refreshSubject returns the subject of a user's next token. It fails with tokens.ErrInvalid where the user may not
// refresh a session: inactive, archived, or unverified where unverified users may not log in.
func (s *Service) refreshSubject(ctx context.Context, tx *store.Tx, id int64) (tokens.Subject, error) {
	subject := tokens.Subject{ID: id}
	err := tx.QueryRowContext(ctx, `
		SELECT coalesce(u.username, p.address)
		FROM users u JOIN user_status s ON s.user_id = u.id JOIN addresses p ON p.canonical = u.email
		WHERE u.id = ? AND u.is_active AND NOT s.archived AND (s.verified OR ?)`,
		id, s.settings.AllowLoginNotVerified).Scan(&subject.Username)
	if errors.Is(err, sql.ErrNoRows) {
		return subject, tokens.ErrInvalid
	}
	if err != nil {
		return subject, fmt.Errorf("look up user: %w", err)
	}
	return subject, nil
}

// selectHashBetween selects the first stored hash whose beginning is at least and less than two texts.
const selectHashBetween = `
	SELECT password FROM users WHERE password <> '' AND substr(password, 1, 40) >= ? AND substr(password, 1, 40) < ?
	ORDER BY substr(password, 1, 40) LIMIT 1`

// storedKinds returns one stored hash of each kind, by kind. Each takes one index look-up, however many users there
// are.
func storedKinds(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	return passwords.StoredKinds(func(from, end string) (encoded string, err error) {
		err = tx.QueryRowContext(ctx, selectHashBetween, from, end).Scan(&encoded)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return encoded, err
	})
}

func exists(ctx context.Context, tx *store.Tx, query string, args ...any) (bool, error) {
	var found bool
	if err := tx.QueryRowContext(ctx, query, args...).Scan(&found); err != nil {
		return false, fmt.Errorf("look up: %w", err)
	}
	return found, nil
}

// usernameTaken reports whether an account other than except has the username of a form or one that looks like it, or
// whether such a name is held. A discreet registration ignores the account that has the form's address if the
// username is an address too: the answer would reveal that the address is claimed.
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

// insertUser inserts an account with values of configured fields, and returns its id. Its addresses and unique values
// have to be free in this transaction. The unique indexes are a second check.
func insertUser(ctx context.Context, tx *store.Tx, u account, fields []fieldValue) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO users (username, username_key, email, first_name, last_name, password, is_active, is_staff,
			is_superuser, date_joined, credential_epoch, secondary_epoch)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		orNull(u.ownUsername()), orNull(u.usernameKey), u.canonical, u.FirstName, u.LastName, u.password, u.IsActive,
		u.IsStaff, u.IsSuperuser, tx.Now.Unix(), epochStep(), epochStep())
	if err != nil {
		return 0, fmt.Errorf("insert user: %w", err)
	}
	if u.ID, err = result.LastInsertId(); err != nil {
		return 0, fmt.Errorf("insert user: %w", err)
	}
	if err := claimAddresses(ctx, tx, &u); err != nil {
		return 0, err
	}
	if err := exec(ctx, tx, "insert user status",
		`INSERT INTO user_status (user_id, verified, archived, secondary_email) VALUES (?, ?, ?, ?)`,
		u.ID, u.Verified, u.Archived, orNull(u.secondary)); err != nil {
		return 0, err
	}
	return u.ID, setFields(ctx, tx, u.ID, fields)
}

func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }
