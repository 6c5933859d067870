package config

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"accountd/internal/spelling"
)

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Origin  string // "config.toml:12", "ACCOUNTD_TOKENS_ISSUER", "--listen"; "default" where it was not set
	Key     string // "tokens.issuer"; "" where the file cannot be read as TOML
	Value   string // as it would be written in the file; "" where there is none to show
	Message string // what is wrong, to be read after key and value
	Remedy  string // what to do
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Origin + ": ")
	if p.Key != "" {
		b.WriteString(p.Key + " ")
	}
	if p.Value != "" {
		b.WriteString("= " + p.Value + " ")
	}
	b.WriteString(p.Message)
	if p.Remedy != "" {
		b.WriteString(": " + p.Remedy)
	}
	return b.String()
}

// Problems is everything that is wrong with the settings, file first, then variables, flags and contradictions.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, 0, len(p)+1)
	lines = append(lines, "the settings cannot be used:")
	for _, problem := range p {
		lines = append(lines, "  "+problem.String())
	}
	return strings.Join(lines, "\n")
}

const concealed = "(not shown)"

// conceal keeps out of messages what looks like a secret that was put where none belongs.
func conceal(p Problem) string {
	if p.Value == "" {
		return ""
	}
	if _, known := settings[p.Key]; !known && soundsSecret(p.Key) {
		return concealed
	}
	if text, err := strconv.Unquote(p.Value); err == nil {
		if u, err := url.Parse(text); err == nil && u.User != nil {
			return quote(u.Redacted())
		}
	}
	return p.Value
}

// soundsSecret looks at the key, or variable, without its section: [tokens] and [passwords] hold no secrets.
func soundsSecret(key string) bool {
	name := strings.ToLower(strings.TrimPrefix(key, envPrefix))
	for section := range sections {
		prefix := section + "."
		if strings.HasPrefix(key, envPrefix) {
			prefix = strings.ReplaceAll(section, ".", "_") + "_"
		}
		if strings.HasPrefix(name, prefix) {
			name = name[len(prefix):]
			break
		}
	}
	return slices.ContainsFunc([]string{"secret", "pass", "private", "credential", "token", "key"}, func(word string) bool {
		return strings.Contains(name, word)
	})
}

// suggestKey also finds a key that was written into the wrong section.
func suggestKey(key string, candidates []string, otherwise string) string {
	name := key[strings.LastIndexByte(key, '.')+1:]
	for _, c := range candidates {
		if name == c[strings.LastIndexByte(c, '.')+1:] {
			otherwise = "did you mean " + c + "?"
			break
		}
	}
	return spelling.Suggest(key, candidates, otherwise)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
