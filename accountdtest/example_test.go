package accountdtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"accountd/accountdtest"
)

// t is the parameter of a test function.
var t *testing.T

// A test of an app starts a server, creates users, and talks to the app as one of them.
func Example() {
	server := accountdtest.New(t)
	ada := server.User(t, accountdtest.Verified, accountdtest.Staff)
	client := server.Client(t, ada)
	response, err := client.Post(server.URL+"/graphql", "application/json",
		strings.NewReader(`{"query": "{ me { username verified } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("got %s, want 200", response.Status)
	}
}

// Settings of the app's config.toml can be tried out.
func ExampleConfig() {
	server := accountdtest.New(t, accountdtest.Config(`
		[tokens]
		access_lifetime = "1m"
		[email]
		site_name = "Acme"
	`))
	fmt.Println(server.URL)
}

// A mail is there as soon as the mutation that sends it is answered.
func ExampleServer_Mail() {
	server := accountdtest.New(t)
	ada := server.User(t)
	query := fmt.Sprintf(`{"query": "mutation { sendPasswordResetEmail(email: \"%s\") { success } }"}`, ada.Email)
	response, err := http.Post(server.URL+"/graphql", "application/json", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	mail := server.Mail(t, ada.Email)
	fmt.Println(mail.Subject, mail.Link, mail.Token)
}

// Tokens expire by the clock of the server.
func ExampleClock() {
	server := accountdtest.New(t)
	client := server.Client(t, server.User(t))
	server.Clock.Advance(6 * time.Minute) // longer than tokens.access_lifetime
	response, err := client.Get(server.URL + "/auth")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %s, want 401", response.Status)
	}
}
