package password

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode"
)

//go:embed data/common-passwords.txt
var commonPasswordsText string

// commonPasswords returns the embedded list, which is read at its first use.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	list := make(map[string]bool, 20_000)
	for line := range strings.Lines(commonPasswordsText) {
		list[strings.TrimSpace(line)] = true
	}
	return list
})

// isNumeric reports whether every character is a digit, of any script, superscript and circled ones included.
func isNumeric(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isDigit(r) })
}

// isDigit reports whether Numeric_Type of a character is Decimal or Digit in the Unicode character database.
func isDigit(r rune) bool {
	return unicode.IsDigit(r) ||
		slices.ContainsFunc(otherDigits, func(row [2]rune) bool { return row[0] <= r && r <= row[1] })
}

// otherDigits are the first and the last of each row of characters with Numeric_Type=Digit.
var otherDigits = [][2]rune{
	{0xb2, 0xb3}, {0xb9, 0xb9}, {0x1369, 0x1371}, {0x19da, 0x19da}, {0x2070, 0x2070}, {0x2074, 0x2079},
	{0x2080, 0x2089}, {0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490}, {0x24ea, 0x24ea}, {0x24f5, 0x24fd},
	{0x24ff, 0x24ff}, {0x2776, 0x277e}, {0x2780, 0x2788}, {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68},
	{0x11052, 0x1105a}, {0x1f100, 0x1f10a},
}
