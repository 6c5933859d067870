package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// errUnknownHash says that an encoded hash is empty, malformed, of an unknown scheme, or too expensive.
var errUnknownHash = errors.New("unknown password hash")

// compareDjango reports whether a password matches a hash of Django's hashers PBKDF2, Argon2, BCrypt and scrypt. Those
// hash the bytes of the password as they are, without normalisation. It returns errUnknownHash for all else.
func (h *Hasher) compareDjango(password, encoded string) (bool, error) {
	scheme, rest, _ := strings.Cut(encoded, "$")
	switch scheme {
	case "pbkdf2_sha256":
		return comparePBKDF2(sha256.New, password, rest)
	case "pbkdf2_sha1":
		return comparePBKDF2(sha1.New, password, rest)
	case "argon2":
		ok, _, err := h.compareArgon2id(password, "$"+rest)
		return ok, err
	case "bcrypt":
		return compareBcrypt([]byte(password), rest)
	case "bcrypt_sha256":
		sum := sha256.Sum256([]byte(password))
		return compareBcrypt([]byte(hex.EncodeToString(sum[:])), rest)
	case "scrypt":
		return compareScrypt(password, rest)
	default:
		return false, errUnknownHash
	}
}

// comparePBKDF2 takes the part after the scheme: iterations$salt$hash.
func comparePBKDF2(h func() hash.Hash, password, rest string) (bool, error) {
	fields := strings.Split(rest, "$")
	if len(fields) != 3 {
		return false, errUnknownHash
	}
	iterations, err1 := strconv.Atoi(fields[0])
	want, err2 := base64.StdEncoding.DecodeString(fields[2])
	if err1 != nil || err2 != nil || iterations < 1 || iterations > 5_000_000 || len(want) != h().Size() {
		return false, errUnknownHash
	}
	got, err := pbkdf2.Key(h, password, []byte(fields[1]), iterations, len(want))
	if err != nil {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// compareBcrypt takes a hash in bcrypt's own encoding.
func compareBcrypt(password []byte, encoded string) (bool, error) {
	if cost, err := bcrypt.Cost([]byte(encoded)); err != nil || cost > 16 {
		return false, errUnknownHash
	}
	if len(password) > 72 {
		password = password[:72] // bcrypt ignores the rest
	}
	return bcrypt.CompareHashAndPassword([]byte(encoded), password) == nil, nil
}

// compareScrypt takes the part after the scheme: N$salt$r$p$hash.
func compareScrypt(password, rest string) (bool, error) {
	fields := strings.Split(rest, "$")
	if len(fields) != 5 {
		return false, errUnknownHash
	}
	n, err1 := strconv.Atoi(fields[0])
	r, err2 := strconv.Atoi(fields[2])
	p, err3 := strconv.Atoi(fields[3])
	want, err4 := base64.StdEncoding.DecodeString(fields[4])
	if err := errors.Join(err1, err2, err3, err4); err != nil || len(want) < minKeyBytes || n < 2 || r < 1 || p < 1 ||
		n > 1<<20 || r > 64 || p > 64 || n*r > 1<<21 || n*r*p > 1<<22 {
		return false, errUnknownHash
	}
	got, err := scrypt.Key([]byte(password), []byte(fields[1]), n, r, p, len(want))
	if err != nil {
		return false, errUnknownHash
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
