//go:build timing && unix

package security_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"accountd/internal/servertest"
	"accountd/internal/store"
)

var timingSamples = flag.Int("samples", 400, "how often TestTiming measures each class")

// timed is a class of requests; the first class of an operation is the reference. $ is the number of the sample:
// each has an account of its own, so no rate limit applies.
type timed struct{ name, user, password string }

// TestTiming measures the time of responses that must not reveal accounts, at the default cost of hashes. Classes are
// sent in random order. Two differ if their medians differ by 3 ms and 5 %, or if the Mann-Whitney test gives p ≤ 0.01,
// and again with fresh samples.
//
//	go test -tags timing -run TestTiming -v -timeout 3h ./internal/acceptance/security
//
// It needs a machine without other load.
func TestTiming(t *testing.T) {
	for _, op := range []struct {
		name, query string
		django      bool // users of class django have its hashes
		classes     []timed
	}{
		{"login", askLogin, false, []timed{
			{"unknown", "nobody$", outsidersPassword}, {"wrong password", "verified$", "wrong"},
			{"inactive", "inactive$",
				outsidersPassword},
			{"archived, wrong password", "archived$", "wrong"}, {"passwordless", "nopassword$", outsidersPassword},
			{"unverified, wrong password", "unverified$", "wrong"},
		}},
		{"login beside Django's hashes", askLogin, true, []timed{
			{"unknown", "nobody$", outsidersPassword}, {"wrong password, our hash", "verified$", "wrong"},
			{"wrong password, Django's hash", "django$", "wrong"},
			{"passwordless", "nopassword$", outsidersPassword},
		}},
		{"register", askRegister, false, []timed{{"free", "nobody$", ""}, {"taken", "verified$", ""},
			{"taken by an unverified user", "unverified$", ""}}},
		{"resend", askResend, false, []timed{{"unknown", "nobody$", ""}, {"verified", "verified$", ""},
			{"unverified", "unverified$", ""}}},
		{"reset", askReset, false, []timed{
			{"unknown", "nobody$", ""}, {"verified", "verified$", ""}, {"unverified", "unverified$", ""},
			{"archived", "archived$", ""},
			{"secondary", "second-verified$", ""}, {"inactive", "inactive$", ""},
		}},
		{"sendSecondaryEmailActivation", askSecondary, false, []timed{{"free", "nobody$", ""}, {"taken", "verified$",
			""}}},
	} {
		t.Run(op.name, func(t *testing.T) {
			differing := measureTiming(t, op.query, op.django, op.classes)
			if len(differing) == 0 {
				return
			}
			t.Logf("again, for %s", strings.Join(differing, ", "))
			for _, again := range measureTiming(t, op.query, op.django, op.classes) {
				if slices.Contains(differing, again) {
					t.Errorf("%s: got another time, want that of %s", again, op.classes[0].name)
				}
			}
		})
	}
}

// measureTiming logs a row for each class and returns the names of those that differ from the reference.
func measureTiming(t *testing.T, query string, django bool, classes []timed) (differing []string) {
	o := &outsider{Server: servertest.Start(t, filepath.Join(t.TempDir(), "data"),
		"ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS=nothing", "ACCOUNTD_LOG_LEVEL=error")}
	o.add(t, "caller", outsidersPassword, "--verified")
	populate(t, o, django, *timingSamples+5)
	if err := o.Stop(); err != nil {
		t.Fatal(err)
	}
	o.Server = servertest.Start(t, o.DataDir, "ACCOUNTD_ACCOUNTS_REVEAL_ACCOUNTS=nothing", "ACCOUNTD_LOG_LEVEL=error")
	if query == askSecondary {
		o = o.logIn(t, "caller", outsidersPassword)
	}
	const warmUp = 5
	took := make([][]float64, len(classes))
	for sample := range *timingSamples + warmUp {
		for _, c := range rand.Perm(len(classes)) {
			class := classes[c]
			name := strings.Replace(class.user, "$", fmt.Sprint(sample), 1)
			password := class.password
			if password == "" {
				password = outsidersPassword
			}
			variables := map[string]any{"e": name + "@example.com", "u": fmt.Sprintf("new-%d-%d", c, sample),
				"p": password}
			if query == askLogin {
				variables = map[string]any{"u": name, "p": password}
			}
			body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			answer, err := o.trySend(http.DefaultClient, body)
			d := time.Since(began)
			if want := fmt.Sprintf(`"success":%t`, query != askLogin); err != nil || !strings.Contains(answer.body,
				want) {
				t.Fatalf("%s: got %s, %v; want %s", class.name, answer.body, err, want)
			}
			if sample >= warmUp {
				took[c] = append(took[c], float64(d)/float64(time.Millisecond))
			}
		}
	}
	reference := median(took[0])
	t.Logf("| %-32s | %8.2f ms | | |", classes[0].name, reference)
	for c, class := range classes[1:] {
		m := median(took[c+1])
		p := mannWhitney(took[0], took[c+1])
		verdict := ""
		if d := math.Abs(m - reference); d >= 3 && d >= 0.05*reference || p <= 0.01 {
			verdict = "differs"
			differing = append(differing, class.name)
		}
		t.Logf("| %-32s | %8.2f ms | %+6.2f ms | p = %.3f | %s", class.name, m, m-reference, p, verdict)
	}
	return differing
}

