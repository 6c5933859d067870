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

// Normal is the form in which texts are compared with regard to case: NFKC.
func Normal(s string) string { return norm.NFKC.String(s) }

// Fold is the form in which texts are compared without regard to case: NFKC, and Unicode's full case folding.
func Fold(s string) string {
	// Folding can leave a string that is not normalised, so normalise again (Unicode, section 3.13, D146).
	return norm.NFKC.String(strings.Map(foldCherokee, cases.Fold().String(norm.NFKC.String(s))))
}

// foldCherokee mends cases.Fold, which turns the capital letters of Cherokee into small ones and the small ones into capitals.
// Unicode folds both to capitals (CaseFolding.txt): the small ones are younger.
func foldCherokee(r rune) rune {
	if r >= 0x13f8 && r <= 0x13fd || r >= 0xab70 && r <= 0xabbf {
		return unicode.ToUpper(r)
	}
	return r
}

// The same in SQL, for triggers and queries: SQLite's own lower and LIKE know ASCII only.
func init() {
	for name, f := range map[string]func(string) string{"normal": Normal, "fold": Fold, "skeleton": Skeleton} {
		sqlite.MustRegisterDeterministicScalarFunction(name, 1, func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
			switch text := args[0].(type) {
			case nil:
				return nil, nil
			case string:
				return f(text), nil
			default:
				return nil, fmt.Errorf("%s of a %T", name, text)
			}
		})
	}
}
