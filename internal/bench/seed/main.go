// Command seed makes a data directory with as many users and sessions as a measurement wants:
//
//	go run ./internal/bench/seed -users 1000000 -sessions 2000000 -o /tmp/million
//	accountd serve --data-dir /tmp/million
//
// Package dataset describes the users. A million users and two million sessions take 1.1 GB and one to three minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"accountd/internal/bench/dataset"
)

func main() {
	users := flag.Int("users", 1000, "how `many` users, besides the administrator")
	sessions := flag.Int("sessions", 0, "how `many` sessions these have together")
	out := flag.String("o", "", "the `directory` to make")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	began := time.Now()
	if err := dataset.Make(ctx, *out, dataset.Size{Users: *users, Sessions: *sessions}, os.Environ(),
		time.Now); err != nil {
		fmt.Fprintf(os.Stderr, "seed: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("%s: %d users, %d sessions, made in %.0f s\n", *out, *users, *sessions, time.Since(began).Seconds())
	fmt.Printf("administrator %s, users %s to %s, password %s\n", dataset.Admin, dataset.Username(1),
		dataset.Username(*users), dataset.Password)
	if *sessions > 0 {
		fmt.Printf("refresh token of session 1, of %s: %s\n", dataset.Username(dataset.Owner(1, *users)),
			dataset.RefreshToken(1))
	}
}
