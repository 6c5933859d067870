//go:build unix

package servertest

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"accountd/internal/store"
)

// Public are the settings of a server that a reverse proxy makes public: its listener stays on loopback.
var Public = slices.Concat(CheapHashing, []string{"ACCOUNTD_SERVER_PUBLIC_URL=https://accounts.example",
	"ACCOUNTD_SERVER_ALLOWED_HOSTS=127.0.0.1"})

// Reply is an answer as it came.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Has reports whether the answer's first error has the code.
func (r Reply) Has(code string) bool {
	var answer Answer
	err := json.Unmarshal([]byte(r.Body), &answer)
	return err == nil && len(answer.Errors) > 0 && answer.Errors[0].Extensions["code"] == code
}

// Send sends one request as it is; headers are names and values in turn.
func (s *Server) Send(tb testing.TB, method, target, body string, headers ...string) Reply {
	tb.Helper()
	req, err := http.NewRequest(method, s.URL+target, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == "Host" {
			req.Host = pair[1]
		}
		req.Header.Add(pair[0], pair[1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return Reply{resp.StatusCode, resp.Header, string(raw)}
}

// Post posts a query, and its variables as JSON where there are any.
func (s *Server) Post(tb testing.TB, path, query, variables string, headers ...string) Reply {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": json.RawMessage("null")})
	if variables != "" {
		body, err = json.Marshal(map[string]any{"query": query, "variables": json.RawMessage(variables)})
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s.Send(tb, "POST", path, string(body), append([]string{"Content-Type", "application/json", "Accept",
		"application/graphql-response+json"}, headers...)...)
}

// Open opens the file of a server beside it.
func (s *Server) Open(tb testing.TB) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), filepath.Join(s.DataDir, "accountd.db"), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// Exec runs a statement on the file of a server beside it.
func (s *Server) Exec(tb testing.TB, statement string, args ...any) {
	tb.Helper()
	err := s.Open(tb).Write(tb.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(tb.Context(), statement, args...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// MailsTo returns the files in a spool's new for a recipient, oldest first.
func MailsTo(tb testing.TB, spool, to string) (mails []string) {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(spool, "new", "*.eml"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if strings.Contains(string(raw), "\r\nTo: <"+to+">\r\n") {
			mails = append(mails, string(raw))
		}
	}
	return mails
}

// Await waits for something that a running server does by itself.
func (s *Server) Await(tb testing.TB, done func() bool) {
	tb.Helper()
	look, tooLong := time.NewTicker(20*time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-tooLong:
			tb.Fatalf("it does not happen\n%s", s.Log())
		}
	}
}

// Refresh hands in a refresh token and returns what came of it.
func (s *Server) Refresh(token string) (*Session, error) {
	answer, err := s.Ask(http.DefaultClient, "",
		`mutation R($t: String!) { refreshToken(refreshToken: $t) { success errors token refreshToken } }`,
		map[string]any{"t": token})
	if err != nil {
		return nil, err
	}
	var out Session
	return &out, answer.Field("refreshToken", &out)
}

// Whose says whose an access token is, by me and by verifyToken: "" for nobody's. The two have to agree.
func (s *Server) Whose(tb testing.TB, token string) string {
	tb.Helper()
	var me *struct{ Username string }
	answer, err := s.Ask(http.DefaultClient, "", `{ me { username } }`, nil)
	if token != "" {
		answer, err = s.Ask(http.DefaultClient, token, `{ me { username } }`, nil)
	}
	if err == nil {
		err = answer.Field("me", &me)
	}
	if err != nil {
		tb.Fatal(err)
	}
	var verified struct {
		Success bool
		Payload *struct{ Username string }
	}
	answer, err = s.Ask(http.DefaultClient, "",
		`mutation V($t: String!) { verifyToken(token: $t) { success payload } }`,
		map[string]any{"t": token})
	if err == nil {
		err = answer.Field("verifyToken", &verified)
	}
	if err != nil {
		tb.Fatal(err)
	}
	if (me != nil) != verified.Success {
		tb.Errorf("me is %v and verifyToken says %t", me, verified.Success)
	}
	if me == nil {
		return ""
	}
	return me.Username
}
