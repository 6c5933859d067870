package jsontext

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// surrogates are texts with escaped surrogates, and whether they are pairs.
var surrogates = map[string]bool{
	`"\uD83D\uDE00"`: true, `"\\uD83D"`: true, `{"\ud83d\ude00":"\ud83D\uDe00"}`: true,
	`"\uD83D"`: false, `"\uDE00"`: false, `"\uDE00\uD83D"`: false, `"\uD83D\uD83D\uDE00"`: false, `"\uD83Dx"`: false,
	`"\uD83D\n"`:     false,
	`"\uD83D\u0041"`: false, `["\\\uD83D"]`: false, `{"\uD83D":1}`: false, `{"a":["\uDE00"]}`: false,
}

func TestSurrogates(t *testing.T) {
	for text, pairs := range surrogates {
		r := NewReader(text)
		r.Value()
		if err := r.End(); pairs && err != nil || !pairs && !errors.Is(err, ErrSurrogate) {
			t.Errorf("%s: got error %v, want ErrSurrogate: %t", text, err, !pairs)
		}
	}
}

// FuzzValue: a value is what encoding/json reads, and an error where that has one.
func FuzzValue(f *testing.F) {
	for _, text := range []string{
		``, ` `, `null`, `nul`, `nullx`, `true`, ` false `, `"a"`, `"a`, `"`, `"\"`,
		`"\u00e9\uD83D\uDE00\/\\\"\b\f\n\r\t"`, `"\x"`, `"\u12"`, `"\u123`, `"\u+123"`, `"\`, "\"\n\"", "\"\x1f\"",
		`"é😀"`, "\"\x7f\"", "\"\\n\x1f\"",
		`0`, `-0`, `01`, `-`, `1.`, `.1`, `1.50`, `1e5`, `1E+05`, `1e-`, `1e`, `+1`, `1e999`,
		`123456789012345678901234567890`, `0x1`, `1 2`, `1,2`, `--1`, `1-2`,
		`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":{"a":[]},"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,}`, `{,}`, `{"a"}`,
		`{"a":}`, `{"a":,1}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":1}}`, `{`, `}`, `{"\u0061":1,"a":2}`,
		`[]`, `[1]`, `[1,]`, `[,1]`, `[1,,2]`, `[1 2]`, `[`, `]`, `[}`, `[1}`, `[[[]]]`, "\ufeff{}", "{}\x00", "\x00",
		"[1,\v2]", `{"query":"{ me { id } }","variables":{"v":[true,-1.5e3]}}`,
		strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) +
			strings.Repeat("]", 10001), strings.Repeat(`{"a":`, 10001) + "1" + strings.Repeat("}", 10001),
	} {
		f.Add(text)
	}
	for text := range surrogates {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		r := NewReader(text)
		got := r.Value()
		err := r.End()
		if errors.Is(err, ErrSurrogate) {
			return
		}
		if want := json.Valid([]byte(text)); (err == nil) != want {
			t.Fatalf("%.200q: got error %v, want valid: %t", text, err, want)
		}
		if err != nil || strings.Count(text, "[")+strings.Count(text, "{") > 1000 {
			return // cmp takes minutes for deep values
		}
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-encoding/json +jsontext):\n%s", text, diff)
		}
	})
}

// FuzzAppendString: a string is written as encoding/json writes it, and read back.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "a b~", `"\`, "<>&", "\x00\x1f\x7f", "é\u2028😀", "\xff", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got := AppendString([]byte("x"), s)
		if string(got) != "x"+string(want) {
			t.Errorf("%q: got %s, want x%s", s, got, want)
		}
		if !utf8.ValidString(s) {
			return
		}
		r := NewReader(string(got[1:]))
		if text := r.Text(); text != s || r.End() != nil {
			t.Errorf("%s: got %q, %v, want %q", want, text, r.Err(), s)
		}
	})
}

// TestTyped: an array is read by the types of its values, as accounts reads users.
func TestTyped(t *testing.T) {
	r := NewReader(`[[7,null,"a\u0001\"",null],["b",-3]]`)
	r.Open('[')
	if !r.More(']') {
		t.Fatal("got an empty array")
	}
	r.Open('[')
	if n := r.Int(); n != 7 || !r.Null() {
		t.Errorf("got %d, want 7, and null after it", n)
	}
	if r.Null() {
		t.Error("got null for a text")
	}
	if text := r.Text(); text != "a\x01\"" {
		t.Errorf("got %q", text)
	}
	if text := r.OptionalText(); text != "" {
		t.Errorf(`got %q for null, want ""`, text)
	}
	if r.Close(']'); !r.More(']') {
		t.Fatal("got one array, want two")
	}
	r.Open('[')
	if text, n := r.OptionalText(), r.Int(); text != "b" || n != -3 {
		t.Errorf(`got %q, %d, want "b", -3`, text, n)
	}
	if r.Close(']'); r.More(']') || r.End() != nil {
		t.Errorf("got more, or the error %v, at the end", r.Err())
	}
}

// TestTypedErrors: a value of another type, and an array that is not whole, are errors of whatever method reads them.
func TestTypedErrors(t *testing.T) {
	text := func(r *Reader) { r.OptionalText() }
	integer := func(r *Reader) { r.Int() }
	value := func(r *Reader) { r.Value() }
	all := []func(*Reader){text, integer, value}
	for _, test := range []struct {
		text string
		read []func(*Reader)
	}{
		{"", all}, {"x", all}, {"{", all}, {"[", all}, {"[]", all}, {"[,]", all}, {"[nul]", all}, {"[1", all},
		{"[1,", all},
		{`["a"`, all}, {`["a`, all}, {`["a\`, all}, {`["a\"]`, all}, {`["\q"]`, all}, {`["\u00"]`, all},
		{`["\u00zz"]`, all},
		{`["\ud83d"]`, all}, {"[1,2]", all}, {"[01]", all}, {"[true]", []func(*Reader){text, integer}},
		{"[1.5]", []func(*Reader){text, integer}}, {"[9223372036854775808]", []func(*Reader){text, integer}},
		{`["1"]`, []func(*Reader){integer}},
	} {
		for i, read := range test.read {
			r := NewReader(test.text)
			r.Open('[')
			read(r)
			r.Close(']')
			if r.Err() == nil || r.More(']') || r.End() == nil {
				t.Errorf("%s, method %d: got no error, or more", test.text, i)
			}
		}
	}
}
