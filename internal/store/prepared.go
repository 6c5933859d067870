package store

import (
	"maps"
	"slices"
)

// Prepared is the texts of what the transaction's connection has prepared so far, be it for this transaction or for one before: what
// was run, for tests of how it is done.
func (tx *Tx) Prepared() []string { return slices.Sorted(maps.Keys(tx.conn.stmts)) }
