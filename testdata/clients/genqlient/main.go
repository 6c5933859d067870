// Command genqlient tests genqlient, which generates a typed function for each operation from the SDL.
//
// It runs the operations of operations.graphql against a server of its own, and prints a line for list.mjs.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Errors is the scalar ExpectedErrorType: problems by argument.
type Errors map[string][]Problem

// Problem is an error for the user.
type Problem struct{ Message, Code string }

// session adds the access token that it holds to requests.
type session struct{ access string }

func (s *session) RoundTrip(request *http.Request) (*http.Response, error) {
	if s.access != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "JWT "+s.access)
	}
	return http.DefaultTransport.RoundTrip(request)
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("genqlient: ")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	steps, err := converse(ctx)
	if err != nil {
		log.Fatalf("after %q: %v", steps, err)
	}
	fmt.Printf("genqlient | %s | %s | ok\n", version(), strings.Join(steps, ", "))
}

// converse says which steps went well, and what was wrong with the next.
func converse(ctx context.Context) (steps []string, err error) {
	server := exec.CommandContext(ctx, os.Getenv("ACCOUNTD"), "serve", "--ephemeral")
	server.Env = append(os.Environ(), "ACCOUNTD_LOG_LEVEL=error")
	server.Stderr = os.Stderr
	stdin, err := server.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = stdin.Close() // which ends the server
		err = errors.Join(err, server.Wait())
	}()
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var accountd struct{ GraphQL, Mail string }
	if err := json.Unmarshal(line, &accountd); err != nil {
		return nil, err
	}

	auth := &session{}
	client := graphql.NewClient(accountd.GraphQL, &http.Client{Transport: auth})
	const email, password = "ada@example.com", "quiet-otter-42"

	refused, err := Register(ctx, client, email, "ada", password, "loud-otter-42")
	if err != nil {
		return steps, err
	}
	if got := refused.Register.Errors["password2"]; refused.Register.Success ||
		len(got) != 1 || got[0].Code != "password_mismatch" {
		return steps, fmt.Errorf("two passwords: %+v", refused.Register)
	}
	registered, err := Register(ctx, client, email, "ada", password, password)
	if err != nil {
		return steps, err
	}
	if !registered.Register.Success || registered.Register.Errors != nil {
		return steps, fmt.Errorf("register: %+v", registered.Register)
	}
	steps = append(steps, "register (errors)")

	token, err := activation(ctx, accountd.Mail, email)
	if err != nil {
		return steps, err
	}
	verified, err := Verify(ctx, client, token)
	if err != nil {
		return steps, err
	}
	if !verified.VerifyAccount.Success {
		return steps, fmt.Errorf("verifyAccount: %+v", verified.VerifyAccount)
	}
	steps = append(steps, "mail", "verify")

	login, err := Login(ctx, client, email, password)
	if err != nil {
		return steps, err
	}
	if in := login.TokenAuth; !in.Success ||
		in.Payload["username"] != "ada" || time.Unix(int64(in.RefreshExpiresIn), 0).Before(time.Now()) {
		return steps, fmt.Errorf("tokenAuth: %+v", in)
	}
	auth.access = login.TokenAuth.Token
	steps = append(steps, "log in")

	me, err := Me(ctx, client)
	if err != nil {
		return steps, err
	}
	if me.Me == nil || me.Me.Username != "ada" ||
		!me.Me.Verified || me.Me.SecondaryEmail != nil || time.Since(me.Me.DateJoined) > time.Hour {
		return steps, fmt.Errorf("me: %+v", me.Me)
	}
	steps = append(steps, "me")

	refreshed, err := Refresh(ctx, client, login.TokenAuth.RefreshToken)
	if err != nil {
		return steps, err
	}
	if next := refreshed.RefreshToken; !next.Success || next.RefreshToken == login.TokenAuth.RefreshToken {
		return steps, fmt.Errorf("refreshToken: %+v", next)
	}
	auth.access = refreshed.RefreshToken.Token
	again, err := Me(ctx, client)
	if err != nil || !reflect.DeepEqual(again, me) {
		return steps, fmt.Errorf("me after refresh: %+v, %w", again.Me, err)
	}
	steps = append(steps, "refresh")

	_, err = Users(ctx, client)
	var list gqlerror.List
	if !errors.As(err, &list) || len(list) != 1 || list[0].Extensions["code"] != "permission_denied" {
		return steps, fmt.Errorf("users: %w", err)
	}
	steps = append(steps, "gqlerror.List with a code")

	out, err := Logout(ctx, client, refreshed.RefreshToken.RefreshToken)
	if err != nil {
		return steps, err
	}
	if !out.RevokeToken.Success || out.RevokeToken.Revoked == 0 {
		return steps, fmt.Errorf("revokeToken: %+v", out.RevokeToken)
	}
	if nobody, err := Me(ctx, client); err != nil || nobody.Me != nil {
		return steps, fmt.Errorf("me after logging out: %+v, %w", nobody, err)
	}
	return append(steps, "log out"), nil
}

// activation is the token of the activation mail to an address.
func activation(ctx context.Context, mail, to string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, mail+".json?limit=1&to="+url.QueryEscape(to), nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var mails []struct{ Subject, Token string }
	if err := json.NewDecoder(response.Body).Decode(&mails); err != nil {
		return "", err
	}
	if len(mails) != 1 || mails[0].Subject != "Activate your account on accountd" {
		return "", fmt.Errorf("mails: %+v", mails)
	}
	return mails[0].Token, nil
}

// version is that of genqlient in go.mod.
func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/Khan/genqlient" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	panic("genqlient is not linked")
}
