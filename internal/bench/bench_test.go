//go:build unix

// Package bench measures the built program over HTTP, each operation beside its floor: what the machine
// does at best for the part that cannot be left out. Absolute figures drift with the machine's
// neighbours; the ratio, taken in one run, does not.
//
//	go test -run '^$' -bench . ./internal/bench
package bench

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	_ "modernc.org/sqlite"

	"accountd/internal/servertest"
)

const floorServer = "ACCOUNTD_BENCH_FLOOR" // set in the process that plays the bare net/http server

// password of every account made here; the default settings hash it.
const password = "quiet-otter-42"

func TestMain(m *testing.M) {
	if os.Getenv(floorServer) != "" {
		serveFloor()
		return
	}
	os.Exit(m.Run())
}

// serveFloor is net/http with nothing in it: it reads the body and answers as many bytes as me does.
func serveFloor() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("http://%s\n", l.Addr())
	body := []byte(`{"data":{"me":{"id":"VXNlck5vZGU6MQ==","username":"bench0","email":"bench0@example.com","verified":false}}}`)
	panic(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that goes away is not this server's business
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})))
}

func startFloor(b *testing.B) string {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), floorServer+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	var url string
	if _, err := fmt.Fscanln(out, &url); err != nil {
		b.Fatal(err)
	}
	return url
}

// run does n operations from so many clients at once and returns how long they took together.
func run(b *testing.B, clients, n int, op func(client, i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for c := range clients {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := op(c, int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// turns is how often floor and operation take turns: the machine's speed changes within seconds.
const turns = 8

// compare times op beside floor, b.N of each, and reports operations a second and their ratio.
func compare(b *testing.B, clients, floorClients int, floor, op func(client, i int) error) {
	b.Helper()
	b.StopTimer()
	b.ResetTimer()
	var bare, ours time.Duration
	for turn := range turns {
		n := b.N*(turn+1)/turns - b.N*turn/turns
		bare += run(b, floorClients, n, floor)
		b.StartTimer()
		ours += run(b, clients, n, op)
		b.StopTimer()
	}
	b.ReportMetric(float64(b.N)/ours.Seconds(), "ops/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "floor/s")
	b.ReportMetric(100*bare.Seconds()/ours.Seconds(), "%-of-floor")
}

func newClient(clients int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
}

// post sends a body and drains the answer, which has to contain want.
func post(client *http.Client, url, token string, body []byte, want string) error {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "JWT "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !bytes.Contains(answer, []byte(want)) {
		return fmt.Errorf("answer %d %s lacks %s", resp.StatusCode, answer, want)
	}
	return nil
}

func queryBody(b *testing.B, query string, variables map[string]any) []byte {
	b.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func bareHandler(b *testing.B, clients int, body []byte) func(client, i int) error {
	url := startFloor(b)
	client := newClient(clients)
	return func(int, int) error { return post(client, url, "", body, "VXNlck5vZGU6MQ==") }
}

func bareHash(_, _ int) error {
	_, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	return err
}

// bareTransaction is one durable row of SQLite in a transaction of its own, in the mode accountd uses.
func bareTransaction(b *testing.B) func(client, i int) error {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "floor.db")+
		"?_pragma=busy_timeout(5000)&_pragma=synchronous(FULL)&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(b.Context(), `CREATE TABLE rows (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE)`); err != nil {
		b.Fatal(err)
	}
	insert, err := db.PrepareContext(b.Context(), `INSERT INTO rows (name) VALUES (?)`)
	if err != nil {
		b.Fatal(err)
	}
	return func(_, i int) error {
		_, err := insert.ExecContext(context.Background(), strconv.FormatInt(time.Now().UnixNano(), 36)+"."+strconv.Itoa(i))
		return err
	}
}

func start(b *testing.B) *servertest.Server {
	b.Helper()
	return servertest.Start(b, filepath.Join(b.TempDir(), "data"))
}

func register(b *testing.B, s *servertest.Server, name string) *servertest.Session {
	b.Helper()
	session, err := s.Register(http.DefaultClient, name, password)
	if err != nil {
		b.Fatal(err)
	}
	if !session.Success {
		b.Fatalf("register %s: %s", name, session.Errors)
	}
	return session
}

func BenchmarkMe(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := start(b)
			token := register(b, s, "bench0").Token
			body := queryBody(b, `query Me { me { id username email verified } }`, nil)
			client := newClient(clients)
			compare(b, clients, clients, bareHandler(b, clients, body), func(int, int) error {
				return post(client, s.URL+"/graphql", token, body, `"username":"bench0"`)
			})
		})
	}
}

func BenchmarkVerifyToken(b *testing.B) {
	const clients = 16
	s := start(b)
	token := register(b, s, "bench0").Token
	body := queryBody(b, `mutation V($t: String) { verifyToken(token: $t) { success payload } }`, map[string]any{"t": token})
	client := newClient(clients)
	compare(b, clients, clients, bareHandler(b, clients, body), func(int, int) error {
		return post(client, s.URL+"/graphql", "", body, `"success":true`)
	})
}

func BenchmarkRefreshToken(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			s := start(b)
			client := newClient(clients)
			refresh := make([]string, clients) // each client has a session of its own
			for i := range refresh {
				refresh[i] = register(b, s, fmt.Sprintf("bench%d", i)).RefreshToken
			}
			compare(b, clients, clients, bareTransaction(b), func(c, _ int) error {
				answer, err := s.Ask(client, "", `mutation R($t: String) { refreshToken(refreshToken: $t) { success token refreshToken } }`, map[string]any{"t": refresh[c]})
				if err != nil {
					return err
				}
				var out servertest.Session
				if err := answer.Field("refreshToken", &out); err != nil {
					return err
				}
				if !out.Success {
					return fmt.Errorf("refresh refused")
				}
				refresh[c] = out.RefreshToken
				return nil
			})
		})
	}
}

