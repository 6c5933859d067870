package store

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// keepPlans turns SQLite's query planner stability guarantee on (SQLITE_DBCONFIG_ENABLE_QPSG) for every connection that
// is opened from now on: a statement is planned when it is prepared, and never again. Otherwise SQLite plans some
// statements again when another value is bound. Without the guarantee the server answered 87 % as many requests for me
// (go test -run '^$' -bench Against/me ./internal/bench -against BINARY). The driver has no option for it, so it is set
// by an automatic extension.
var keepPlans = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	var call any = stablePlans
	if rc := sqlite3.Xsqlite3_auto_extension(tls, (*[2]uintptr)(unsafe.Pointer(&call))[1]); rc != sqlite3.SQLITE_OK {
		panic("store: sqlite3_auto_extension: out of memory")
	}
})

// stablePlans is called by SQLite for each new connection, with its handle.
func stablePlans(tls *libc.TLS, db, _, _ uintptr) int32 {
	const argument = 8 // bytes of each item of a variable argument list, on any platform
	list := tls.Alloc(2 * argument)
	defer tls.Free(2 * argument)
	on := libc.VaList(list, int32(1), uintptr(0))
	return sqlite3.Xsqlite3_db_config(tls, db, sqlite3.SQLITE_DBCONFIG_ENABLE_QPSG, on)
}
