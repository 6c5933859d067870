package accounts

import (
	"fmt"
	"slices"
	"strings"

	passwords "accountd/internal/password"
)

// NonField is the key of problems that belong to no argument.
const NonField = "nonFieldErrors"

// Problem is one thing a user can be told about a request. Message and Code are part of the API.
type Problem struct{ Message, Code string }

// Errors is the one error whose text reaches the user: problems by argument name, [NonField] for none.
type Errors map[string][]Problem

// Error lists fields and messages, for logs and commands; it repeats nothing that the user typed.
func (e Errors) Error() string {
	var lines []string
	for field, problems := range e {
		for _, p := range problems {
			lines = append(lines, fmt.Sprintf("%s: %s", field, p.Message))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (e Errors) add(field string, p Problem) { e[field] = append(e[field], p) }

// BusyError says that too many passwords are being hashed. Nothing has happened; the same request may
// be sent again after RetryAfter.
type BusyError = passwords.BusyError

// The problems of forms, to the letter of the API.
var (
	errRequired        = Problem{"This field is required.", "required"}
	errNull            = Problem{"Null characters are not allowed.", "null_characters_not_allowed"}
	errReplacement     = Problem{"The replacement character U+FFFD is not allowed: something was lost on the way here.", "invalid"}
	errInvalidEmail    = Problem{"Enter a valid email address.", "invalid"}
	errInvalidUsername = Problem{"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.", "invalid"}
	errInvalidValue    = Problem{"Enter a valid value.", "invalid"}
	errMismatch        = Problem{"The two password fields didn’t match.", "password_mismatch"}
)

func errMaxLength(limit, got int) Problem {
	return Problem{fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", limit, got), "max_length"}
}

// maxEcho is how much of a value a message repeats, in code points.
const maxEcho = 50

func errInvalidChoice(value any) Problem {
	shown := []rune(fmt.Sprint(value))
	if len(shown) > maxEcho {
		shown = append(shown[:maxEcho], '…')
	}
	return Problem{fmt.Sprintf("Select a valid choice. %s is not one of the available choices.", string(shown)), "invalid_choice"}
}

func errFieldInUse(label string) Problem {
	return Problem{fmt.Sprintf("User with this %s already exists.", label), "unique"}
}
