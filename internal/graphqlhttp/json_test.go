package graphqlhttp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// FuzzJSON: what is read is what encoding/json reads, and nothing else.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		``, ` `, `null`, `nul`, `nullx`, `true`, ` false `, `"a"`, `"a`, `"`, `"\"`, `"\u00e9\uD83D\uDE00\/\\\"\b\f\n\r\t"`, `"\x"`, `"\u12"`, `"\u123`, `"\`, "\"\n\"", "\"\x1f\"", `"é😀"`, "\"\x7f\"",
		`0`, `-0`, `01`, `-`, `1.`, `.1`, `1.50`, `1e5`, `1E+05`, `1e-`, `1e`, `+1`, `1e999`, `123456789012345678901234567890`, `0x1`, `1 2`, `--1`,
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"a":[]},"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}}`, `{`, `}`, `{"\u0061":1,"a":2}`,
		`[]`, `[1]`, `[1,]`, `[,1]`, `[1 2]`, `[`, `]`, `[[[]]]`, "\ufeff{}", "{}\x00", "\x00", "[1,\v2]", `{"query":"{ me { id } }","variables":{"v":[true,-1.5e3]}}`,
		strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001), strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || loneSurrogate(text) {
			return
		}
		given := bytes.Clone(text)
		value, ok := readJSON(text)
		if ok != json.Valid(text) {
			t.Fatalf("%.200q: good %t, by encoding/json %t", text, ok, !ok)
		}
		if !ok {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(given))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		clear(text) // values must not refer to it
		if strings.Count(string(given), "[")+strings.Count(string(given), "{") > 1000 {
			return // cmp takes minutes for deep ones
		}
		if diff := cmp.Diff(want, value); diff != "" {
			t.Errorf("%q (-encoding/json +ours):\n%s", given, diff)
		}
	})
}
