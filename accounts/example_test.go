package accounts_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

// Example registers a user, verifies the address with the token of the activation mail, and logs in.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "accounts-example")
	check(err)
	defer os.RemoveAll(dir)
	svc, db := open(ctx, dir)
	defer db.Close()

	_, err = svc.Register(ctx, accounts.RegisterInput{
		Fields:    accounts.Values{"email": "Ada@Example.com", "username": "ada"},
		Password1: "quiet-otter-42", Password2: "quiet-otter-42",
	})
	check(err)

	name := "ada"
	login := accounts.LoginInput{Username: &name, Password: "quiet-otter-42"}
	_, err = svc.Login(ctx, login)
	fmt.Println("before:", err)

	check(svc.VerifyAccount(ctx, accounts.TokenInput{Token: mailedToken(dir)}))

	session, err := svc.Login(ctx, login)
	check(err)
	user, err := svc.Caller(session.Token).User(ctx)
	check(err)
	fmt.Println("after:", user.Username, user.Email, user.Verified)
	// Output:
	// before: nonFieldErrors: Please verify your account.
	// after: ada Ada@example.com true
}

// open makes the service and the database of a new data directory.
func open(ctx context.Context, dir string) (*accounts.Service, *store.DB) {
	db, err := store.Open(ctx, filepath.Join(dir, "accountd.db"), time.Now)
	check(err)
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), "HS256", time.Now)
	check(err)
	issuer, err := tokens.New(keys, tokens.Settings{
		Algorithm: "HS256", AccessLifetime: 5 * time.Minute, AllowRefresh: true, LongRunning: true, Rotation: "rotate",
		RefreshLifetime: 24 * time.Hour, RefreshBytes: 32, SessionsPerUser: 10, ActivationLifetime: 24 * time.Hour,
	}, time.Now)
	check(err)
	log := slog.New(slog.DiscardHandler)
	outbox, err := email.New(db, keys, email.Settings{
		From: "accounts@example.org", SiteName: "Acme", LinkBase: "https://acme.example", ActivationPath: "activate",
		SpoolDir: filepath.Join(dir, "spool"), MaxOutbox: 100,
	}, log)
	check(err)
	check(outbox.Start(ctx))
	svc, err := accounts.New(db, issuer, outbox, accounts.Settings{
		LoginFields: []string{"username"}, RegisterFields: []string{"email", "username"}, SendActivationEmail: true,
		Passwords: password.Settings{
			MinLength: 8, MaxBytes: 1024,
			Argon2: password.Argon2Settings{MemoryKiB: 19 << 10, Iterations: 2, Parallelism: 1, Queue: 10},
		},
	}, log)
	check(err)
	return svc, db
}

// mailedToken returns the token of the one mail in the spool.
func mailedToken(dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "spool", "new", "*.eml"))
	check(err)
	mail, err := os.ReadFile(files[0])
	check(err)
	return string(regexp.MustCompile(`https://acme\.example/activate/(\S+)`).FindSubmatch(mail)[1])
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
