//go:build unix

package argon2

import (
	"fmt"
	"syscall"
	"unsafe"
)

// newBlocks gets memory from the system, which has zeros in it.
func newBlocks(length int) ([]block, error) {
	bytes, err := syscall.Mmap(-1, 0, length*int(unsafe.Sizeof(block{})), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get %d KiB of memory: %w", length, err)
	}
	return unsafe.Slice((*block)(unsafe.Pointer(unsafe.SliceData(bytes))), length), nil
}

// freeBlocks gives memory of newBlocks back. The system clears it before anybody sees it again.
func freeBlocks(blocks []block) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(blocks))), len(blocks)*int(unsafe.Sizeof(block{})))
	if err := syscall.Munmap(bytes); err != nil {
		panic("give back memory of a hash: " + err.Error()) // it is not what newBlocks returned
	}
}
