package config

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

<!-- Written by go generate ./internal/config from config.toml; edit that. -->

accountd runs without any configuration. What you want otherwise goes into a file like
[config.toml](../config.toml), which has every setting with its default. Four sources, the later wins:

1. the defaults below
2. the file: ` + "`--config FILE`, or `./config.toml` if it is there" + `
3. environment variables: ` + "`tokens.issuer` is `ACCOUNTD_TOKENS_ISSUER`" + `
4. flags: ` + "`--data-dir` of every command, `--listen` and `--public-url` of `serve`" + `

Durations are written ` + "`250ms`, `5m`, `36h`, `7d` or `1d12h`, sizes `512B`, `64KiB`, `19MiB`" + `. In a variable, lists are separated by
commas. A setting that does not exist, a value of the wrong type or out of bounds and settings that contradict each other are
refused at start, all of them at once, each with the place where it was set and what to write instead:

` + "```text\n%s\n```" + `

` + "`accountd config check` does just that. `accountd config show` prints what is in force and where it comes from." + `
Secrets are not settings: keys are in files of their own, mode 0600.
`

// document renders config.toml as Markdown: its comments are the texts.
func document(t *testing.T) string {
	t.Helper()
	path := writeFile(t, "config.toml", "[tokens]\nalgorithm = \"HS265\"\nacess_lifetime = \"1h\"\n")
	_, err := Load(path, []string{"ACCOUNTD_LIMITS_BODY=big"}, Overrides{Listen: "0.0.0.0:80"})
	if err == nil {
		t.Fatal("the example has no problems")
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
			head := "| setting | default | possible | what it is for |\n| --- | --- | --- | --- |\n"
			if open {
				head = "| key | default |\n| --- | --- |\n"
			}
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", section, strings.Join(comment, " "), head)
			comment = nil
		case open:
			name, value, _ := strings.Cut(line, " = ")
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", name, value)
		default:
			name, value, _ := strings.Cut(line, " = ")
			s, ok := settings[section+"."+name]
			if !ok || len(comment) == 0 {
				t.Errorf("%s.%s: known %t, %d lines of comment", section, name, ok, len(comment))
			}
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", s.key, value, possible(s), strings.Join(comment, " "))
			comment = nil
		}
	}
	return b.String()
}

func possible(s setting) string {
	switch {
	case s.typ == reflect.TypeFor[Toggle]():
		return "`auto`, true, false"
	case s.typ == reflect.TypeFor[Rates]():
		return "`off` or rates"
	case s.typ == reflect.TypeFor[[]Field]():
		return "list of tables"
	case s.one != "":
		return "`" + strings.ReplaceAll(s.one, ",", "`, `") + "`"
	case s.min != "":
		return s.min + " to " + s.max
	default:
		return map[string]string{"bool": "true, false", "string": "text", "slice": "list of texts"}[s.typ.Kind().String()]
	}
}
