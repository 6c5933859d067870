// Package api_test tests the API: scripts, and matrices of mutations, callers, columns and hostile inputs.
//
// TestScripts runs the scripts of testdata/e2e in both flavours of the API. The README there describes their syntax.
package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/cli"
	"accountd/internal/servertest"
)

// TestScripts runs testdata/e2e/*.script against the whole program, each in both flavours of the API. The README
// there describes scripts.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(servertest.File(t, "testdata/e2e/*.script"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got the scripts %q, %v; want at least one", files, err)
	}
	for _, file := range files {
		for _, flavour := range []string{"plain", "relay"} {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".script")+"/"+flavour, func(t *testing.T) {
				t.Parallel()
				runScript(t, file, flavour == "relay")
			})
		}
	}
}

// script is one run of a script file.
type script struct {
	*testing.T
	where string // file and line
	relay bool
	dir   string
	env   []string
	now   func() time.Time
	pass  func(time.Duration)

	url     string
	stop    func()
	outputs map[string][]string // of the payload of a mutation, beside success and errors

	as   string            // name of the access token's variable; "": nobody
	send [][2]string       // further headers of requests
	last string            // status and headers of the last answer
	vars map[string]string // what was captured
	read map[string]bool   // mails that a line has spoken of
}

func runScript(t *testing.T, file string, relay bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t, relay)
	s.vars["dir"], s.vars["flavour"] = s.dir, strings.Trim(endpoint[relay], "/")
	defer func() { s.stop() }()
	s.play(filepath.Base(file), string(text))
}

// play runs the statements of text; name is the file name for failures.
func (s *script) play(name, text string) {
	s.Helper()
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		head := lines[i]
		if strings.TrimSpace(head) == "" || head[0] == '#' {
			continue
		}
		s.where = fmt.Sprintf("%s:%d", name, i+1)
		var body []string
		for i+1 < len(lines) && strings.HasPrefix(lines[i+1], "  ") {
			i++
			body = append(body, lines[i][2:])
		}
		s.statement(head, body)
	}
	s.noMail()
}

func newScript(t *testing.T, relay bool) *script {
	var mu sync.Mutex
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	return &script{
		T: t, relay: relay, dir: t.TempDir(), vars: map[string]string{}, read: map[string]bool{}, stop: func() {},
		env: []string{"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=8KiB", "ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=1",
			"ACCOUNTD_LOG_LEVEL=error", "ACCOUNTD_LIMITS_UNIFORM_TIME=0s"},
		now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		},
		pass: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(d)
		},
	}
}

func (s *script) fail(format string, args ...any) {
	s.Helper()
	s.Fatalf("%s: %s", s.where, fmt.Sprintf(format, args...))
}

func (s *script) statement(head string, body []string) {
	word, rest, _ := strings.Cut(head, " ")
	if word != "mail" {
		s.noMail()
	}
	switch word {
	case "config":
		s.write("config.toml", s.expand(strings.Join(body, "\n")))
		s.stop()
		s.url = ""
	case "file":
		s.write(rest, strings.Join(body, "\n"))
	case "send":
		s.send = nil
		for _, line := range body {
			name, value, _ := strings.Cut(s.expand(line), ": ")
			s.send = append(s.send, [2]string{name, value})
		}
	case "answered":
		s.holds("the answer was", s.last, body)
	case "as":
		s.as = strings.TrimPrefix(rest, "nobody")
	case "pass":
		d, err := time.ParseDuration(rest)
		if err != nil {
			s.fail("%v", err)
		}
		s.pass(d)
	case "block":
		s.block(rest)
	case "run":
		s.command(strings.Fields(s.expand(rest)), body)
	case "mail":
		s.mail(rest, body)
	case "query":
		s.query(rest, body)
	default:
		s.mutation(head, body)
	}
}

// write creates a file in the script's directory.
func (s *script) write(name, text string) {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		s.fail("%v", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.fail("%v", err)
	}
}

