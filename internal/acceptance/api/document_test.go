package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"accountd/internal/servertest"

	"github.com/google/go-cmp/cmp"
)

var (
	turns       = regexp.MustCompile("(?s)```graphql( relay)?\n(.*?)```\n\n```json\n(.*?)```")
	placeholder = regexp.MustCompile(`<(?:access token|refresh token|mailed token|public URL|session)>`)
	tokenFields = map[string]*regexp.Regexp{
		"<access token>":  regexp.MustCompile(`"token":"([^"]+)"`),
		"<refresh token>": regexp.MustCompile(`"refreshToken":"([^"]+)"`),
		"<session>":       regexp.MustCompile(`"sid":"([0-9]+)"`),
	}
)

// TestMutationsDocument sends the requests of docs/mutations.md to a server in order and compares the responses.
// Every mutation of the schema needs a section.
func TestMutationsDocument(t *testing.T) {
	t.Parallel()
	text := servertest.Read(t, "docs/mutations.md")
	s := newScript(t, false)
	defer func() { s.stop() }()
	s.start()
	known := map[string]string{"<public URL>": s.url}
	fill := func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(name string) string { return known[name] })
	}
	for _, turn := range turns.FindAllStringSubmatch(text, -1) {
		for file, m := range s.unread() {
			s.read[file] = true
			body, err := io.ReadAll(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			if found := servertest.Link.FindSubmatch(body); found != nil {
				known["<mailed token>"] = string(found[1])
			}
		}
		request := fill(turn[2])
		s.relay, s.as = turn[1] != "", "token"
		s.vars["token"] = known["<access token>"]
		var got, want bytes.Buffer
		data, err := json.Marshal(map[string]json.RawMessage{"data": s.post(request).Data})
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&got, data); err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&want, []byte(turn[3])); err != nil {
			t.Fatalf("got the answer %s, want JSON: %v", turn[3], err)
		}
		for name, field := range tokenFields {
			if value := field.FindSubmatch(got.Bytes()); value != nil {
				known[name] = string(value[1])
			}
		}
		if diff := cmp.Diff(fill(want.String()), got.String()); diff != "" {
			t.Fatalf("%s\n-document +program:\n%s", request, diff)
		}
	}
	var missing []string
	for name := range s.outputs {
		if !strings.Contains(text, "\n## "+name+"\n") {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		t.Errorf("got no section for %q, want one for each mutation", missing)
	}
}
