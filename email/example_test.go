package email_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"time"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// A message is stored in the transaction that causes it. After the commit it is a file in the spool.
func ExampleOutbox() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "email")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := store.Open(ctx, filepath.Join(dir, "accountd.db"), time.Now)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", time.Now)
	if err != nil {
		log.Fatal(err)
	}
	spool := filepath.Join(dir, "spool")
	outbox, err := email.New(db, keys, email.Settings{
		From: "Acme <accounts@acme.example>", SiteName: "Acme", LinkBase: "https://acme.example",
		ActivationPath: "activate",
		SpoolDir:       spool, MaxOutbox: 1000,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		log.Fatal(err)
	}
	if err := outbox.Start(ctx); err != nil { // from here on this process publishes
		log.Fatal(err)
	}

	err = db.Write(ctx, func(tx *store.Tx) error {
		user := email.User{ID: 1, Username: "ada", Email: "ada@example.com"}
		return outbox.Send(ctx, tx, email.Mail{Kind: email.Activation, To: user.Email, User: user, Token: "TOKEN"})
	})
	if err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(spool, "new", "*.eml"))
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		message, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(message.Header.Get("To"), "-", message.Header.Get("Subject"))
		fmt.Println(bytes.Contains(raw, []byte("https://acme.example/activate/TOKEN")))
	}
	// Output:
	// <ada@example.com> - Activate your account on Acme
	// true
}

// Preview composes a message with sample data, here from the embedded templates.
func ExampleComposer_Preview() {
	composer, err := email.NewComposer(email.Settings{
		From: "accounts@acme.example", SiteName: "Acme", LinkBase: "https://acme.example", PasswordResetPath: "reset",
	})
	if err != nil {
		log.Fatal(err)
	}
	message, err := composer.Preview(email.PasswordReset, time.Unix(0, 0))
	fmt.Println(message.Subject, err)
	fmt.Println(composer.Link(email.PasswordReset, "TOKEN"))
	// Output:
	// Reset your password on Acme <nil>
	// https://acme.example/reset/TOKEN
}
