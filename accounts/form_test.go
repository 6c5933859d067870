package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

var (
	badValue  = Problem{"Enter a valid value.", "invalid"}
	phoneUsed = Problem{"User with this Phone number already exists.", "unique"}
)

func badChoice(shown string) Problem {
	return Problem{"Select a valid choice. " + shown + " is not one of the available choices.", "invalid_choice"}
}

// everyField configures one field of each type and asks for some of them at register and for all at updateAccount.
func everyField(s *Settings, _ *tokens.Settings) {
	s.Fields = []Field{
		{Name: "phone_number", Type: String, MaxLength: 10, Pattern: `\+?[0-9]+|x`, Unique: true, Public: true},
		{Name: "plan", Type: String, Choices: []any{"free", "paid"}, Public: true},
		{Name: "level", Type: Int, Choices: []any{int64(1), int64(2)}},
		{Name: "ratio", Type: Float, Choices: []any{int64(1), 0.5}},
		{Name: "news", Type: Boolean},
		{Name: "born", Type: DateTime, Public: true},
		{Name: "about", Type: String},
	}
	s.RegisterFields = []string{"phone_number", "username", "email", "first_name"}
	s.RegisterOptionalFields = []string{"last_name", "born", "about", "news", "level", "ratio", "plan"}
	s.UpdateFields = []string{"last_name", "first_name", "username", "phone_number", "plan", "level", "ratio", "news",
		"born", "about"}
}

func born(text string) time.Time {
	t, ok := ParseDateTime(text)
	if !ok {
		panic(text)
	}
	return t
}

// filled is a form of everyField that is fine, with changes.
func filled(change Values) RegisterInput {
	in := RegisterInput{Values{"email": "ada@example.com", "username": "ada", "first_name": "Ada",
		"phone_number": "+123"}, password, password}
	for name, value := range change {
		in.Fields[name] = value
	}
	return in
}

