package store

import (
	"maps"
	"slices"
)

// Prepared returns the constant queries that the transaction's connection has run so far, in this or earlier
// transactions. Tests examine their plans.
func (tx *Tx) Prepared() []string { return slices.Sorted(maps.Keys(tx.conn.stmts)) }
