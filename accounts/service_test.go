package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/email"
	passwords "accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

// The messages and codes of the API, spelled out: a change of one is a change of the API.
var (
	invalidToken       = Errors{"nonFieldErrors": {{"Invalid token.", "invalid_token"}}}
	expiredToken       = Errors{"nonFieldErrors": {{"Expired token.", "expired_token"}}}
	alreadyVerified    = Errors{"nonFieldErrors": {{"Account already verified.", "already_verified"}}}
	notVerified        = Errors{"nonFieldErrors": {{"Please verify your account.", "not_verified"}}}
	invalidCredentials = Errors{"nonFieldErrors": {{"Please, enter valid credentials.", "invalid_credentials"}}}
	emailFail          = Errors{"nonFieldErrors": {{"Failed to send email.", "email_fail"}}}
	emailInUse         = Errors{"email": {{"A user with that email already exists.", "unique"}}}
	usernameInUse      = Errors{"username": {{"A user with that username already exists.", "unique"}}}
	wrongUsage         = &UsageError{"Must login with password and one of the following fields ['email', 'username']."}
)

// The texts of forms, likewise.
var (
	required    = Problem{"This field is required.", "required"}
	badEmail    = Problem{"Enter a valid email address.", "invalid"}
	badUsername = Problem{
		"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.", "invalid",
	}
	nullChars    = Problem{"Null characters are not allowed.", "null_characters_not_allowed"}
	mismatch     = Problem{"The two password fields didn\u2019t match.", "password_mismatch"}
	tooShort     = Problem{"This password is too short. It must contain at least 8 characters.", "password_too_short"}
	tooCommon    = Problem{"This password is too common.", "password_too_common"}
	allNumeric   = Problem{"This password is entirely numeric.", "password_entirely_numeric"}
	tooLongBytes = Problem{"This password is too long. It must contain at most 1024 bytes.", "password_too_long"}
)

const (
	password  = "quiet-otter-42"
	maxOutbox = 200
	week      = 7 * 24 * time.Hour
)

// cheap is the least that a hash can cost.
var cheap = passwords.Argon2Settings{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: 2, Queue: 64}

// harness is the service on a real file, with a clock to set and a spool to read.
type harness struct {
	*Service
	spool string
	log   bytes.Buffer // written under the lock of the log's handler: read it when nothing runs

	mu sync.Mutex
	at time.Time // guarded by mu
}

func (h *harness) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *harness) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// newHarness starts with everything allowed; change narrows that.
func newHarness(t testing.TB, change ...func(*Settings, *tokens.Settings)) *harness {
	t.Helper()
	dir := t.TempDir()
	h := &harness{at: time.Unix(1_800_000_000, 0), spool: filepath.Join(dir, "spool")}
	s := Settings{
		AllowLoginNotVerified: true, LoginWithSecondaryEmail: true, SendActivationEmail: true,
		LoginFields:    []string{"email", "username"},
		RegisterFields: []string{"email", "username"}, UpdateFields: []string{"first_name", "last_name"},
		Passwords: passwords.Settings{MinLength: 8, Similarity: 0.7, Common: true, Numeric: true, MaxBytes: 1024,
			Argon2: cheap},
	}
	s.Passwords.Argon2.Queue = 128
	ts := tokens.Settings{
		Algorithm: "HS256", AccessLifetime: 5 * time.Minute, RefreshLifetime: week,
		SessionLifetime: 90 * 24 * time.Hour,
		RotationGrace:   20 * time.Second, AllowRefresh: true, LongRunning: true, Rotation: "rotate", RefreshBytes: 32,
		SessionsPerUser:    200,
		ActivationLifetime: week, PasswordResetLifetime: time.Hour, PasswordSetLifetime: time.Hour,
		SecondaryEmailLifetime: time.Hour,
	}
	for _, f := range change {
		f(&s, &ts)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := store.Open(t.Context(), filepath.Join(dir, "test.db"), h.now)
	must(err)
	t.Cleanup(func() { _ = db.Close() })
	keys, err := tokens.OpenKeys(filepath.Join(dir, "keys.json"), ts.Algorithm, h.now)
	must(err)
	issuer, err := tokens.New(keys, ts, h.now)
	must(err)
	log := slog.New(slog.NewJSONHandler(io.MultiWriter(&h.log, t.Output()), nil))
	outbox, err := email.New(db, keys, email.Settings{
		From: "Acme <accounts@example.org>", SiteName: "Acme", LinkBase: "https://acme.example",
		ActivationPath:     "activate",
		SecondaryEmailPath: "activate", PasswordResetPath: "password-reset", PasswordSetPath: "password-set",
		SpoolDir: h.spool, MaxOutbox: maxOutbox,
	}, log)
	must(err)
	must(outbox.Start(t.Context()))
	h.Service, err = New(db, issuer, outbox, s, log)
	must(err)
	h.delay.Jitter = func() float64 { return 0 }
	return h
}

// add makes an account with the usual password, unless in says otherwise.
func (h *harness) add(t testing.TB, in AddUserInput) *account {
	t.Helper()
	if in.Password == "" {
		in.Password = password
	}
	u, err := h.AddUser(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	added := h.user(t, accountKey(u.ID))
	sameShown(t, added, u)
	return added
}

// registration is the form of the default settings.
func registration(email, username, password1, password2 string) RegisterInput {
	return RegisterInput{Values{"email": email, "username": username}, password1, password2}
}

// named is an active account with a username and an address made of it, to be inserted.
func named(name string) account {
	u := account{usernameKey: usernameKey(name)}
	u.Username, u.IsActive = name, true
	u.setAddresses(Address{Canonical: name + "@example.com", Shown: name + "@example.com"}, Address{})
	return u
}

func (h *harness) ada(t testing.TB) *account {
	t.Helper()
	return h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com", SecondaryEmail: "Ada2@example.com",
		Verified: true})
}