func BenchmarkTokenAuth(b *testing.B) {
	const clients = 16
	s := start(b)
	register(b, s, "bench0")
	body := queryBody(b, `mutation L($p: String!) { tokenAuth(username: "bench0", password: $p) { success token } }`, map[string]any{"p": password})
	client := newClient(clients)
	compare(b, clients, runtime.NumCPU(), bareHash, func(int, int) error {
		return post(client, s.URL+"/graphql", "", body, `"success":true`)
	})
}

func BenchmarkRegister(b *testing.B) {
	const clients = 16
	s := start(b)
	client := newClient(clients)
	var unique atomic.Int64
	compare(b, clients, runtime.NumCPU(), bareHash, func(int, int) error {
		session, err := s.Register(client, fmt.Sprintf("bench%d", unique.Add(1)), password)
		if err == nil && !session.Success {
			err = fmt.Errorf("register: %s", session.Errors)
		}
		return err
	})
}

// BenchmarkFootprint prints start to first answer with an existing file, and resident memory idle and
// after 200 logins at once (its high-water mark).
func BenchmarkFootprint(b *testing.B) {
	dataDir := filepath.Join(b.TempDir(), "data")
	s := servertest.Start(b, dataDir)
	register(b, s, "bench0")
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	var startup time.Duration
	for b.Loop() {
		begin := time.Now()
		s = servertest.Start(b, dataDir)
		if _, err := s.Ask(http.DefaultClient, "", `{ me { id } }`, nil); err != nil {
			b.Fatal(err)
		}
		startup += time.Since(begin)
		b.StopTimer()
		b.ReportMetric(resident(b, s, "VmRSS"), "idle-MiB")
		var refused atomic.Int64
		run(b, 200, 200, func(int, int) error {
			session, err := s.Login(newClient(1), "bench0", password)
			if err != nil && strings.Contains(err.Error(), "status 503") {
				refused.Add(1) // told to come back: the queue is bounded
				return nil
			}
			if err == nil && !session.Success {
				err = fmt.Errorf("login: %s", session.Errors)
			}
			return err
		})
		b.ReportMetric(resident(b, s, "VmHWM"), "200-logins-MiB")
		b.ReportMetric(float64(refused.Load()), "told-busy")
		s.Kill()
		b.StartTimer()
	}
	b.ReportMetric(float64(startup.Milliseconds())/float64(b.N), "start-ms")
}

// resident reads a memory figure of the server's process in MiB; 0 where there is no /proc.
func resident(b *testing.B, s *servertest.Server, field string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Cmd.Process.Pid))
	if err != nil {
		b.Logf("no memory figures on this system: %v", err)
		return 0
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name == field {
			var kib float64
			if _, err := fmt.Sscanf(strings.TrimSpace(value), "%g kB", &kib); err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatalf("/proc has no %s", field)
	return 0
}