func TestArguments(t *testing.T) {
	t.Parallel()
	var s Settings
	everyField(&s, nil)
	names := func(args []Argument) (list []string) {
		for _, a := range args {
			list = append(list, a.Name+map[bool]string{true: "!"}[a.Required]+" "+string(a.Field.Type))
		}
		return list
	}
	want := []string{"phoneNumber! String", "username! String", "email! String", "firstName! String", "lastName String",
		"born DateTime",
		"about String", "news Boolean", "level Int", "ratio Float", "plan String"}
	if diff := cmp.Diff(want, names(s.RegisterArguments())); diff != "" {
		t.Errorf("register (-want +got):\n%s", diff)
	}
	want = []string{"lastName String", "firstName String", "username String", "phoneNumber String", "plan String",
		"level Int", "ratio Float",
		"news Boolean", "born DateTime", "about String"}
	if diff := cmp.Diff(want, names(s.UpdateArguments())); diff != "" {
		t.Errorf("updateAccount (-want +got):\n%s", diff)
	}
	for field, want := range map[string]string{
		"email": "email", "first_name": "firstName", "a__b": "a_B", "a_1b": "a1b", "a_b_": "aB_", "is_2_fa": "is2Fa",
	} {
		if got := ArgumentName(field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

// TestRegisterFields: the values that a form gives are stored as they are typed, trimmed, and read back.
func TestRegisterFields(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	at := time.Date(1815, 12, 10, 1, 2, 3, 999, time.FixedZone("", 3600))
	in := filled(Values{"phone_number": " +123 ", "first_name": " Ada\n", "last_name": "King", "born": at,
		"about": strings.Repeat("ж", MaxFieldLength),
		"news":  false, "level": 2, "ratio": 1.0, "plan": "paid"})
	if _, err := h.Register(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	u := h.user(t, "ada")
	want := map[string]any{"phone_number": "+123", "plan": "paid", "level": 2, "ratio": 1.0, "news": false,
		"born": born("1815-12-10T00:02:03Z"), "about": in.Fields["about"]}
	// Mails are given the same, of which they show the public ones.
	if diff := cmp.Diff(want, u.Fields); diff != "" || u.FirstName != "Ada" || u.LastName != "King" {
		t.Errorf("%q %q, fields (-want +got):\n%s", u.FirstName, u.LastName, diff)
	}
	if n := h.count(t,
		`SELECT count(*) FROM user_fields WHERE typeof(value) = 'integer' AND (name, value) IN (VALUES ('news', `+
			`0), ('level', 2), ('born', ?))`, born("1815-12-10T00:02:03Z").Unix()); n != 3 {
		t.Errorf("%d values are stored as they should be, want 3", n)
	}
	// What is absent, null or blank is not given.
	if _, err := h.Register(t.Context(), filled(Values{"email": "bob@example.com", "username": "bob",
		"phone_number": "x", "last_name": nil, "about": " ", "plan": "", "level": nil})); err != nil {
		t.Fatal(err)
	}
	want = Values{"phone_number": "x", "plan": nil, "level": nil, "ratio": nil, "news": nil, "born": nil, "about": nil}
	if diff := cmp.Diff(want, h.user(t, "bob").Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	h.exec(t, `DELETE FROM users WHERE id = 1`)
	if n := h.count(t, `SELECT count(*) FROM user_fields WHERE user_id = 1`); n != 0 {
		t.Errorf("%d values of nobody, want 0", n)
	}
}

func TestFieldRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", Fields: Values{"phone_number": "+49"},
		NoPassword: true})
	long := strings.Repeat("9", 60)
	for _, test := range []struct {
		name string
		in   Values
		want Errors
	}{
		{"nothing", Values{"phone_number": "", "email": nil, "username": " ", "first_name": "\t"}, Errors{
			"phoneNumber": {required}, "email": {required}, "username": {required}, "firstName": {required}}},
		{"too long", Values{"phone_number": strings.Repeat("1", 11), "first_name": strings.Repeat("a", 151),
			"last_name": strings.Repeat("b", 151), "about": strings.Repeat("c", MaxFieldLength+1)},
			Errors{"phoneNumber": {maxLength(10, 11)}, "firstName": {maxLength(150, 151)},
				"lastName": {maxLength(150, 151)}, "about": {maxLength(MaxFieldLength, MaxFieldLength+1)}}},
		{"NUL", Values{"phone_number": "1\x00", "last_name": "a\x00", "plan": "\x00"},
			Errors{"phoneNumber": {nullChars}, "lastName": {nullChars}, "plan": {nullChars}}},
		{"too long and NUL", Values{"phone_number": "1234567890\x00"},
			Errors{"phoneNumber": {maxLength(10, 11), nullChars}}},
		{"part of the pattern", Values{"phone_number": "1x"}, Errors{"phoneNumber": {badValue}}},
		{"lines of the pattern", Values{"phone_number": "x\n1"}, Errors{"phoneNumber": {badValue}}},
		{"choices", Values{"plan": "gold", "level": 3, "ratio": 0.25},
			Errors{"plan": {badChoice("gold")}, "level": {badChoice("3")}, "ratio": {badChoice("0.25")}}},
		{"a long choice", Values{"plan": long}, Errors{"plan": {badChoice(long[:50] + "…")}}},
		{"taken", Values{"phone_number": " +49 "}, Errors{"phoneNumber": {phoneUsed}}},
		{"taken, beside others", Values{"phone_number": "+49", "username": "BOB", "level": 0},
			Errors{"phoneNumber": {phoneUsed}, "username": usernameInUse["username"], "level": {badChoice("0")}}},
		{"taken comes before a claimed address", Values{"phone_number": "+49", "email": "bob@example.com"},
			Errors{"phoneNumber": {phoneUsed}}},
		{"claimed address", Values{"email": "bob@example.com"}, emailInUse},
		{"one's own address as username, later in the form", Values{"username": "eve@example.com"},
			Errors{"username": {badUsername}}},
	} {
		t.Run(test.name, func(t *testing.T) { h.refused(t, test.want, h.register(t, filled(test.in))) })
	}
	for field, want := range map[string]string{"first_name": "first name", "last_name": "last name"} {
		in := filled(Values{field: "Hildegunde"})
		in.Password1, in.Password2 = "hildegunde1", "hildegunde1"
		h.refused(t, Errors{"password2": {similar(want)}}, h.register(t, in))
	}
	t.Run("taken while hashing", func(t *testing.T) {
		h := newHarness(t, everyField, oneHashAtATime)
		errs := h.whileHashing(t, func() {
			h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", Fields: Values{"phone_number": "+123"},
				NoPassword: true})
		}, h.register(t, filled(nil)))
		if want := (Errors{"phoneNumber": {phoneUsed}}); !cmp.Equal(errs, []error{want}) {
			t.Errorf("errors %#v, want %#v", errs, want)
		}
	})
}

// TestUniqueFieldAtOnce: of many registrations with one value, one succeeds.
func TestUniqueFieldAtOnce(t *testing.T) {
	t.Parallel()
	const n = 32
	h := newHarness(t, everyField)
	errs := atOnce(n, func(i int) error {
		name := "user" + strconv.Itoa(i)
		return h.register(t, filled(Values{"username": name, "email": name + "@example.com"}))()
	})
	if good, refused := verdicts(t, errs, Errors{"phoneNumber": {phoneUsed}}); good != 1 || refused != n-1 {
		t.Errorf("%d registered, %d refused, want 1 and %d", good, refused, n-1)
	}
}

// TestUniqueIndex: the index stands behind the check.
func TestUniqueIndex(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com", Fields: Values{"phone_number": "1"},
		NoPassword: true})
	bob := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", NoPassword: true})
	const insert = `INSERT INTO user_fields (user_id, name, value, is_unique) VALUES (?, 'phone_number', '1', ?)`
	h.exec(t, insert, bob.ID, 0)
	h.exec(t, `DELETE FROM user_fields WHERE user_id = ?`, bob.ID)
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ExecContext(t.Context(), insert, bob.ID, 1)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "UNIQUE constraint failed") {
		t.Errorf("error %v, want a failed UNIQUE constraint", err)
	}
}