// block replaces a folder of the data directory by a file, while the server runs.
func (s *script) block(name string) {
	s.start()
	path := filepath.Join(s.dir, "data", name)
	if err := os.Rename(path, path+".away"); err != nil {
		s.fail("%v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		s.fail("%v", err)
	}
}

// start starts the server if it is not running.
func (s *script) start() {
	if s.url != "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var log bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		exit <- cli.Run(ctx, s.program(in, &log, nil, "serve", "--listen", "127.0.0.1:0"))
		in.Close()
	}()
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	if s.url == "" {
		cancel()
		s.fail("the server exits with %d: %s", <-exit, log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until the server ends
	s.stop = func() {
		cancel()
		if code := <-exit; code != 0 {
			s.Errorf("%s: the server exits with %d: %s", s.where, code, log.String())
		}
		s.stop = func() {}
	}
	s.outputs = map[string][]string{}
	var schema struct {
		Schema struct {
			MutationType struct {
				Fields []struct {
					Name string
					Type struct{ Fields []struct{ Name string } }
				}
			}
		} `json:"__schema"`
	}
	answer := s.post(`{__schema{mutationType{fields{name type{fields{name}}}}}}`)
	if err := json.Unmarshal(answer.Data, &schema); err != nil {
		s.fail("introspection: %v", err)
	}
	for _, m := range schema.Schema.MutationType.Fields {
		s.outputs[m.Name] = []string{}
		for _, f := range m.Type.Fields {
			if f.Name != "success" && f.Name != "errors" && f.Name != "clientMutationId" {
				s.outputs[m.Name] = append(s.outputs[m.Name], f.Name)
			}
		}
	}
}

func (s *script) program(stdout, stderr io.Writer, stdin io.Reader, args ...string) cli.Env {
	args = append(args, "--data-dir", filepath.Join(s.dir, "data"))
	if file := filepath.Join(s.dir, "config.toml"); fileExists(file) {
		args = append(args, "--config", file)
	}
	return cli.Env{Args: args, Environ: s.env, Stdin: stdin, Stdout: stdout, Stderr: stderr, Now: s.now}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// command runs accountd with args. In body, "< text" is a line of standard input, "exit N" the expected exit code
// (default 0); the other lines are checked by holds.
func (s *script) command(args, body []string) {
	s.start() // commands work beside a running server
	var stdin strings.Builder
	want := 0
	for _, line := range body {
		if text, ok := strings.CutPrefix(line, "< "); ok {
			stdin.WriteString(text + "\n")
		}
		if text, ok := strings.CutPrefix(line, "exit "); ok {
			if _, err := fmt.Sscan(text, &want); err != nil {
				s.fail("%v", err)
			}
		}
	}
	var out bytes.Buffer
	if got := cli.Run(s.Context(), s.program(&out, &out, strings.NewReader(stdin.String()), args...)); got != want {
		s.fail("exits with %d: %s", got, out.String())
	}
	s.holds("it prints", out.String(), body)
}

// holds checks a text by the lines of body: "~ text" must be contained, "! text" must not, and "$ name regexp"
// captures the group of a match.
func (s *script) holds(what, got string, body []string) {
	for _, line := range body {
		mark, text, _ := strings.Cut(line, " ")
		text = s.expand(text)
		switch {
		case mark == "~" && !strings.Contains(got, text):
			s.fail("%s\n%s\nwithout %s", what, got, text)
		case mark == "!" && strings.Contains(got, text):
			s.fail("%s\n%s\nwith %s", what, got, text)
		case mark == "$":
			name, pattern, _ := strings.Cut(text, " ")
			found := regexp.MustCompile(pattern).FindStringSubmatch(got)
			if len(found) != 2 {
				s.fail("%s\n%s\nwithout %s", what, got, pattern)
			}
			s.vars[name] = found[1]
		}
	}
}

// unread returns the mails in the spool that no statement has taken, by file name.
func (s *script) unread() map[string]*mail.Message {
	files, err := filepath.Glob(filepath.Join(s.dir, "data", "spool", "new", "*.eml"))
	if err != nil {
		s.fail("%v", err)
	}
	unread := map[string]*mail.Message{}
	for _, file := range files {
		if s.read[file] {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			s.fail("%v", err)
		}
		if unread[file], err = mail.ReadMessage(bytes.NewReader(raw)); err != nil {
			s.fail("%s: %v", file, err)
		}
	}
	return unread
}

func subject(m *mail.Message) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return err.Error()
	}
	return decoded
}

func (s *script) noMail() {
	for _, m := range s.unread() {
		s.fail("before this line, a mail %q went to %s", subject(m), m.Header.Get("To"))
	}
}

// mail takes one mail out of the spool: `mail ADDRESS "SUBJECT" $code` captures the token of its link. The lines of
// body are checked by holds.
func (s *script) mail(rest string, body []string) {
	address, rest, _ := strings.Cut(rest, " ")
	parts := strings.SplitN(rest, `"`, 3)
	if len(parts) != 3 {
		s.fail(`write mail ADDRESS "SUBJECT"`)
	}
	var seen []string
	for file, m := range s.unread() {
		seen = append(seen, fmt.Sprintf("%s %q", m.Header.Get("To"), subject(m)))
		if strings.Trim(m.Header.Get("To"), "<>") != address || subject(m) != parts[1] {
			continue
		}
		s.read[file] = true
		raw, err := io.ReadAll(m.Body)
		if err != nil {
			s.fail("%v", err)
		}
		s.holds("the mail is", "From: "+m.Header.Get("From")+"\n\n"+string(raw), body)
		found := servertest.Link.FindSubmatch(raw)
		if name := strings.TrimPrefix(strings.TrimSpace(parts[2]), "$"); name != "" {
			if found == nil {
				s.fail("the mail has no link:\n%s", raw)
			}
			s.vars[name] = string(found[1])
		} else if found != nil {
			s.fail("the mail has a link, and the script does not keep its token")
		}
		return
	}
	s.fail("no such mail; unread are %q", seen)
}

// named are the short names of errors that many mutations share, as in behaviour.md of the contract.
var named = map[string]string{
	"INV":        `{"nonFieldErrors":[{"message":"Invalid token.","code":"invalid_token"}]}`,
	"EXP":        `{"nonFieldErrors":[{"message":"Expired token.","code":"expired_token"}]}`,
	"INUSE":      `{"email":[{"message":"A user with that email already exists.","code":"unique"}]}`,
	"FAIL":       `{"nonFieldErrors":[{"message":"Failed to send email.","code":"email_fail"}]}`,
	"UNAUTH":     `{"nonFieldErrors":[{"message":"Unauthenticated.","code":"unauthenticated"}]}`,
	"UNVERIFIED": `{"nonFieldErrors":[{"message":"Please verify your account.","code":"not_verified"}]}`,
	"NOSECONDARY": `{"nonFieldErrors":[{"message":"You need to setup a secondary email to ` +
		`proceed.","code":"secondary_email_required"}]}`,
	"WRONGPASSWORD": `{"password":[{"message":"Invalid password.","code":"invalid_password"}]}`,
	"WRONGOLD":      `{"oldPassword":[{"message":"Invalid password.","code":"invalid_password"}]}`,
	"CREDENTIALS":   `{"nonFieldErrors":[{"message":"Please, enter valid credentials.","code":"invalid_credentials"}]}`,
	"ALREADY":       `{"nonFieldErrors":[{"message":"Account already verified.","code":"already_verified"}]}`,
	"PASSWORDISSET": `{"nonFieldErrors":[{"message":"Password already set for ` +
		`account.","code":"password_already_set"}]}`,
	"INUSENONFIELD": `{"nonFieldErrors":[{"message":"A user with that email already exists.","code":"unique"}]}`,
	"NAMETAKEN":     `{"username":[{"message":"A user with that username already exists.","code":"unique"}]}`,
	"INVALIDEMAIL":  `{"email":[{"message":"Enter a valid email address.","code":"invalid"}]}`,
	"EMAILREQUIRED": `{"email":[{"message":"This field is required.","code":"required"}]}`,
	"MISMATCH": `{"newPassword2":[{"message":"The two password fields didn’t match.",` +
		`"code":"password_mismatch"}]}`,
	"TOOSHORT": `{"newPassword2":[{"message":"This password is too short. It must contain at least 8 ` +
		`characters.","code":"password_too_short"}]}`,
	"EMAILVERIFIED": `{"email":[{"message":"Account already verified.","code":"already_verified"}]}`,
	"EMAILNOTACTIVE": `{"email":[{"message":"Verify your account. A new verification email was ` +
		`sent.","code":"not_verified"}]}`,
}

// mutation sends `name(args)` and compares the payload with the one line of body: `-> ok`, `-> ok {"token":"$ada"}`,
// `-> fail {"email":[…]}` or, by name, `-> INV`; or `-> error CODE MESSAGE` for a GraphQL error.
func (s *script) mutation(call string, body []string) {
	s.start()
	name, args, _ := strings.Cut(call, "(")
	args = s.expand(strings.TrimSuffix(args, ")"))
	if len(body) != 1 {
		s.fail("a mutation has one line that says what it answers")
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(body[0], "-> "), " ")
	outputs := s.outputs[name]
	expected := []string{`"success":true`, `"errors":null`}
	selection := []string{"success", "errors"}
	switch errors, isName := named[kind]; {
	case kind == "payload":
		expected = []string{strings.Trim(strings.TrimSpace(rest), "{}")}
		selection = selectionOf(s, rest)
	case kind == "ok" && rest != "":
		expected = append(expected, strings.TrimSuffix(strings.TrimPrefix(rest, "{"), "}"))
		selection = append(selection, selectionOf(s, rest)...)
	case kind == "ok", kind == "error":
	case isName, kind == "fail":
		if !isName {
			errors = rest
		}
		expected = []string{`"success":false`, `"errors":` + errors}
		for _, output := range outputs {
			expected = append(expected, fmt.Sprintf("%q:%s", output, map[bool]string{true: "false",
				false: "null"}[output == "unarchiving"]))
			if output == "user" {
				output = "user{id}"
			}
			selection = append(selection, output)
		}
	default:
		s.fail("an answer is ok, fail, error, payload or one of %q", slices.Sorted(maps.Keys(named)))
	}
	if s.relay {
		args = strings.TrimPrefix(args+`, clientMutationId: "`+s.where+`"`, ", ")
		args = "(input: {" + args + "})"
		selection = append(selection, "clientMutationId")
		expected = append(expected, fmt.Sprintf(`"clientMutationId":%q`, s.where))
	} else if args != "" {
		args = "(" + args + ")"
	}
	answer := s.post("mutation { " + name + args + " { " + strings.Join(selection, " ") + " } }")
	if kind == "error" {
		s.wantError(answer, rest)
		return
	}
	if len(answer.Errors) > 0 {
		s.fail("%s: %s", answer.Errors[0].Extensions["code"], answer.Errors[0].Message)
	}
	s.match(string(answer.Data), `{"`+name+`":{`+strings.Join(expected, ",")+`}}`)
}

func (s *script) wantError(answer gqlAnswer, want string) {
	if len(answer.Errors) != 1 {
		s.fail("%d errors, want %s; data %s", len(answer.Errors), want, answer.Data)
	}
	if got := fmt.Sprint(answer.Errors[0].Extensions["code"], " ", answer.Errors[0].Message); got != want {
		s.fail("the error is\n%s, want\n%s", got, want)
	}
}

// query sends a document and compares the data, or the one error, with the line of body.
func (s *script) query(text string, body []string) {
	s.start()
	answer := s.post(s.expand(text))
	kind, rest, _ := strings.Cut(strings.TrimPrefix(strings.Join(body, "\n"), "-> "), " ")
	if kind == "error" {
		s.wantError(answer, rest)
		return
	}
	if len(answer.Errors) > 0 {
		s.fail("%v: %s", answer.Errors[0].Extensions["code"], answer.Errors[0].Message)
	}
	s.match(string(answer.Data), strings.TrimPrefix(strings.Join(body, ""), "-> "))
}

// endpoint is the path of the API; true is the Relay flavour.
var endpoint = map[bool]string{false: "/graphql", true: "/relay"}

type gqlAnswer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions map[string]any
	}
}

