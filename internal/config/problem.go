package config

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Problem is a wrong value, an unknown key or a syntax error.
type Problem struct {
	Origin  string // "config.toml:12", "ACCOUNTD_TOKENS_ISSUER", "--listen"; "default" where it was not set
	Key     string // "tokens.issuer"; "" for a syntax error
	Value   string // as in the file; "": not shown
	Message string // what is wrong, as a sentence after key and value
	Remedy  string // what to do
}

func (p Problem) String() string {
	text := p.Origin + ": "
	if p.Key != "" {
		text += p.Key + " "
	}
	if p.Value != "" {
		text += "= " + p.Value + " "
	}
	text += p.Message
	if p.Remedy != "" {
		text += ": " + p.Remedy
	}
	return text
}

// Problems is an error with all problems: those of the file, of variables, of flags, and contradictions.
type Problems []Problem

func (p Problems) Error() string {
	lines := []string{"the settings cannot be used:"}
	for _, problem := range p {
		lines = append(lines, "  "+problem.String())
	}
	return strings.Join(lines, "\n")
}

// conceal returns the value for messages, without what looks like a secret in a wrong place.
func conceal(p Problem) string {
	if _, known := settings[p.Key]; p.Value != "" && !known && soundsSecret(p.Key) {
		return "(not shown)"
	}
	if text, err := strconv.Unquote(p.Value); err == nil {
		if u, err := url.Parse(text); err == nil && u.User != nil {
			return quote(u.Redacted())
		}
	}
	return p.Value
}

// soundsSecret reports whether the name of a setting suggests a secret value. The settings of [tokens] and [passwords]
// are no secrets.
func soundsSecret(key string) bool {
	name := strings.TrimPrefix(strings.ToLower(key), "accountd_")
	for _, section := range []string{"tokens.", "tokens_", "passwords.", "passwords_"} {
		name = strings.TrimPrefix(name, section)
	}
	words := []string{"secret", "pass", "private", "credential", "token", "key"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(name, word) })
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