// populate writes users of each class directly: hundreds of hashes at the default cost would take minutes.
func populate(t *testing.T, o *outsider, django bool, users int) {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(o.DataDir, "accountd.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Write(t.Context(), func(tx *store.Tx) error {
		var hash string
		if err := tx.QueryRowContext(t.Context(),
			`SELECT password FROM users WHERE username = 'caller'`).Scan(&hash); err != nil {
			return err
		}
		for c, class := range []struct {
			name, password             string
			active, verified, archived bool
		}{
			{"verified", hash, true, true, false}, {"unverified", hash, true, false, false}, {"inactive", hash, false,
				true,
				false},
			{"archived", hash, true, true, true}, {"nopassword", "", true, true, false},
			{"django", "pbkdf2_sha256$260000$salt$" + strings.Repeat("A", 43) + "=", true, true, false},
		} {
			if class.name == "django" && !django {
				continue
			}
			const numbers = `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) `
			first := (c + 1) * 1_000_000
			for _, insert := range []struct {
				statement string
				args      []any
			}{
				{numbers + `INSERT INTO users (id, username, username_key, email, password, is_active, date_joined)
					SELECT ?2 + i, ?3 || i, ?3 || i, ?3 || i || '@example.com', ?4, ?5, 0 FROM n`,
					[]any{class.password, class.active}},
				{numbers + `INSERT INTO addresses (canonical, user_id, address) SELECT ?3 || i || '@example.com', ` +
					`?2 + i, ?3 || ` +
					`i || '@example.com' FROM n`, nil},
				{numbers + `INSERT INTO addresses (canonical, user_id, address)
					SELECT 'second-' || ?3 || i || '@example.com', ?2 + i, 'second-' || ?3 || i || '@example.com'
					FROM n`, nil},
				{numbers + `INSERT INTO user_status (user_id, secondary_email, verified, archived) SELECT ?2 + i, ` +
					`'second-' || ` +
					`?3 || i || '@example.com', ?4, ?5 FROM n`, []any{class.verified, class.archived}},
			} {
				if _, err := tx.ExecContext(t.Context(), insert.statement, append([]any{users, first, class.name},
					insert.args...)...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// mannWhitney returns the probability of a difference at least as large as that between two samples of one
// distribution: the two-sided Mann-Whitney test by its normal approximation, corrected for ties.
func mannWhitney(a, b []float64) float64 {
	type sample struct {
		value float64
		ofA   bool
	}
	var all []sample
	for _, v := range a {
		all = append(all, sample{v, true})
	}
	for _, v := range b {
		all = append(all, sample{v, false})
	}
	slices.SortFunc(all, func(x, y sample) int {
		switch {
		case x.value < y.value:
			return -1
		case x.value > y.value:
			return 1
		default:
			return 0
		}
	})
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		same := float64(j - i)
		ties += same*same*same - same
		for k := i; k < j; k++ {
			if all[k].ofA {
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u := ranks - n*(n+1)/2
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance == 0 {
		return 1
	}
	z := math.Max(math.Abs(u-n*m/2)-0.5, 0) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// TestMannWhitney: disjoint, alternating and equal samples, calculated by hand.
func TestMannWhitney(t *testing.T) {
	for _, test := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 0.0121858},
		{[]float64{1, 3, 5, 7}, []float64{2, 4, 6, 8}, 0.6650056},
		{[]float64{1, 1, 1}, []float64{1, 1, 1}, 1},
	} {
		if got := mannWhitney(test.a, test.b); math.Abs(got-test.want) > 1e-6 {
			t.Errorf("%v, %v: p = %.7f, want %.7f", test.a, test.b, got, test.want)
		}
	}
}
