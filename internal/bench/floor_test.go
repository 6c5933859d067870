//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"
	_ "modernc.org/sqlite"

	"accountd/internal/bench/dataset"
)

// serveBare is a bare net/http handler: it reads the body and answers that many bytes. With a directory, it first
// commits a transaction in a file there.
func serveBare(answer int, dir string) (address string, err error) {
	first := func() error { return nil }
	if dir != "" {
		if first, err = bareTransaction(dir); err != nil {
			return "", err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	body := bytes.Repeat([]byte("x"), answer)
	length := fmt.Sprint(answer)
	go func() {
		panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a client that goes away is not this server's business
			if err := first(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", length)
			_, _ = w.Write(body)
		})))
	}()
	return l.Addr().String(), nil
}

// floor is work that is repeated by several threads.
type floor struct {
	threads int
	once    func() error
	times   []time.Duration
}

func newFloor(t task) (*floor, error) {
	switch t.Kind {
	case "hash":
		debug.SetGCPercent(-1) // bareHash collects
		return &floor{threads: t.Threads, once: bareHash}, nil
	case "transaction":
		once, err := bareTransaction(t.Dir)
		return &floor{threads: 1, once: once}, err
	case "signature":
		return &floor{threads: t.Threads, once: bareSignature()}, nil
	default:
		return nil, fmt.Errorf("there is no task %q", t.Kind)
	}
}

// turn repeats the work for d, at least once.
func (f *floor) turn(d time.Duration, warm bool) (Turn, error) {
	start := time.Now()
	times, failed := make([][]time.Duration, f.threads), make([]error, f.threads)
	var running sync.WaitGroup
	for i := range f.threads {
		running.Go(func() {
			for begin := time.Now(); ; {
				if failed[i] = f.once(); failed[i] != nil {
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(begin))
				if now.Sub(start) >= d {
					return
				}
				begin = now
			}
		})
	}
	running.Wait()
	done := Turn{Elapsed: time.Since(start)}
	for _, list := range times {
		done.Done += len(list)
		if !warm {
			f.times = append(f.times, list...)
		}
	}
	done.P50, done.P99 = Percentiles(f.times)
	return done, errors.Join(failed...)
}

// bareHash is the library's hash with the default parameters (config.toml, passwords.argon2). Its 19 MiB of garbage
// are collected at once, because the next hash then gets the same memory, which is faster than new memory.
func bareHash() error {
	defer runtime.GC()
	_, err := argon2id.CreateHash(dataset.Password, &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1,
		SaltLength: 16, KeyLength: 32})
	return err
}

// bareTransaction is one durable row of SQLite in a transaction of its own, by the driver and in the mode that the
// program uses.
func bareTransaction(dir string) (func() error, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "floor.db")+
		"?_pragma=synchronous(FULL)&_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`); err != nil {
		return nil, err
	}
	insert, err := db.Prepare(`INSERT INTO rows (name) VALUES (?)`)
	if err != nil {
		return nil, err
	}
	name := strings.Repeat("x", 32) // as long as a refresh token
	return func() error {
		_, err := insert.ExecContext(context.Background(), name)
		return err
	}, nil
}

// bareSignature makes and verifies an HS256 signature of a token's size.
func bareSignature() func() error {
	key, claims := bytes.Repeat([]byte("k"), 32), bytes.Repeat([]byte("c"), 250)
	return func() error {
		sign := func() []byte {
			mac := hmac.New(sha256.New, key)
			mac.Write(claims)
			return mac.Sum(nil)
		}
		token := base64.RawURLEncoding.EncodeToString(sign())
		signature, err := base64.RawURLEncoding.DecodeString(token)
		if err == nil && !hmac.Equal(signature, sign()) {
			err = errors.New("a signature is not its own")
		}
		return err
	}
}
