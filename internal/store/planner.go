package store

import (
	"sync"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// keepPlans has every connection that is opened from now on plan a statement when it is prepared, and never again
// (SQLITE_DBCONFIG_ENABLE_QPSG). Otherwise SQLite plans anew when a value is bound that its estimates take for another kind, which the index of
// substrings does all the time: the numbers of its segments are small for one look-up and not for the next. The driver has no way to
// say it, so SQLite does it to each new connection by itself.
var keepPlans = sync.OnceFunc(func() {
	tls := libc.NewTLS()
	defer tls.Close()
	var call any = stablePlans
	if rc := sqlite3.Xsqlite3_auto_extension(tls, (*[2]uintptr)(unsafe.Pointer(&call))[1]); rc != sqlite3.SQLITE_OK {
		panic("store: sqlite3_auto_extension: out of memory")
	}
})

// stablePlans is called by SQLite with a new connection: its handle, and what this has no need of.
func stablePlans(tls *libc.TLS, db, _, _ uintptr) int32 {
	const argument = 8 // bytes that each of a list takes, on any platform
	list := tls.Alloc(2 * argument)
	defer tls.Free(2 * argument)
	return sqlite3.Xsqlite3_db_config(tls, db, sqlite3.SQLITE_DBCONFIG_ENABLE_QPSG, libc.VaList(list, int32(1), uintptr(0)))
}
