//go:build unix

package accounts

import (
	"fmt"
	"syscall"
	"unsafe"
)

// newArgon2Blocks gets memory from the system, which has zeros in it.
func newArgon2Blocks(length int) ([]argon2Block, error) {
	bytes, err := syscall.Mmap(-1, 0, length*int(unsafe.Sizeof(argon2Block{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get %d KiB of memory: %w", length, err)
	}
	return unsafe.Slice((*argon2Block)(unsafe.Pointer(unsafe.SliceData(bytes))), length), nil
}

// freeArgon2Blocks gives memory of newArgon2Blocks back. The system clears it before anybody sees it again.
func freeArgon2Blocks(blocks []argon2Block) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(blocks))), len(blocks)*int(unsafe.Sizeof(argon2Block{})))
	if err := syscall.Munmap(bytes); err != nil {
		panic("give back memory of a hash: " + err.Error()) // it is not what newArgon2Blocks returned
	}
}
