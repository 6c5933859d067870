package accounts

import (
	"fmt"
	"slices"
	"strings"

	passwords "accountd/internal/password"
)

// NonField is the key of problems that belong to no argument.
const NonField = "nonFieldErrors"

// Problem is one problem of a request, for the user. Message and Code are part of the API.
type Problem struct{ Message, Code string }

// Errors is the error that is shown to the user: problems by the name of their argument, or [NonField].
type Errors map[string][]Problem

// Error lists arguments and messages, for logs and commands. It does not repeat input, except for a refused choice.
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

// BusyError means that the queue in front of password hashing is full. Nothing has changed, and the request can be
// repeated after RetryAfter.
type BusyError = passwords.BusyError

// The problems of forms. Messages and codes are fixed by the API.
var (
	errRequired    = Problem{"This field is required.", "required"}
	errNull        = Problem{"Null characters are not allowed.", "null_characters_not_allowed"}
	errReplacement = Problem{
		"The replacement character U+FFFD is not allowed: something was lost on the way here.", "invalid",
	}
	errInvalidEmail    = Problem{"Enter a valid email address.", "invalid"}
	errInvalidUsername = Problem{
		"Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.", "invalid",
	}
	errInvalidValue = Problem{"Enter a valid value.", "invalid"}
	errMismatch     = Problem{"The two password fields didn’t match.", "password_mismatch"}
)

func errMaxLength(limit, got int) Problem {
	return Problem{fmt.Sprintf("Ensure this value has at most %d characters (it has %d).", limit, got), "max_length"}
}

// maxEcho is how many code points of a value a message repeats.
const maxEcho = 50

func errInvalidChoice(value any) Problem {
	shown := []rune(fmt.Sprint(value))
	if len(shown) > maxEcho {
		shown = append(shown[:maxEcho], '…')
	}
	const message = "Select a valid choice. %s is not one of the available choices."
	return Problem{fmt.Sprintf(message, string(shown)), "invalid_choice"}
}

func errFieldInUse(label string) Problem {
	return Problem{fmt.Sprintf("User with this %s already exists.", label), "unique"}
}
