//go:build unix

package argon2

import (
	"fmt"
	"syscall"
	"unsafe"
)

// newBlocks returns zeroed memory of the system.
func newBlocks(length int) ([]block, error) {
	size := length * int(unsafe.Sizeof(block{}))
	bytes, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get %d KiB of memory: %w", length, err)
	}
	return unsafe.Slice((*block)(unsafe.Pointer(unsafe.SliceData(bytes))), length), nil
}

// freeBlocks returns memory to the system, which zeroes it before another process sees it.
func freeBlocks(blocks []block) {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(blocks))), len(blocks)*int(unsafe.Sizeof(block{})))
	if err := syscall.Munmap(bytes); err != nil {
		panic("argon2: free memory that newBlocks did not return: " + err.Error())
	}
}
