package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
	"accountd/internal/ratelimit"
)

var update = flag.Bool("update", false, "write config.toml and docs/configuration.md")

// golden compares the file at path with want, or writes it.
func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not up to date, run `go generate ./internal/config` (-want +got):\n%s", path, diff)
	}
}

func TestTopLevelFile(t *testing.T) { golden(t, "../../config.toml", string(defaults)) }

func TestDocumentation(t *testing.T) { golden(t, "../../docs/configuration.md", document(t)) }

const docHead = `# Configuration

<!-- Written by go generate ./internal/config. Edit internal/config/config.toml instead. -->

accountd runs without any configuration. To change something, write a file like
[config.toml](../config.toml), which has every setting with its default. There are four sources.
A later one overrides an earlier one:

1. the defaults below
2. the file: ` + "`--config FILE`, or `./config.toml` if it exists" + `
3. environment variables: ` + "`tokens.issuer` is `ACCOUNTD_TOKENS_ISSUER`" + `
4. flags: ` + "`--data-dir` of every command, `--listen` and `--public-url` of `serve`" + `

Durations are written like ` + "`250ms`, `5m`, `36h`, `7d` or `1d12h`" + `.
Sizes are written like ` + "`512B`, `64KiB` or `19MiB`" + `. In an environment variable, lists are
separated by commas. The server does not start with an unknown setting, a value of the wrong type
or out of bounds, or settings that contradict each other. All errors are reported at once, each
with its place and a remedy:

` + "```text\n%s\n```" + `

` + "`accountd config check` only checks. `accountd config show` prints the settings and their sources." + `
Secrets are not settings: keys are in files of their own, with mode 0600.
`

// document renders config.toml as Markdown: its comments are the texts.
func document(t *testing.T) string {
	t.Helper()
	path := writeFile(t, "config.toml", "[tokens]\nalgorithm = \"HS265\"\nacess_lifetime = \"1h\"\n")
	_, err := Load(path, []string{"ACCOUNTD_LIMITS_BODY=big"}, Overrides{Listen: "0.0.0.0:80"})
	if err == nil {
		t.Fatal("the example: got no problems, want some")
	}
	var b strings.Builder
	fmt.Fprintf(&b, docHead, strings.ReplaceAll(err.Error(), path, "config.toml"))

	var comment []string
	section, open := "", false // open: the section is one setting, whose keys are free
	for line := range strings.Lines(string(defaults)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			comment = nil
		case line[0] == '#':
			comment = append(comment, strings.TrimSpace(line[1:]))
		case line[0] == '[':
			section = strings.Trim(line, "[]")
			_, open = settings[section]
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", section, wrap("", strings.Join(comment, " ")))
			if open {
				b.WriteString("| key | default |\n| --- | --- |\n")
			}
			comment = nil
		case open:
			name, value, _ := strings.Cut(line, " = ")
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", name, value)
		default:
			name, value, _ := strings.Cut(line, " = ")
			s, ok := settings[section+"."+name]
			if !ok || len(comment) == 0 {
				t.Errorf("%s.%s: got known %t, %d lines of comment; want true, at least 1", section, name, ok,
					len(comment))
			}
			head := fmt.Sprintf("- **`%s`** = `%s` (%s). ", s.key, value, possible(s))
			b.WriteString(wrap("  ", head+strings.Join(comment, " ")) + "\n")
			comment = nil
		}
	}
	return b.String()
}

// wrap breaks a text between words, at 98 columns. Further lines begin with indent.
func wrap(indent, text string) string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case strings.TrimSpace(*last) == "":
			*last += word
		case len(*last)+1+len(word) > 98:
			lines = append(lines, indent+word)
		default:
			*last += " " + word
		}
	}
	return strings.Join(lines, "\n")
}

// possible are the values that a setting can have, for people.
func possible(s setting) string {
	switch {
	case s.typ == reflect.TypeFor[Toggle]():
		return "`auto`, true, false"
	case s.typ == reflect.TypeFor[ratelimit.Rate]() || s.typ == reflect.TypeFor[[]ratelimit.Rate]():
		return "`off` or rates"
	case s.typ == reflect.TypeFor[[]accounts.Field]():
		return "list of tables"
	case s.one != "":
		return "`" + strings.ReplaceAll(s.one, ",", "`, `") + "`"
	case s.min != "":
		return s.min + " to " + s.max
	default:
		return map[string]string{"bool": "true, false", "string": "text",
			"slice": "list of texts"}[s.typ.Kind().String()]
	}
}
