package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"accountd/internal/durable"
)

// KeyKind is what a key is for.
type KeyKind string

// The kinds of keys.
const (
	AccessKeys KeyKind = "access" // sign access tokens
	ActionKeys KeyKind = "action" // sign the tokens in mails
	SealKeys   KeyKind = "seal"   // encrypt mails that wait in the outbox
)

// Key is what an operator may see of one key: not its secret.
type Key struct {
	ID        string
	Kind      KeyKind
	Algorithm string
	Created   time.Time // zero: unknown
	Signs     bool      // new tokens are signed, new mails sealed with it
	Verifies  bool      // old ones are accepted, old mails opened
}

// KeyFile is a key ring as a file to change. Whoever changes it holds a lock that keeps others from doing so; servers
// and commands that only read need none.
type KeyFile struct {
	Path      string
	Algorithm string // tokens.algorithm
	Now       func() time.Time
}

const (
	// maxKeys is how many keys of one kind a ring may have: a token that names none of them is held against all.
	maxKeys = 32

	// settled is how long after a change every process is sure to use it: followInterval, and much more.
	settled = time.Minute
)

// List gives every key, by kind, the one in use first.
func (f KeyFile) List() ([]Key, error) {
	raw, err := readRing(f.Path)
	if err != nil {
		return nil, err
	}
	file, err := parseRing(raw)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", f.Path, err)
	}
	return file.describe(f.Algorithm), nil
}

// Check reads the file as OpenKeys does, and makes none.
func (f KeyFile) Check() error {
	raw, err := readRing(f.Path)
	if err != nil {
		return err
	}
	return (&Keys{path: f.Path, algorithm: f.Algorithm}).use(raw)
}

func (f *ringFile) describe(algorithm string) []Key {
	var list []Key
	add := func(kind KeyKind, stored storedKey, alg string, signs, verifies bool) {
		k := Key{ID: stored.ID, Kind: kind, Algorithm: alg, Signs: signs, Verifies: verifies}
		if stored.Created != 0 {
			k.Created = time.Unix(stored.Created, 0).UTC()
		}
		list = append(list, k)
	}
	signing := slices.IndexFunc(f.Access, func(k storedKey) bool { return k.Algorithm == algorithm && k.Secret != nil })
	for i, stored := range f.Access {
		add(AccessKeys, stored, stored.Algorithm, i == signing, stored.Algorithm == algorithm)
	}
	for i, stored := range f.Action {
		add(ActionKeys, stored, "HMAC-SHA256", i == 0, true)
	}
	for i, stored := range f.Seal {
		add(SealKeys, stored, "AES-256-GCM", i == 0, true)
	}
	return list
}

// Rotate makes a new key of a kind that signs or seals from now on; the others go on verifying. algorithm is for access
// keys; one that is not the configured one waits for the setting to change.
func (f KeyFile) Rotate(kind KeyKind, algorithm string) (Key, error) {
	return f.edit(func(file *ringFile) (string, error) {
		if kind == AccessKeys {
			key, err := newKey(algorithm, f.Now())
			file.Access = slices.Insert(file.Access, 0, key)
			return key.ID, err
		}
		key := newSecret(32, f.Now())
		list := file.list(kind)
		*list = slices.Insert(*list, 0, key)
		return key.ID, nil
	})
}

// Import adds an access key that exists already: PEM, or the text of an HMAC secret of at least 32 bytes. With algorithm ""
// a pair says itself what it is for, and a secret is for the configured algorithm. With sign the key signs from now on,
// otherwise it only verifies.
func (f KeyFile) Import(raw []byte, algorithm string, sign bool) (Key, error) {
	return f.edit(func(file *ringFile) (string, error) {
		key, err := parseImported(raw, algorithm, f.Algorithm)
		if err != nil {
			return "", err
		}
		if sign && key.Secret == nil {
			return "", errors.New("a public key cannot sign: import the private key, or leave out --sign")
		}
		for _, other := range file.Access {
			if other.Algorithm == key.Algorithm && bytes.Equal(other.Secret, key.Secret) && bytes.Equal(other.Public, key.Public) {
				return "", fmt.Errorf("the ring has this key already: %s", other.ID)
			}
		}
		key.ID, key.Created = newID(), f.Now().Unix()
		at := len(file.Access)
		if sign {
			at = 0
		}
		file.Access = slices.Insert(file.Access, at, key)
		return key.ID, nil
	})
}

// Retire removes a key: what it signed is refused from then on, what it sealed cannot be opened. The key that is in use
// stays, and so does a seal key that a server may still be using.
func (f KeyFile) Retire(id string) (Key, error) {
	var retired Key
	_, err := f.edit(func(file *ringFile) (string, error) {
		keys := file.describe(f.Algorithm)
		at := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
		if at < 0 {
			return "", fmt.Errorf("there is no key %q: accountd keys list shows those there are", id)
		}
		retired = keys[at]
		if retired.Signs {
			return "", fmt.Errorf("%s is the key that is in use: run accountd keys rotate --kind %s, and retire it when what it signed has expired", id, retired.Kind)
		}
		list := file.list(retired.Kind)
		if since := f.Now().Unix() - (*list)[0].Created; retired.Kind == SealKeys && since < int64(settled/time.Second) {
			return "", fmt.Errorf("%s was in use until %d s ago: retire it in %s", id, since, settled)
		}
		*list = slices.DeleteFunc(*list, func(k storedKey) bool { return k.ID == id })
		return "", nil
	})
	return retired, err
}

func (f *ringFile) list(kind KeyKind) *[]storedKey {
	switch kind {
	case AccessKeys:
		return &f.Access
	case ActionKeys:
		return &f.Action
	}
	return &f.Seal
}

// edit changes the file as a whole or not at all, and describes the key that change names.
func (f KeyFile) edit(change func(*ringFile) (id string, err error)) (Key, error) {
	raw, err := readRing(f.Path)
	if err != nil {
		return Key{}, err
	}
	file, err := parseRing(raw)
	if err != nil {
		return Key{}, fmt.Errorf("key file %s: %w", f.Path, err)
	}
	id, err := change(file)
	if err != nil {
		return Key{}, err
	}
	for _, list := range [][]storedKey{file.Access, file.Action, file.Seal} {
		if len(list) > maxKeys {
			return Key{}, fmt.Errorf("the ring has %d keys of this kind: retire those that are not needed", maxKeys)
		}
	}
	if raw, err = file.encode(); err == nil {
		err = durable.Replace(f.Path, raw)
	}
	if err != nil {
		return Key{}, fmt.Errorf("write key file %s: %w", f.Path, err)
	}
	keys := file.describe(f.Algorithm)
	if at := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id }); at >= 0 {
		return keys[at], nil
	}
	return Key{}, nil
}
