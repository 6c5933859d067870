package tokens

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// MaxKeyFile bounds the file of an imported key, in bytes.
const MaxKeyFile = 64 << 10

// parseImported decodes a key of another program. PEM has a private key (PKCS #8, PKCS #1 or SEC 1), or a public one
// (PKIX or PKCS #1) that only verifies; with algorithm "" the key determines the algorithm. Any other text is an HMAC
// secret, such as Django's SECRET_KEY, whose final line break is removed; with algorithm "" it is for fallback.
func parseImported(raw []byte, algorithm, fallback string) (storedKey, error) {
	if len(raw) > MaxKeyFile {
		return storedKey{}, fmt.Errorf("the file has more than %d bytes: that is no key", MaxKeyFile)
	}
	if bytes.Contains(raw, []byte("-----BEGIN ")) {
		return parsePEM(raw, algorithm)
	}
	if algorithm == "" {
		algorithm = fallback
	}
	secret := bytes.TrimRight(raw, "\r\n")
	switch {
	case !symmetric(algorithm):
		return storedKey{}, errors.New("the file has no PEM, so it is taken for an HMAC secret: " +
			"say --algorithm HS256, HS384 or HS512")
	case bytes.ContainsAny(secret, "\r\n"):
		return storedKey{}, errors.New("the file has several lines: a secret is one")
	case len(secret) < minSecret:
		return storedKey{}, fmt.Errorf("the secret has %d bytes: with less than %d, %s", len(secret), minSecret,
			guessable)
	case variety(secret) < minVariety:
		return storedKey{}, fmt.Errorf("the secret has too little variety: %s", guessable)
	}
	return storedKey{Algorithm: algorithm, Secret: secret}, nil
}

const guessable = "anybody with a token can find it by guessing; " +
	"run accountd keys rotate to make a strong one, and give it to the services that verify tokens"

// minVariety is the least variety of an imported secret. Random secrets of 32 bytes have about 30. Of a million with 32
// hexadecimal digits, four have less than 24.
const minVariety = 24

// variety counts the different pairs of successive differences between bytes. It is low for repeated letters, for
// sequences and for random digits of base 2 or 3, however long. It does not recognise words.
func variety(secret []byte) int {
	type steps [2]byte
	seen := map[steps]bool{}
	for i := 2; i < len(secret); i++ {
		seen[steps{secret[i-1] - secret[i-2], secret[i] - secret[i-1]}] = true
	}
	return len(seen)
}

func parsePEM(raw []byte, algorithm string) (storedKey, error) {
	var found *pem.Block
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "EC PARAMETERS" { // openssl ecparam writes them before the key
			continue
		}
		if found != nil {
			return storedKey{}, errors.New("the file has several PEM blocks: leave the key alone in it")
		}
		found = block
	}
	if found == nil {
		return storedKey{}, errors.New("the file's PEM cannot be read")
	}
	key, public, err := parseBlock(found)
	if err != nil {
		return storedKey{}, err
	}
	if key.Algorithm, err = algorithmOf(public); err != nil {
		return storedKey{}, fmt.Errorf("the key cannot be used: %w", err)
	}
	if algorithm != "" && algorithm != key.Algorithm {
		return storedKey{}, fmt.Errorf("the key is for %s, not %s", key.Algorithm, algorithm)
	}
	return key, nil
}

// parseBlock returns a key in its stored form and its public part.
func parseBlock(block *pem.Block) (key storedKey, public any, err error) {
	var private any
	switch {
	case block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED PRIVATE KEY":
		return key, nil, errors.New("the key is encrypted with a passphrase: decrypt it first, as with openssl pkey")
	case block.Type == "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case strings.HasSuffix(block.Type, "CERTIFICATE"):
		return key, nil, errors.New("the file has a certificate: take its key out first, as with openssl x509 " +
			"-pubkey -noout")
	default:
		return key, nil, fmt.Errorf("a PEM block of type %q is no key that access tokens can have", block.Type)
	}
	if err != nil {
		return key, nil, fmt.Errorf("the key cannot be read: %w", err)
	}
	if private == nil {
		key.Public, err = x509.MarshalPKIXPublicKey(public)
		return key, public, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return key, nil, fmt.Errorf("the key cannot be used: a %T cannot sign", private)
	}
	key.Secret, err = x509.MarshalPKCS8PrivateKey(private)
	return key, signer.Public(), err
}
