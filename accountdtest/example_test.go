package accountdtest_test

import (
	"net/http"
	"testing"

	"accountd/accountdtest"
)

// TestExample is how an app's test looks: somebody registers, follows the link in the mail, and is verified.
func TestExample(t *testing.T) {
	server := accountdtest.New(t)
	ask(t, http.DefaultClient, server, `mutation {
		register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", password2: "quiet-otter-42") { success }
	}`)
	mail := server.Mail(t, "ada@example.com")
	if got := ask(t, http.DefaultClient, server, `mutation { verifyAccount(token: "`+mail.Token+`") { success } }`); got != `{"data":{"verifyAccount":{"success":true}}}` {
		t.Error(got)
	}
	ada := &accountdtest.User{Username: "ada", Email: "ada@example.com", Password: "quiet-otter-42"}
	if got := ask(t, server.Client(t, ada), server, "{ me { username verified } }"); got != `{"data":{"me":{"username":"ada","verified":true}}}` {
		t.Error(got)
	}
}
