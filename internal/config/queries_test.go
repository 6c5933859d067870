package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQueryProblems(t *testing.T) {
	got := problems(t, "[queries]\nexclude_fields = [\"id\", \"pk\", \"nick\"]\nusers = \"staff\"\n[queries.filter_fields]\nnick = [\"exact\"]\nemail = [\"exact\", \"regex\", \"gt\"]\n")
	var short []string
	for _, p := range got {
		_, p, _ = strings.Cut(p, "queries.filter_fields has ")
		p, _, _ = strings.Cut(p, ",")
		short = append(short, p)
	}
	want := []string{"", "", `the lookup "regex" of email`, `the lookup "gt" of email`, `"nick"`}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("problems %q (-want +got):\n%s", got, diff)
	}
}

func TestQueryWarnings(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"defaults", "", nil},
		{"public here", "[queries]\nusers = \"public\"", nil},
		{"public there", "[queries]\nusers = \"public\"\n[server]\npublic_url = \"https://a.example\"",
			[]string{"queries.users is public: everybody can list every account and its addresses"}},
		{"hidden from staff", "[queries]\nexclude_fields = [\"email\"]", nil},
		{"hidden", "[queries]\nusers = \"verified\"\nexclude_fields = [\"secondary_email\", \"last_login\"]", []string{
			"queries.filter_fields has status__secondary_email: whoever may list users finds out by it what queries.exclude_fields hides"}},
		{"hidden well", "[queries]\nusers = \"verified\"\nexclude_fields = [\"email\"]\nfilter_fields = { email = [] }", nil},
	} {
		if diff := cmp.Diff(test.want, mustLoad(t, test.text).Warnings()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
