//go:build unix

package cli

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// TestMailRelay: the built program keeps mails while the mail server is away, and is ready all the same; killed and
// started again, it delivers them once.
func TestMailRelay(t *testing.T) {
	t.Parallel()
	box := newMailbox(t)
	dataDir := filepath.Join(t.TempDir(), "data")
	env := func(port int) []string {
		return append([]string{"ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_TLS=none",
			"ACCOUNTD_EMAIL_SMTP_PORT=" + strconv.Itoa(port)},
			servertest.CheapHashing...)
	}
	const nobodyListens = 1
	s := servertest.Start(t, dataDir, env(nobodyListens)...)
	if _, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	list := func() (lines []string) {
		cmd := exec.Command(servertest.Binary(t), "mail", "list", "--json", "--data-dir", dataDir)
		cmd.Dir = filepath.Dir(dataDir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	var m struct{ Name, State, Error string }
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	tooLong := time.After(time.Minute)
	for m.Error == "" {
		select {
		case <-look.C:
			if err := json.Unmarshal([]byte(list()[0]), &m); err != nil {
				t.Fatal(err)
			}
		case <-tooLong:
			t.Fatalf("the list: got %+v, want an error within a minute\n%s", m, s.Log())
		}
	}
	if m.State != "waiting" || !strings.HasPrefix(m.Error,
		"connect: connect: connection refused: check that a mail server listens on 127.0.0.1:1 ") {
		t.Errorf("got %+v, want a waiting mail with the error and a remedy", m)
	}
	answer, err := http.Get(s.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("readyz answers %d, want %v", answer.StatusCode, http.StatusOK)
	}
	if !strings.Contains(s.Log(), "/spool/new, delivered by 127.0.0.1:1\n") ||
		strings.Count(s.Log(), "mail cannot be delivered") != 1 {
		t.Errorf("it prints\n%s, want text with %q, 1", s.Log(), "/spool/new, delivered by 127.0.0.1:1\n")
	}
	s.Kill()

	s = servertest.Start(t, dataDir, env(box.addr.Port)...)
	select {
	case mail := <-box.arrived:
		if !strings.Contains(mail, "/activate/") ||
			!strings.Contains(mail, "Message-ID: <"+strings.TrimSuffix(m.Name, ".eml")+"@") {
			t.Errorf("arrived: %s, want text with %q, text with %q", mail, "/activate/", "Message-ID: <"+
				strings.TrimSuffix(m.Name, ".eml")+"@")
		}
	case <-time.After(time.Minute):
		t.Fatalf("got no mail within a minute, want one\n%s", s.Log())
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if left := list(); len(left) != 1 || left[0] != "" || len(box.arrived) != 0 {
		t.Errorf("left %q; %d more have arrived, want 1, \"\", 0", left, len(box.arrived))
	}
}
