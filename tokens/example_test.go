package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

// A login starts a session. Its refresh token is exchanged for the next pair, and revoking it ends the session.
func ExampleIssuer() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	now := func() time.Time { return time.Unix(1_800_000_000, 0) }
	db, err := store.Open(ctx, filepath.Join(dir, "accountd.db"), now)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", now)
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := tokens.New(keys, tokens.Settings{
		Algorithm: "HS256", AccessLifetime: 5 * time.Minute, RefreshLifetime: 7 * 24 * time.Hour,
		AllowRefresh: true, LongRunning: true, Rotation: "rotate", RefreshBytes: 32, SessionsPerUser: 10,
	}, now)
	if err != nil {
		log.Fatal(err)
	}

	ada := tokens.Subject{ID: 1, Username: "ada"}
	var first, second tokens.Pair
	err = db.Write(ctx, func(tx *store.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO users (id, email, date_joined) VALUES (1, 'ada@example.com', 0);
			INSERT INTO addresses (canonical, user_id, address) VALUES ('ada@example.com', 1, 'ada@example.com')`)
		if err != nil {
			return err
		}
		if first, err = issuer.Start(ctx, tx, ada); err != nil {
			return err
		}
		second, err = issuer.Refresh(ctx, tx, first.Refresh, func(int64) (tokens.Subject, error) { return ada, nil })
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	claims, err := issuer.Verify(second.Access)
	fmt.Println(claims.Username, claims.ExpiresAt-claims.IssuedAt, claims.Session == first.Session, err)

	err = db.Write(ctx, func(tx *store.Tx) error {
		if _, err := issuer.Revoke(ctx, tx, first.Refresh); err != nil { // a rotated token will do
			return err
		}
		_, err := issuer.Revoke(ctx, tx, second.Refresh)
		return err
	})
	fmt.Println(errors.Is(err, tokens.ErrInvalid))
	// Output:
	// ada 300 true <nil>
	// true
}

// A link in a mail carries an action token, which works for one purpose.
func ExampleIssuer_SignAction() {
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", time.Now)
	if err != nil {
		log.Fatal(err)
	}
	settings := tokens.Settings{Algorithm: "HS256", RefreshBytes: 32, PasswordResetLifetime: time.Hour,
		ActivationLifetime: time.Hour}
	issuer, err := tokens.New(keys, settings, time.Now)
	if err != nil {
		log.Fatal(err)
	}
	reset := tokens.Action{Purpose: tokens.PasswordReset, User: 1, Address: "ada@example.com", Epoch: 7}
	token, err := issuer.SignAction(reset)
	if err != nil {
		log.Fatal(err)
	}
	action, err := issuer.VerifyAction(token, tokens.PasswordReset)
	fmt.Println(action.User, action.Address, action.Epoch, err) // the caller compares these with the user's row
	_, err = issuer.VerifyAction(token, tokens.Activation)
	fmt.Println(err)
	// Output:
	// 1 ada@example.com 7 <nil>
	// invalid token
}
