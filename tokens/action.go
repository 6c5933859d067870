package tokens

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// Purpose is the one operation that an action token authorises.
type Purpose string

// The purposes of action tokens.
const (
	Activation     Purpose = "activation"
	PasswordReset  Purpose = "password_reset"
	PasswordSet    Purpose = "password_set"
	SecondaryEmail Purpose = "secondary_email"
)

// purposeCodes are part of tokens in mails that have been sent: never change or reuse one.
var purposeCodes = map[Purpose]byte{Activation: 1, PasswordReset: 2, PasswordSet: 3, SecondaryEmail: 4}

// Action is the content of an action token. Address and Epoch bind it to a state of the user. The caller compares
// them with the user's row, which is how a used or outdated token is found.
type Action struct {
	Purpose  Purpose
	User     int64
	Address  string
	Epoch    int64
	IssuedAt int64 // unix seconds
}

const (
	actionVersion = 1
	nonceBytes    = 16   // two tokens for the same state differ
	maxAction     = 1024 // bytes of a token
)

// SignAction makes a token with the content of a, issued now. It is safe in URLs.
func (i *Issuer) SignAction(a Action) (string, error) {
	code, ok := purposeCodes[a.Purpose]
	if !ok {
		return "", fmt.Errorf("sign action token: unknown purpose %q", a.Purpose)
	}
	b := append([]byte{actionVersion, code}, randomBytes(nonceBytes)...)
	b = binary.AppendVarint(b, i.now().Unix())
	b = binary.AppendVarint(b, a.User)
	b = binary.AppendVarint(b, a.Epoch)
	b = append(b, a.Address...)
	b = append(b, mac(i.keys.ring().action[0], b)...)
	token := base64.RawURLEncoding.EncodeToString(b)
	if len(token) > maxAction {
		return "", fmt.Errorf("sign action token: an address of %d bytes is too long", len(a.Address))
	}
	return token, nil
}

// VerifyAction returns the content of a token. It checks, in this order, the signature (ErrInvalid), the age against
// the lifetime of want (ErrExpired) and the purpose (ErrInvalid).
func (i *Issuer) VerifyAction(raw string, want Purpose) (Action, error) {
	if len(raw) > maxAction {
		return Action{}, ErrInvalid
	}
	b, err := decodeSegment(raw)
	if err != nil || len(b) < 2+nonceBytes+sha256.Size {
		return Action{}, ErrInvalid
	}
	b, sum := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	signed := func(key []byte) bool { return hmac.Equal(mac(key, b), sum) }
	if !slices.ContainsFunc(i.keys.ring().action, signed) || b[0] != actionVersion {
		return Action{}, ErrInvalid
	}
	a, code := Action{Purpose: want}, b[1]
	b = b[2+nonceBytes:]
	for _, field := range []*int64{&a.IssuedAt, &a.User, &a.Epoch} {
		value, n := binary.Varint(b)
		if n <= 0 {
			return Action{}, ErrInvalid
		}
		*field, b = value, b[n:]
	}
	a.Address = string(b)
	if i.now().Unix()-a.IssuedAt > int64(i.lifetimes[want]/time.Second) {
		return Action{}, ErrExpired
	}
	if purposeCodes[want] != code {
		return Action{}, ErrInvalid
	}
	return a, nil
}

func mac(key, message []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

// Pseudonym is a keyed hash of text, to be stored in its place: it cannot be reversed by guessing without the key
// file. The same text has different pseudonyms under different labels. All of them change with the first action key.
func (i *Issuer) Pseudonym(label, text string) string {
	message := append([]byte("\xffpseudonym\x00"+label+"\x00"), text...) // 0xff begins no action token
	return base64.RawURLEncoding.EncodeToString(mac(i.keys.ring().action[0], message)[:16])
}
