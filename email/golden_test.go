package email

import (
	"bytes"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/mails")

// readable checks that a strict reader finds the two forms of the text, the plain one first.
func readable(t *testing.T, raw []byte) {
	t.Helper()
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s, %v", kind, err)
	}
	var types []string
	parts := multipart.NewReader(message.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, part.Header.Get("Content-Type"))
	}
	if !slices.Equal(types, []string{"text/plain; charset=UTF-8", "text/html; charset=UTF-8"}) {
		t.Errorf("parts %v", types)
	}
}

// TestGoldenMails compares a message of every kind, byte for byte, with the one that somebody has looked at.
func TestGoldenMails(t *testing.T) {
	f := newFixture(t)
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			m := Mail{kind, "ada@xn--bcher-kva.example", User{ID: 1, Username: "Ada <3", Email: "ada@bücher.example", FirstName: "Ada"}, "to-ken_1:2"}
			if strings.HasPrefix(string(kind), "notice_") {
				m.Token = ""
			}
			got, err := f.render(m, "1800000000.1.eml", time.Unix(1_800_000_000, 0).UTC())
			if err != nil {
				t.Fatal(err)
			}
			readable(t, got)
			golden := filepath.Join("..", "testdata", "mails", string(kind)+".eml")
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("go test ./email -update writes it anew (-want +got):\n%s", cmp.Diff(string(want), string(got)))
			}
		})
	}
}
