//go:build timing && unix

package security_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// twoNames are two names whose wrong passwords are sent at the same time. The first is an address; the second is of
// kind other, and of the same account or of another.
type twoNames struct {
	other  string // query field of the second name
	second string // its form; $ is the number of its account
	before int    // wrong passwords that the first account has had
}

// TestTimingPairs measures how long the built program takes for two wrong passwords at once, of two names that belong
// to one account and of two that do not. Each sample has accounts of its own, and the two kinds take turns in random
// order. The test fails where the Mann-Whitney test gives p < 0.05 twice, with fresh samples.
//
//	go test -tags timing -run TestTimingPairs -v -timeout 3h ./internal/acceptance/security
//
// It needs a machine without other load.
func TestTimingPairs(t *testing.T) {
	for name, p := range map[string]twoNames{
		"address and username":                           {"username", "verified$", 0},
		"primary and secondary address":                  {"email", "second-verified$@example.com", 0},
		"address and username, the last attempt but one": {"username", "verified$", 8},
		"address and username, the last attempt":         {"username", "verified$", 9},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				same, others := measurePairs(t, p)
				v := mannWhitney(same, others)
				t.Logf("| %s | %.2f ms | %.2f ms | %+.2f ms | p = %.3f |", name, median(same), median(others),
					median(same)-median(others), v)
				if v >= 0.05 {
					return
				}
			}
			t.Error("got another time for two names of one account, want that of names of two accounts")
		})
	}
}

// measurePairs returns the milliseconds of each sample.
func measurePairs(t *testing.T, p twoNames) (same, others []float64) {
	const warmUp, accounts = 5, 3 // accounts of a sample
	o := &outsider{Server: servertest.Start(t, filepath.Join(t.TempDir(), "data"), "ACCOUNTD_LOG_LEVEL=error")}
	o.add(t, "caller", outsidersPassword, "--verified")
	populate(t, o, false, accounts*(*timingSamples+warmUp))
	logIn := func(field, name string) {
		body, err := json.Marshal(map[string]any{
			"query": `mutation($n: String!, $p: String!) { tokenAuth(` + field +
				`: $n, password: $p) { success } }`,
			"variables": map[string]any{"n": name, "p": "wrong"},
		})
		if err != nil {
			t.Error(err)
			return
		}
		if answer, err := o.trySend(http.DefaultClient, body); err != nil || !strings.Contains(answer.body,
			`"success":false`) {
			t.Errorf("%s %s: got %s, %v; want a refusal", field, name, answer.body, err)
		}
	}
	name := func(form string, account int) string { return strings.Replace(form, "$", fmt.Sprint(account), 1) }
	const address = "verified$@example.com"
	for sample := range *timingSamples + warmUp {
		first := accounts * sample
		for _, twoAccounts := range rand.Perm(2) { // 0 or 1
			account, second := first, first
			if twoAccounts == 1 {
				account, second = first+1, first+2
			}
			for range p.before {
				logIn("email", name(address, account))
			}
			var both sync.WaitGroup
			began := time.Now()
			both.Go(func() { logIn("email", name(address, account)) })
			both.Go(func() { logIn(p.other, name(p.second, second)) })
			both.Wait()
			took := float64(time.Since(began)) / float64(time.Millisecond)
			switch {
			case sample < warmUp:
			case twoAccounts == 1:
				others = append(others, took)
			default:
				same = append(same, took)
			}
		}
	}
	return same, others
}
