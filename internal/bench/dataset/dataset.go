// Package dataset makes data directories with as many users and sessions as a measurement wants, in minutes where the
// program itself would take a day to hash the passwords.
//
// The directory, its key file, the database and the account of an administrator are made by the program's own command.
// The other rows are written past it, in bulk: user number i, from 1, has the id, name and address that ID, Username
// and Email say, is verified, and shares the administrator's password and hash. Session number j, from 1, has the id
// SessionID, belongs to user number Owner, and has one refresh token, RefreshToken; every tenth session is over. What
// is written is what the program would have written: a test compares each column.
package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"accountd/internal/cli"
)

const (
	// Admin is the username of the administrator, staff and superuser.
	Admin = "admin"

	// Password is everybody's.
	Password = "quiet-otter-42"
)

// Size is how much is made.
type Size struct {
	Users    int // besides the administrator
	Sessions int // of these users; not of the administrator
}

// maxUsers is how many the names have digits for.
const maxUsers = 9_999_999

func (s Size) check() error {
	switch {
	case s.Users < 0 || s.Users > maxUsers:
		return fmt.Errorf("%d users: from 0 to %d are possible", s.Users, maxUsers)
	case s.Sessions < 0 || s.Sessions > 10*maxUsers:
		return fmt.Errorf("%d sessions: from 0 to %d are possible", s.Sessions, 10*maxUsers)
	case s.Sessions > 0 && s.Users == 0:
		return errors.New("sessions without users are not possible")
	}
	return nil
}

// ID is the id of user number i: the administrator has the first.
func ID(i int) int64 { return int64(i) + 1 }

// Username is the username of user number i.
func Username(i int) string { return fmt.Sprintf("user%07d", i) }

// Email is the address of user number i.
func Email(i int) string { return Username(i) + "@example.com" }

// Owner is the number of the user that session number j belongs to, where there are so many users.
func Owner(j, users int) int { return (j-1)%users + 1 }

// Expired reports whether session number j is over, because its refresh token has expired for longer than such a one is
// kept: every tenth, in such a way that no user has only those.
func Expired(j, users int) bool { return (Owner(j, users)+(j-1)/users)%10 == 0 }

// SessionID is the id of session number j. As in the program it is unix milliseconds (42 bits) and 21 random bits; here
// both follow from j, and the milliseconds are in January 2025, so that sessions which begin later have higher ids.
func SessionID(j int) int64 {
	const january2025 = 1_735_689_600_000
	sum := sha256.Sum256([]byte("session " + strconv.Itoa(j)))
	return (january2025+int64(j))<<21 | int64(binary.BigEndian.Uint32(sum[:]))&(1<<21-1)
}

// RefreshToken is the first refresh token of session number j: unpadded base64url of the session's id and the
// generation 1, both as varints, and of the SHA-256 of the text "refresh token J".
func RefreshToken(j int) string {
	sum := sha256.Sum256([]byte("refresh token " + strconv.Itoa(j)))
	place := append(binary.AppendUvarint(nil, uint64(SessionID(j))), 1)
	return base64.RawURLEncoding.EncodeToString(append(place, sum[:]...))
}

// Make makes the directory at path, which is not there yet, with the settings that environ (NAME=value) and the working
// directory have for the program; now is its clock. It is whole, or not there.
func Make(ctx context.Context, path string, size Size, environ []string, now func() time.Time) error {
	if err := size.check(); err != nil {
		return err
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: name another directory", path)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), ".seed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // nothing, once it has its name
	if err := addAdmin(ctx, tmp, environ, now); err != nil {
		return err
	}
	if err := fill(ctx, filepath.Join(tmp, "accountd.db"), size, now()); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	return os.Rename(tmp, path)
}

// addAdmin runs the program's command, which makes what is missing.
func addAdmin(ctx context.Context, dir string, environ []string, now func() time.Time) error {
	var printed bytes.Buffer
	code := cli.Run(ctx, cli.Env{
		Args: []string{"user", "add", "--data-dir", dir, "--username", Admin, "--email", Admin + "@example.com",
			"--password-stdin",
			"--verified", "--staff", "--superuser"},
		Environ: environ, Stdin: strings.NewReader(Password + "\n"), Stdout: &printed, Stderr: &printed, Now: now,
	})
	if code != 0 {
		return fmt.Errorf("add the administrator: accountd exits with %d: %s", code, printed.String())
	}
	return nil
}
