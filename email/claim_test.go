package email

import (
	"errors"
	"testing"

	"accountd/internal/store"
)

// TestClaimOfReusedID: a write that is rolled back after Send gives its row id back, and the next message gets it. The
// end of the first does not release the second, which a request is publishing.
func TestClaimOfReusedID(t *testing.T) {
	f := newFixture(t)
	if err := f.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := Mail{Kind: Activation, To: "ada@example.com", User: ada, Token: "abc"}
	committed, released, done := make(chan struct{}), make(chan struct{}), make(chan error)
	second := func() {
		done <- f.db.Write(t.Context(), func(tx *store.Tx) error {
			tx.After(func(bool) { // before the publication
				close(committed)
				<-released
				if err := f.drain(t.Context()); err != nil {
					t.Error(err)
				}
				if got := len(f.spooled(t)); got != 0 {
					t.Errorf("got %d mails published by drain, want none beside the request", got)
				}
			})
			return f.Send(t.Context(), tx, m)
		})
	}
	_ = f.db.Write(t.Context(), func(tx *store.Tx) error {
		tx.After(func(bool) { // rolled back, and not released
			go second()
			<-committed
		})
		if err := f.Send(t.Context(), tx, m); err != nil {
			return err
		}
		return errors.New("after Send")
	})
	close(released)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