func TestBadPatternAtStart(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.settings
	s.Fields = []Field{{Name: "a", Type: String, Pattern: "a)|(b"}}
	if _, err := New(h.db, h.tokens, h.outbox, s, h.Service.log); err == nil ||
		!strings.HasPrefix(err.Error(), "pattern of field a: ") {
		t.Errorf("error %v, want one of the pattern of field a", err)
	}
}

// TestCheckFields warns of values that clash since their field is unique, and of no others.
func TestCheckFields(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	for i, name := range []string{"ada", "bob", "eve"} {
		u := h.add(t, AddUserInput{Username: name, Email: name + "@example.com", NoPassword: true,
			Fields: Values{"plan": "free"}})
		h.exec(t, `INSERT INTO user_fields (user_id, name, value) VALUES (?, 'phone_number', ?)`, u.ID,
			[]string{"1", "1", "2"}[i])
	}
	h.log.Reset()
	if err := h.CheckFields(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log := h.log.String(); strings.Count(log, "\n") != 1 ||
		!strings.Contains(log, `"field":"phone_number","values":1`) {
		t.Errorf("logged %s, want one warning of phone_number", log)
	}
	// Accounts keep a value that they share, whatever else they change, and no other account gets it.
	update := func(name string, in Values) error {
		return h.UpdateAccount(t.Context(), h.verified(t, name), UpdateAccountInput{in})
	}
	if err := update("ada", Values{"phone_number": "1", "last_name": "King"}); err != nil ||
		h.user(t, "ada").LastName != "King" {
		t.Errorf("a value that stays: error %v, want none and the last name changed", err)
	}
	if err := update("eve", Values{"phone_number": "1"}); !cmp.Equal(err, error(Errors{"phoneNumber": {phoneUsed}})) {
		t.Errorf("a value that is taken: error %v, want %v", err, Errors{"phoneNumber": {phoneUsed}})
	}
	if err := update("bob", Values{"phone_number": "3"}); err != nil {
		t.Error(err)
	}
	h.log.Reset()
	if err := h.CheckFields(t.Context()); err != nil || h.log.Len() > 0 {
		t.Errorf("logged %s, error %v, want nothing", h.log.String(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.CheckFields(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("CheckFields: error %v, want %v", err, context.Canceled)
	}
}

func TestDateTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2020-01-01T00:00:00Z":          "2020-01-01T00:00:00+00:00",
		"2020-01-01T01:30:00.999+01:30": "2020-01-01T00:00:00+00:00",
		"0001-01-01T00:00:00Z":          "0001-01-01T00:00:00+00:00",
		"9999-12-31T23:59:59-00:00":     "9999-12-31T23:59:59+00:00",
		"1969-12-31T23:59:59.5Z":        "1969-12-31T23:59:59+00:00",
		"0001-01-01T00:00:00+01:00":     "", "9999-12-31T23:59:59-01:00": "", "0000-01-01T00:00:00Z": "",
		"": "", "2020-01-01": "", "2020-01-01T00:00:00": "", "2020-01-01T00:00Z": "", "2020-02-30T00:00:00Z": "",
		"2020-01-01T24:00:00Z": "",
		"2020-01-01 00:00:00Z": "", "2020-1-01T00:00:00Z": "", "2020-01-01T0:00:00Z": "", "2020-01-01T00:00:00,5Z": "",
		"1577836800": "", "2020-01-01T00:00:00+25:00": "",
	} {
		got := ""
		if at, ok := ParseDateTime(text); ok {
			got = FormatDateTime(at)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestStoredValues: a stored value that does not fit the present type of its field is not shown.
func TestStoredValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		typ    FieldType
		stored any
		want   any
	}{
		{String, "x", "x"}, {String, json.Number("1"), nil}, {String, json.Number("1.5"), nil}, {String, nil, nil},
		{Int, json.Number("-2147483648"), -1 << 31}, {Int, json.Number("2147483648"), nil},
		{Int, json.Number("1.0"), nil}, {Int, "1", nil},
		{Float, json.Number("1.5"), 1.5}, {Float, json.Number("2"), 2.0}, {Float, json.Number("-9e999"), math.Inf(-1)},
		{Float, "2", nil},
		{Boolean, json.Number("0"), false}, {Boolean, json.Number("1"), true}, {Boolean, json.Number("2"), nil},
		{Boolean, "true", nil},
		{DateTime, json.Number("0"), born("1970-01-01T00:00:00Z")}, {DateTime, json.Number("1152921504606846976"), nil},
		{DateTime, "2020-01-01T00:00:00Z", nil}, {DateTime, json.Number("1.5"), nil},
	} {
		if got := (Field{Type: test.typ}).read(test.stored); got != test.want {
			t.Errorf("%s %v: got %v, want %v", test.typ, test.stored, got, test.want)
		}
	}
}
