package store

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"modernc.org/sqlite"
)

// Normal returns the NFKC of a text, in which texts are compared with case.
func Normal(s string) string { return norm.NFKC.String(s) }

// Fold returns the NFKC of a text after Unicode's full case folding, in which texts are compared without case.
func Fold(s string) string {
	// A folded text may not be normalised (Unicode, section 3.13, D146).
	return norm.NFKC.String(strings.Map(foldCherokee, cases.Fold().String(norm.NFKC.String(s))))
}

// foldCherokee corrects cases.Fold, which folds the capital letters of Cherokee to small ones, and small ones to
// capitals. Unicode folds both to capitals (CaseFolding.txt), because those are older.
func foldCherokee(r rune) rune {
	if r >= 0x13f8 && r <= 0x13fd || r >= 0xab70 && r <= 0xabbf {
		return unicode.ToUpper(r)
	}
	return r
}

// The same functions in SQL, for triggers and queries: lower and LIKE of SQLite know only ASCII.
func init() {
	for name, f := range map[string]func(string) string{"normal": Normal, "fold": Fold, "skeleton": Skeleton} {
		call := func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			switch text := args[0].(type) {
			case nil:
				return nil, nil
			case string:
				return f(text), nil
			default:
				return nil, fmt.Errorf("%s of a %T", name, text)
			}
		}
		sqlite.MustRegisterDeterministicScalarFunction(name, 1, call)
	}
}