func (s *script) post(query string) gqlAnswer {
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		s.fail("%v", err)
	}
	req, err := http.NewRequest(http.MethodPost, s.url+endpoint[s.relay], bytes.NewReader(body))
	if err != nil {
		s.fail("%v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if s.as != "" {
		req.Header.Set("Authorization", "JWT "+s.vars[s.as])
	}
	for _, header := range s.send {
		req.Header.Add(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.fail("%v", err)
	}
	defer resp.Body.Close()
	var head strings.Builder
	fmt.Fprintln(&head, resp.Status)
	if err := resp.Header.Write(&head); err != nil {
		s.fail("%v", err)
	}
	s.last = head.String()
	var answer gqlAnswer
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.fail("%v", err)
	}
	return answer
}

// expand replaces each $name by its captured value.
func (s *script) expand(text string) string {
	return regexp.MustCompile(`\$(\w+)`).ReplaceAllStringFunc(text, func(name string) string {
		value, ok := s.vars[name[1:]]
		if !ok {
			s.fail("%s was never captured", name)
		}
		return value
	})
}

// match compares JSON including the order of keys. In want, "*" is any value but null; "$name" captures a string, or
// has to equal the captured one.
func (s *script) match(got, want string) {
	mine, theirs := json.NewDecoder(strings.NewReader(got)), json.NewDecoder(strings.NewReader(want))
	for {
		expected, err := theirs.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			s.fail("expected %s: %v", want, err)
		}
		actual, err := mine.Token()
		if err != nil {
			s.fail("answered\n%s, want\n%s", got, want)
		}
		text, _ := expected.(string)
		name, isName := strings.CutPrefix(text, "$")
		value, isText := actual.(string)
		switch kept := s.vars[name]; {
		case text == "*" && actual == json.Delim('{'):
			for mine.More() {
				_, _ = mine.Token() // its values are compared elsewhere
			}
			_, _ = mine.Token()
		case text == "*" && actual != nil:
		case isName && isText && value != "" && (kept == "" || kept == value):
			s.vars[name] = value
		case expected != actual:
			s.fail("answered\n%s, want\n%s", got, want)
		}
	}
}

// selectionOf returns the selection that asks for exactly the fields of a JSON object.
func selectionOf(s *script, object string) []string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &fields); err != nil {
		s.fail("%s: %v", object, err)
	}
	var selection []string
	keys := json.NewDecoder(strings.NewReader(object))
	_, _ = keys.Token() // {
	for keys.More() {
		key, err := keys.Token()
		if err != nil {
			s.fail("%s: %v", object, err)
		}
		var value json.RawMessage
		if err := keys.Decode(&value); err != nil {
			s.fail("%s: %v", object, err)
		}
		name := key.(string)
		if value[0] == '{' && name != "errors" && name != "payload" {
			name += "{" + strings.Join(selectionOf(s, string(value)), " ") + "}"
		}
		selection = append(selection, name)
	}
	return selection
}
