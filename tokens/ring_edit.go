package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"accountd/internal/durable"
)

// KeyKind is the use of a key.
type KeyKind string

// The kinds of keys.
const (
	AccessKeys KeyKind = "access" // sign access tokens
	ActionKeys KeyKind = "action" // sign the tokens in mails
	SealKeys   KeyKind = "seal"   // encrypt mails that wait in the outbox
)

var keyKinds = []KeyKind{AccessKeys, ActionKeys, SealKeys}

// Key is the public description of a key.
type Key struct {
	ID        string
	Kind      KeyKind
	Algorithm string
	Created   time.Time // zero: unknown
	Signs     bool      // it signs new tokens or seals new mails
	Verifies  bool      // it verifies tokens or opens mails
}

// KeyFile edits a key ring. The caller of Rotate, Import and Retire holds a lock that keeps other writers out.
// Readers need no lock.
type KeyFile struct {
	Path      string
	Algorithm string // tokens.algorithm
	Now       func() time.Time
}

const (
	// maxKeys bounds the keys of one kind: a token with an unknown kid is verified with each of them.
	maxKeys = 32

	// propagation is the time after which every process uses a changed ring: followInterval with a wide margin.
	propagation = time.Minute
)

// List describes every key, by kind, the one that signs or seals first.
func (f KeyFile) List() ([]Key, error) {
	file, err := f.read()
	if err != nil {
		return nil, err
	}
	return file.describe(f.Algorithm), nil
}

func (f KeyFile) read() (*ringFile, error) {
	raw, err := readRing(f.Path)
	if err != nil {
		return nil, err
	}
	return parseRing(f.Path, raw)
}

// Check validates the file as OpenKeys does. It creates none.
func (f KeyFile) Check() error {
	raw, err := readRing(f.Path)
	if err != nil {
		return err
	}
	return (&Keys{path: f.Path, algorithm: f.Algorithm}).use(raw)
}

func (f *ringFile) describe(algorithm string) []Key {
	signing := slices.IndexFunc(f.Access, func(k storedKey) bool { return k.Algorithm == algorithm && k.Secret != nil })
	var list []Key
	for _, kind := range keyKinds {
		for i, stored := range *f.list(kind) {
			k := Key{ID: stored.ID, Kind: kind, Algorithm: "HMAC-SHA256", Signs: i == 0, Verifies: true}
			switch kind {
			case AccessKeys:
				k.Algorithm, k.Signs, k.Verifies = stored.Algorithm, i == signing, stored.Algorithm == algorithm
			case SealKeys:
				k.Algorithm = "AES-256-GCM"
			}
			if stored.Created != 0 {
				k.Created = time.Unix(stored.Created, 0).UTC()
			}
			list = append(list, k)
		}
	}
	return list
}

// Rotate generates a key that signs or seals from now on. The older keys still verify or open. algorithm is for access
// keys only. If it is not the configured one, the key is used once the setting changes.
func (f KeyFile) Rotate(kind KeyKind, algorithm string) (Key, error) {
	return f.edit(func(file *ringFile) (string, error) { return file.generate(kind, algorithm, f.Now()) })
}

func (f *ringFile) generate(kind KeyKind, algorithm string, now time.Time) (id string, err error) {
	if kind != AccessKeys {
		algorithm = ""
	}
	key, err := newKey(algorithm, now)
	list := f.list(kind)
	*list = slices.Insert(*list, 0, key)
	return key.ID, err
}

// Import adds an access key from PEM or from the text of an HMAC secret of at least 32 bytes. If algorithm is "", a
// PEM key determines it, and a secret is for the configured one. With sign the key signs from now on, otherwise it
// only verifies.
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
			same := bytes.Equal(other.Secret, key.Secret) && bytes.Equal(other.Public, key.Public)
			if same && other.Algorithm == key.Algorithm {
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

// Retire removes a key. Tokens that it signed are refused from then on, and mails that it sealed cannot be opened. It
// refuses to remove the key that signs or seals, or a seal key that a server may still use.
func (f KeyFile) Retire(id string) (Key, error) {
	return f.edit(func(file *ringFile) (string, error) {
		keys := file.describe(f.Algorithm)
		at := slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })
		if at < 0 {
			return "", fmt.Errorf("there is no key %q: run accountd keys list for the ids", id)
		}
		retired := keys[at]
		if retired.Signs {
			return "", fmt.Errorf("%s is the key that is in use: run accountd keys rotate --kind %s, "+
				"and retire it when what it signed has expired", id, retired.Kind)
		}
		list := file.list(retired.Kind)
		since := f.Now().Unix() - (*list)[0].Created
		if retired.Kind == SealKeys && since < int64(propagation/time.Second) {
			return "", fmt.Errorf("%s was in use until %d s ago: retire it in %s", id, since, propagation)
		}
		*list = slices.DeleteFunc(*list, func(k storedKey) bool { return k.ID == id })
		return id, nil
	})
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

// edit changes the file atomically. It describes the key whose id change returns, which may be there before or after.
func (f KeyFile) edit(change func(*ringFile) (id string, err error)) (Key, error) {
	file, err := f.read()
	if err != nil {
		return Key{}, err
	}
	before := file.describe(f.Algorithm)
	id, err := change(file)
	if err != nil {
		return Key{}, err
	}
	for _, kind := range keyKinds {
		if len(*file.list(kind)) > maxKeys {
			return Key{}, fmt.Errorf("the ring has %d keys of this kind: retire those that are not needed", maxKeys)
		}
	}
	if err := durable.Replace(f.Path, file.encode()); err != nil {
		return Key{}, fmt.Errorf("write key file %s: %w", f.Path, err)
	}
	keys := append(file.describe(f.Algorithm), before...)
	return keys[slices.IndexFunc(keys, func(k Key) bool { return k.ID == id })], nil
}