// login logs ada in.
func (h *harness) login(t testing.TB) *Session {
	t.Helper()
	return h.loginWith(t, password)
}

func (h *harness) loginWith(t testing.TB, password string) *Session {
	t.Helper()
	out, err := h.Login(t.Context(), byUsername("ada", password))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *harness) user(t testing.TB, ref string) *account {
	t.Helper()
	u, err := h.lookUp(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := h.FindUser(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	u.Throttled = shown.Throttled
	return u
}

// leapt checks that epochs have moved and copies them to want: how far they move is random.
func leapt(t *testing.T, want, got *account, credential, secondary bool) {
	t.Helper()
	if credential {
		if got.credentialEpoch <= want.credentialEpoch {
			t.Errorf("credential epoch %d, want another than %d", got.credentialEpoch, want.credentialEpoch)
		}
		want.credentialEpoch = got.credentialEpoch
	}
	if secondary {
		if got.secondaryEpoch <= want.secondaryEpoch {
			t.Errorf("secondary epoch %d, want another than %d", got.secondaryEpoch, want.secondaryEpoch)
		}
		want.secondaryEpoch = got.secondaryEpoch
	}
}

func (h *harness) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// set changes one column of users or user_status behind the service's back.
func (h *harness) set(t *testing.T, id int64, column string, value any) {
	t.Helper()
	table, key := "users", "id"
	if column == "verified" || column == "archived" {
		table, key = "user_status", "user_id"
	}
	h.exec(t, fmt.Sprintf("UPDATE %s SET %s = ? WHERE %s = ?", table, column, key), value, id)
}

// move gives an account another primary address.
func (h *harness) move(t *testing.T, id int64, address string) {
	t.Helper()
	h.exec(t, `INSERT INTO addresses (canonical, user_id, address) VALUES (?, ?, ?)`, address, id, address)
	h.set(t, id, "email", address)
}

func (h *harness) fillOutbox(t *testing.T) {
	t.Helper()
	h.exec(t, `INSERT INTO outbox (name, created_at, message)
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		SELECT 'filler' || i, 0, x'00' FROM n`, maxOutbox)
}

func (h *harness) emptyOutbox(t *testing.T) {
	t.Helper()
	h.exec(t, `DELETE FROM outbox`)
}

func (h *harness) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		return tx.QueryRowContext(t.Context(), query, args...).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// dump is everything the database holds, by table.
func (h *harness) dump(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		for _, table := range []string{"users", "user_status", "addresses", "user_fields", "held_values", "sessions",
			"refresh_tokens", "outbox"} {
			rows, err := tx.QueryContext(t.Context(), "SELECT * FROM "+table+" ORDER BY 1, 2")
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				values, targets := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					targets[i] = &values[i]
				}
				if err := rows.Scan(targets...); err != nil {
					return err
				}
				all[table] = append(all[table], fmt.Sprintf("%v", values))
			}
			if err := rows.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// refusals are the events of what was refused.
var refusals = []string{"login_failed", "password_refused", "refresh_failed"}

// refused runs an operation that has to fail with exactly want, change nothing, mail nothing and log no event but one
// of refusals.
func (h *harness) refused(t *testing.T, want error, op func() error) {
	t.Helper()
	before := h.dump(t)
	h.log.Reset()
	if err := op(); !reflect.DeepEqual(err, want) && !errors.Is(err, want) {
		t.Errorf("error %#v, want %#v", err, want)
	}
	if diff := cmp.Diff(before, h.dump(t)); diff != "" {
		t.Errorf("the database changed (-want +got):\n%s", diff)
	}
	if sent := h.mails(t); len(sent) > 0 {
		t.Errorf("mails %+v, want none", sent)
	}
	if events := h.events(t); len(events) > 0 && (len(events) > 1 ||
		!slices.Contains(refusals, strings.Fields(events[0])[0])) {
		t.Errorf("events %v, want at most one of %v", events, refusals)
	}
}

type sentMail struct{ To, Subject, Link, Token string }

var link = regexp.MustCompile(`(?m)^(https://acme\.example/[a-z-]+)/(\S+?)\r$`)

// mails takes what lies in the spool.
func (h *harness) mails(t *testing.T) []sentMail {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(h.spool, "new", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var list []sentMail
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		m := sentMail{To: message.Header.Get("To"), Subject: message.Header.Get("Subject")}
		if found := link.FindSubmatch(raw); found != nil { // a notice has none
			m.Link, m.Token = string(found[1]), string(found[2])
		}
		list = append(list, m)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// activation takes the one activation mail from the spool, which has to be addressed to to, and gives its token.
func (h *harness) activation(t *testing.T, to string) string {
	t.Helper()
	sent := h.mails(t)
	if len(sent) != 1 {
		t.Fatalf("mails %+v, want 1", sent)
	}
	want := sentMail{"<" + to + ">", "Activate your account on Acme", "https://acme.example/activate", sent[0].Token}
	if diff := cmp.Diff(want, sent[0]); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	return sent[0].Token
}

// events takes what has been logged as one, as "name user".
func (h *harness) events(t *testing.T) []string {
	t.Helper()
	var list []string
	for line := range bytes.Lines(h.log.Bytes()) {
		var entry struct {
			Event string
			User  int64
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Event != "" {
			list = append(list, fmt.Sprintf("%s %d", entry.Event, entry.User))
		}
	}
	h.log.Reset()
	return list
}

func (h *harness) happened(t *testing.T, want ...string) {
	t.Helper()
	if got := h.events(t); !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// atOnce runs op n times, all released together, and gives the errors in order of i.
func atOnce(n int, op func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = op(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// verdicts counts errors: how many are nil, how many are want; any other fails the test.
func verdicts(t *testing.T, errs []error, want error) (good, refused int) {
	t.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			good++
		case reflect.DeepEqual(err, want):
			refused++
		default:
			t.Errorf("error %#v, want none or %#v", err, want)
		}
	}
	return good, refused
}

// takePlace takes a place for a hash.
func (h *harness) takePlace(t *testing.T) *passwords.Ticket {
	t.Helper()
	ticket, err := h.hasher.Enter(t.Context(), passwords.Client{}, "")
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// whileHashing starts the operations, waits until each has read what it needs and queues for a hash, runs change,
// and lets them go on. The service must hash one at a time.
func (h *harness) whileHashing(t *testing.T, change func(), ops ...func() error) []error {
	t.Helper()
	place := h.takePlace(t)
	errs := make([]error, len(ops))
	var wg sync.WaitGroup
	for i, op := range ops {
		wg.Go(func() { errs[i] = op() })
	}
	for h.hasher.Usage().Waiting < len(ops) {
		runtime.Gosched()
	}
	change()
	place.Release()
	wg.Wait()
	return errs
}

func oneHashAtATime(s *Settings, _ *tokens.Settings) { s.Passwords.Argon2.Concurrent = 1 }

// TestBusy: with no room for another hash everybody gets the same answer, known or not, and nothing changes. It also
// shows that an unknown user costs a hash like any other.
func TestBusy(t *testing.T) {
	t.Parallel()
	h := newHarness(t, oneHashAtATime, func(s *Settings, _ *tokens.Settings) { s.Passwords.Argon2.Queue = 0 })
	h.ada(t)
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	h.add(t, AddUserInput{Username: "nopass", Email: "nopass@example.com", NoPassword: true})
	place := h.takePlace(t)
	busy := &BusyError{RetryAfter: 2 * time.Second}
	if want := "The server is busy. Please try again in 2 seconds."; busy.Error() != want {
		t.Errorf("text %q, want %q", busy.Error(), want)
	}
	for _, in := range []LoginInput{
		byUsername("ada", password), byUsername("ada", "wrong"), byUsername("nobody", password),
		byUsername("gone", password),
		byUsername("nopass", password), byEmail("nobody@example.com", password), byEmail("no address", password),
	} {
		h.refused(t, busy, func() error { _, err := h.Login(t.Context(), in); return err })
	}
	register := func(in RegisterInput) func() error {
		return func() error { _, err := h.Register(t.Context(), in); return err }
	}
	h.refused(t, busy, register(registration("bob@example.com", "bob", password, password)))
	h.refused(t, emailInUse, register(registration("ada@example.com", "bob", password, password))) // costs no hash
	h.refused(t, busy, func() error {
		_, err := h.AddUser(t.Context(), AddUserInput{Username: "bob", Email: "bob@example.com", Password: password})
		return err
	})
	place.Release()
	h.login(t)
}

// TestCancelled: a request that is cancelled while it waits for a hash changes nothing and gives its place back.
func TestCancelled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, oneHashAtATime)
	h.ada(t)
	ctx, cancel := context.WithCancel(t.Context())
	h.refused(t, context.Canceled, func() error {
		return h.whileHashing(t, cancel, func() error {
			_, err := h.Login(ctx,
				byUsername("ada", password))
			return err
		})[0]
	})
	h.login(t)
}

// TestNothingPersonalIsLogged: events name ids, and no address, name, password or token.
func TestNothingPersonalIsLogged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	in := registration("Ada@example.com", "ada", password, password)
	first, err := h.Register(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	token := h.activation(t, "Ada@example.com")
	if err := h.VerifyAccount(t.Context(), TokenInput{token}); err != nil {
		t.Fatal(err)
	}
	second := h.login(t)
	third, err := h.RefreshToken(t.Context(), RefreshTokenInput{second.RefreshToken})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.RevokeToken(t.Context(), RefreshTokenInput{third.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	h.mails(t)
	caller := h.login(t)
	if err := h.request(t, caller.Token, "ada2@example.com", password)(); err != nil {
		t.Fatal(err)
	}
	confirm := h.mails(t)[0].Token
	if err := h.confirm(t, confirm)(); err != nil {
		t.Fatal(err)
	}
	h.succeed(t, "SwapEmails", caller.Token)
	h.succeed(t, "RemoveSecondaryEmail", caller.Token)
	if err := h.sendReset(t, "ada2@example.com")(); err != nil {
		t.Fatal(err)
	}
	reset := h.mails(t)[0].Token
	if err := h.reset(t, reset, password)(); err != nil {
		t.Fatal(err)
	}
	h.succeed(t, "Archive", h.login(t).Token)
	h.succeed(t, "ChangePassword", h.login(t).Token)
	if err := h.own(t, operation(t, "Delete"), h.loginWith(t, newPassword).Token, newPassword)(); err != nil {
		t.Fatal(err)
	}
	logged := strings.ToLower(h.log.String())
	for _, secret := range []string{
		"ada", "example.com", password, newPassword, confirm, reset, caller.Token, token, first.Token,
		first.RefreshToken, second.Token, second.RefreshToken, third.Token, third.RefreshToken,
	} {
		if strings.Contains(logged, strings.ToLower(secret)) {
			t.Errorf("%q is in the log, want it left out:\n%s", secret, logged)
		}
	}
	h.happened(t, "user_registered 1", "user_verified 1", "token_issued 1", "refresh_token_rotated 1",
		"refresh_token_revoked 1",
		"token_issued 1", "secondary_email_requested 1", "secondary_email_verified 1", "emails_swapped 1",
		"secondary_email_removed 1", "password_reset 1",
		"token_issued 1", "account_archived 1", "token_issued 1", "password_changed 1", "token_issued 1",
		"account_deleted 1")
}

func same(t *testing.T, want, got map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the database changed (-want +got):\n%s", diff)
	}
}

func sameUser(t *testing.T, want, got *account) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(account{})); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

// sameShown compares what an operation has returned of an account with the whole.
func sameShown(t testing.TB, want *account, got *User) {
	t.Helper()
	if diff := cmp.Diff(&want.User, got); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func equalErrors(a, b error) bool { return reflect.DeepEqual(a, b) }
