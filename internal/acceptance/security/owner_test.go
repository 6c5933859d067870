//go:build unix

package security_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"accountd/internal/servertest"
)

var rounds = flag.Int("rounds", 4, "how many times TestSecurityOneOwner lets everybody fight for an address")

// volley sends requests at the same moment, and returns the responses in their order.
func volley(t *testing.T, server *servertest.Server, requests []request) []*servertest.Answer {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: len(requests)}}
	defer client.CloseIdleConnections()
	answers, errs := make([]*servertest.Answer, len(requests)), make([]error, len(requests))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i, r := range requests {
		wg.Go(func() {
			<-start
			answers[i], errs[i] = server.Ask(client, r.token, r.query, r.variables)
		})
	}
	close(start)
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("request %d: got %v, want an answer\n%s", i, err, server.Log())
		}
	}
	return answers
}

type request struct {
	token, field, query string
	variables           map[string]any
}

// TestSecurityOneOwner sends 64 parallel requests for one address: registrations, links that make it a secondary
// address, swaps that make it a primary one, and changes of usernames to it. Afterwards one account has it, and only
// that account's request has succeeded.
//
//	go test -run TestSecurityOneOwner -timeout 2h ./internal/acceptance/security -rounds 1000
func TestSecurityOneOwner(t *testing.T) {
	t.Parallel()
	const n, password = 16, "quiet-otter-42"
	server := servertest.New(t, "ACCOUNTD_ACCOUNTS_UPDATE_FIELDS=username", "ACCOUNTD_TOKENS_ACCESS_LIFETIME=30d",
		"ACCOUNTD_PASSWORDS_ARGON2_QUEUE=200", "ACCOUNTD_EMAIL_NOTICES=false",
		"ACCOUNTD_ACCOUNTS_SEND_ACTIVATION_EMAIL=false")
	sessions := make([]string, n)
	for i := range n {
		name := fmt.Sprintf("user%d", i)
		servertest.Run(t, server.DataDir, password, "user", "add", "--username", name, "--email", name+"@example.com",
			"--secondary-email", name+".2@example.com", "--verified", "--password-stdin")
		session, err := server.Login(http.DefaultClient, name, password)
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
		sessions[i] = session.Token
	}
	won := map[string]int{}
	for round := range *rounds {
		address := fmt.Sprintf("race%d@example.com", round)
		var requests []request
		for i := range n {
			typed := address
			if i%2 == 0 {
				typed = strings.ToUpper(address)
			}
			requests = append(requests,
				request{"", "register", registerQuery, map[string]any{"email": typed, "name": fmt.Sprintf("racer%d.%d",
					round, i),
					"password": password}},
				request{"", "verifySecondaryEmail",
					`mutation ($token: String!) { verifySecondaryEmail(token: $token) { success ` +
						`errors } }`,
					map[string]any{"token": servertest.LinkToken(t, server.DataDir, "secondary_email", fmt.Sprint(i+1),
						"--email",
						typed)}},
				request{sessions[i], "swapEmails",
					`mutation ($password: String!) { swapEmails(password: $password) { success ` +
						`errors } }`, map[string]any{"password": password}},
				request{sessions[i], "updateAccount",
					`mutation ($name: String!) { updateAccount(username: $name) { success errors } }`,
					map[string]any{"name": address}},
			)
		}
		var winners, named []string
		for i, answer := range volley(t, server, requests) {
			field, got, id := requests[i].field, payloadOf(t, answer, requests[i].field), fmt.Sprint(i/4+1)
			allowed := map[string][]string{
				"register":             {"email unique"},
				"verifySecondaryEmail": {"nonFieldErrors unique", "nonFieldErrors invalid_token"},
				"updateAccount":        {"username invalid"},
			}[field]
			switch {
			case got != "ok":
				if !slices.Contains(allowed, got) {
					t.Errorf("%s: %s of %s: got %s, want one of %q", address, field, id, got, allowed)
				}
			case field == "register":
				winners = append(winners, fmt.Sprintf(`"username":"racer%d.%d"`, round, i/4))
				won[field]++
			case field == "verifySecondaryEmail":
				winners = append(winners, fmt.Sprintf(`"id":%s,`, id))
				won[field]++
			case field == "updateAccount":
				named = append(named, fmt.Sprintf(`"id":%s,`, id))
			}
		}
		owner := servertest.Run(t, server.DataDir, "", "user", "show", address, "--json")
		if len(winners) != 1 || !strings.Contains(owner, winners[0]) {
			t.Errorf("%s: got the owner %s and the winners %q, want one and the same", address, owner, winners)
		}
		if len(named) > 1 || len(named) == 1 && !slices.Equal(named, winners) {
			t.Errorf("%s: got the username of %q, want one of %q at most", address, named, winners)
		}
	}
	t.Logf("won: %v", won)

	owners := map[string]json.Number{}
	for line := range bytes.Lines([]byte(servertest.Run(t, server.DataDir, "", "user", "list", "--json"))) {
		var u struct {
			ID             json.Number
			Email          string
			SecondaryEmail string `json:"secondary_email"`
		}
		if err := json.Unmarshal(line, &u); err != nil {
			t.Fatalf("got %s, want JSON: %v", line, err)
		}
		for _, address := range []string{u.Email, u.SecondaryEmail} {
			address = strings.ToLower(address)
			if other, taken := owners[address]; taken && address != "" {
				t.Errorf("%s: got the owners %s and %s, want one", address, other, u.ID)
			}
			owners[address] = u.ID
		}
	}
	if len(owners) < n+won["register"] { // a secondary one goes with the next
		t.Errorf("got %d addresses, want at least those of %d users and %d that have registered", len(owners), n,
			won["register"])
	}
}
