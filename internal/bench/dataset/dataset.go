// Package dataset makes data directories with many users and sessions for measurements, in minutes where the program
// would need a day to hash the passwords.
//
// The program's own command makes the directory, the key file, the database and an administrator. The other rows are
// inserted in bulk: user i, from 1, has the id, name and address of ID, Username and Email, is verified, and shares the
// administrator's password and hash. Session j, from 1, has the id SessionID, belongs to user Owner, and has one
// refresh token, RefreshToken; every tenth session has expired. A test compares each column with a row of the
// program's.
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

	// Password is the password of all users.
	Password = "quiet-otter-42"
)

// Size is the number of rows.
type Size struct {
	Users    int // besides the administrator
	Sessions int // of these users; not of the administrator
}

// maxUsers is the largest number that fits into the digits of a username.
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

// ID is the id of user i: the administrator has the first.
func ID(i int) int64 { return int64(i) + 1 }

// Username is the username of user i.
func Username(i int) string { return fmt.Sprintf("user%07d", i) }

// Email is the address of user i.
func Email(i int) string { return Username(i) + "@example.com" }

// Owner is the number of the user that session j belongs to.
func Owner(j, users int) int { return (j-1)%users + 1 }

// Expired reports whether session j has expired so long ago that the program would delete it: every tenth, and no user
// has only such sessions.
func Expired(j, users int) bool { return (Owner(j, users)+(j-1)/users)%10 == 0 }

// SessionID is the id of session j. As in the program it is unix milliseconds (42 bits) and 21 random bits; here
// both follow from j, and the milliseconds are in January 2025, so that sessions which begin later have higher ids.
func SessionID(j int) int64 {
	const january2025 = 1_735_689_600_000
	sum := sha256.Sum256([]byte("session " + strconv.Itoa(j)))
	return (january2025+int64(j))<<21 | int64(binary.BigEndian.Uint32(sum[:]))&(1<<21-1)
}

// RefreshToken is the first refresh token of session j: unpadded base64url of the session's id and the
// generation 1, both as varints, and of the SHA-256 of the text "refresh token J".
func RefreshToken(j int) string {
	sum := sha256.Sum256([]byte("refresh token " + strconv.Itoa(j)))
	place := append(binary.AppendUvarint(nil, uint64(SessionID(j))), 1)
	return base64.RawURLEncoding.EncodeToString(append(place, sum[:]...))
}

// Make makes the directory at path, which must not exist, with the program's settings from environ (NAME=value) and the
// working directory; now is the clock. After an error there is no directory.
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

// addAdmin adds the administrator by the program's command, which also makes directory, keys and database.
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
