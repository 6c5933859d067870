package email

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/mails")

// TestGoldenMails compares a message of every kind, byte for byte, with a reviewed one.
func TestGoldenMails(t *testing.T) {
	t.Parallel()
	c := newComposer(t, nil)
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			at := time.Unix(1_800_000_000, 0)
			m := Mail{Kind: kind, To: "ada@xn--bcher-kva.example", User: User{
				ID: 1, Username: "Ada <3", Email: "ada@bücher.example", FirstName: "Ada",
				DateJoined: at.Add(-time.Hour),
			}}
			if !kind.isNotice() {
				m.Token = "to-ken_1:2"
			}
			got, err := c.compose(m, "1800000000.1.eml", at)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("..", "testdata", "mails", string(kind)+".eml")
			if *update {
				if err := os.WriteFile(golden, got.Raw, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Raw, want) {
				t.Errorf("go test ./email -update writes it anew (-want +got):\n%s",
					cmp.Diff(string(want), string(got.Raw)))
			}
		})
	}
}
