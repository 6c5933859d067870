package accounts

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"accountd/internal/store"
	"accountd/internal/usersearch"
)

// UserQuery selects a page of users in the order of ids, by the arguments of a Relay connection (Relay cursor
// connections specification, section 4) and an offset. Nil is a missing argument.
type UserQuery struct {
	Filters []Filter

	First, Last   *int
	After, Before *string // cursors
	Offset        *int    // users to skip after After

	// Limit is the greatest value of First and Last, and the value of First where both are missing.
	Limit int
}

// UserPage is a page of users.
type UserPage struct {
	Users                []*User
	HasNext, HasPrevious bool
}

// UserByID returns the user with an id; nil for none.
func (s *Service) UserByID(ctx context.Context, id int64) (*User, error) {
	u, err := read(ctx, s.db.ReadOne, func(tx *store.Tx) (*account, error) { return s.userByID(ctx, tx, id) })
	return u.user(), err
}

// Users returns a page of users. It fails with *UsageError for invalid arguments, and with the context's error when
// that ends during the search.
func (s *Service) Users(ctx context.Context, q UserQuery) (page *UserPage, err error) {
	w, err := q.window()
	if err != nil {
		return nil, err
	}
	among, err := s.search(q.Filters)
	if err != nil {
		return nil, err
	}
	read := s.db.ReadLong
	switch {
	case among.None():
		return &UserPage{}, nil
	case among.All() && w.offset == 0:
		read = s.db.ReadOne
	case among.Single():
		read = s.db.Read
	}
	err = read(ctx, func(tx *store.Tx) (err error) {
		if w.offset > 0 { // the last skipped user is the cursor
			w.after, err = among.Nth(ctx, tx, w.after, w.offset-1)
			w.after = cmp.Or(w.after, usersearch.NoEnd-1) // beyond the last
		}
		if err == nil {
			page, err = s.page(ctx, tx, w, among)
		}
		return err
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("list users: %w", ctx.Err()) // SQLite's error of an interrupted query varies
	}
	return page, err
}

// window is the validated arguments of a query.
type window struct {
	first, last   int   // -1: not given
	after, before int64 // ids; 0 and usersearch.NoEnd: not given
	offset        int
}

func (q UserQuery) window() (window, error) {
	w := window{first: -1, last: -1}
	for _, arg := range []struct {
		name    string
		given   *int
		into    *int
		limited bool
	}{{"first", q.First, &w.first, true}, {"last", q.Last, &w.last, true}, {"offset", q.Offset, &w.offset, false}} {
		switch {
		case arg.given == nil:
			continue
		case *arg.given < 0:
			return w, &UsageError{fmt.Sprintf("Argument %s must not be negative.", arg.name)}
		case arg.limited && *arg.given > q.Limit:
			const message = "Requesting %d records on the `users` connection exceeds the `%s` limit of %d records."
			return w, &UsageError{fmt.Sprintf(message, *arg.given, arg.name, q.Limit)}
		}
		*arg.into = *arg.given
	}
	if q.First == nil && q.Last == nil {
		w.first = q.Limit
	}
	var err error
	if w.after, err = parseCursor("after", q.After, 0); err != nil {
		return w, err
	}
	w.before, err = parseCursor("before", q.Before, usersearch.NoEnd)
	return w, err
}

// page follows EdgesToReturn, HasNextPage and HasPreviousPage of the specification: first counts before last.
func (s *Service) page(ctx context.Context, tx *store.Tx, w window, among *usersearch.Query) (*UserPage, error) {
	part := usersearch.Stretch{After: w.after, Before: w.before, Descending: w.first < 0,
		Limit: max(w.first, w.last) + 1}
	var other *usersearch.Stretch // in the other direction
	switch {
	case w.first < 0 && w.before < usersearch.NoEnd:
		other = &usersearch.Stretch{After: w.before - 1, Before: usersearch.NoEnd, Limit: 1}
	case w.last < 0 && w.after > 0:
		// The first will do: full-text indexes are slow in going back.
		other = &usersearch.Stretch{Before: w.after + 1, Limit: 1}
	}
	users, others, err := s.filteredUsers(ctx, tx, among, part, other)
	if err != nil {
		return nil, err
	}
	page := &UserPage{HasNext: others, HasPrevious: others}
	all := len(users)
	if w.first >= 0 {
		page.HasNext = all > w.first
		users = users[:min(all, w.first)]
	}
	if w.last >= 0 {
		page.HasPrevious = all > w.last
		users = users[max(len(users)-w.last, 0):]
	}
	page.Users = users
	return page, nil
}

// filteredUsers returns the users of a stretch in the order of their ids, and whether there are others in another
// stretch; nil: do not look.
func (s *Service) filteredUsers(
	ctx context.Context, tx *store.Tx, q *usersearch.Query, part usersearch.Stretch, other *usersearch.Stretch,
) (users []*User, others bool, err error) {
	list, others, err := q.Read(ctx, tx,
		"json_group_array("+s.users.shown+") FROM page CROSS JOIN users u ON u.id = page.id"+besideUser,
		part, other)
	if err == nil {
		users, err = s.readUsers(list)
	}
	if err != nil {
		return nil, false, fmt.Errorf("list users: %w", err)
	}
	return users, others, nil
}

// cursorPrefix is the version of the format of cursors.
const cursorPrefix = "users1:"

// Cursor returns the position of the user in every list of users. It stays valid while users come and go.
func (u *User) Cursor() string { return cursor(u.ID) }

func cursor(id int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt([]byte(cursorPrefix), id, 10))
}

// parseCursor accepts exactly what cursor returns, for deleted users too. For a missing argument it returns none.
func parseCursor(argument string, text *string, none int64) (int64, error) {
	if text == nil {
		return none, nil
	}
	raw, _ := base64.RawURLEncoding.DecodeString(*text)
	digits, _ := strings.CutPrefix(string(raw), cursorPrefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id <= 0 || id >= usersearch.NoEnd || cursor(id) != *text {
		const message = "Argument %s is not a valid cursor: send one that an edge, or pageInfo, had."
		return 0, &UsageError{fmt.Sprintf(message, argument)}
	}
	return id, nil
}
