package argon2

import (
	"encoding/binary"
	"sync"

	"github.com/alexedwards/argon2id"
)

// syncPoints is the number of slices of a pass. Lanes wait for each other after each slice (RFC 9106, section 3.4).
const syncPoints = 4

// laneLength is the number of blocks of a lane (section 3.2, step 2): what p.Memory allows, but at least two in each
// slice.
func laneLength(p *argon2id.Params) uint32 {
	return max(p.Memory/(syncPoints*uint32(p.Parallelism)), 2) * syncPoints
}

// filler fills the memory of one key, whose first two blocks of each lane are set (section 3.2, steps 5 and 6).
type filler struct {
	blocks                 []block
	passes, lanes, perLane uint32
}

// fill computes each lane in a thread of its own. It returns when all have ended, also if one panics: the memory is
// used again afterwards.
func (f *filler) fill() {
	slices := make([]sync.WaitGroup, int(f.passes)*syncPoints) // each waits for the lanes
	for i := range slices {
		slices[i].Add(int(f.lanes))
	}
	for lane := range f.lanes - 1 {
		defer goLowPriority(func() { f.lane(lane, slices) })()
	}
	f.lane(f.lanes-1, slices)
}

// lane computes the segments of a lane, each after all lanes have completed the slice before it.
func (f *filler) lane(lane uint32, slices []sync.WaitGroup) {
	defer func() {
		for i := range slices {
			slices[i].Done() // after a panic: the other lanes do not wait for this one
		}
	}()
	for slice := uint32(0); len(slices) > 0; slice++ {
		f.segment(slice/syncPoints, slice%syncPoints, lane)
		end := &slices[0]
		slices = slices[1:]
		end.Done()
		end.Wait()
	}
}

// segment computes the blocks of one lane in one slice, each from the block before it and from a reference block.
func (f *filler) segment(pass, slice, lane uint32) {
	length := f.perLane / syncPoints
	start := lane*f.perLane + slice*length
	first := uint32(0)
	if pass == 0 && slice == 0 {
		first = 2 // two are set
	}
	// In the first half of the first pass, which blocks are read does not depend on the password (section 3.4.1.3).
	independent := pass == 0 && slice < syncPoints/2
	var input, zero, values block
	if independent {
		input = block{uint64(pass), uint64(lane), uint64(slice), uint64(len(f.blocks)), uint64(f.passes), typeID}
	}
	for i := first; i < length; i++ {
		previous := start + i - 1
		if slice == 0 && i == 0 {
			previous = start + f.perLane - 1
		}
		random := f.blocks[previous][0]
		if independent {
			if i%uint32(len(values)) == 0 || i == first { // section 3.4.1.2
				input[6]++
				compress(&values, &zero, &input, false)
				compress(&values, &zero, &values, false)
			}
			random = values[i%uint32(len(values))]
		}
		reference := f.reference(random, pass, slice, lane, i)
		compress(&f.blocks[start+i], &f.blocks[previous], &f.blocks[reference], pass > 0)
	}
}

// reference returns the index of the reference block of block i of a segment (section 3.4.2).
func (f *filler) reference(random uint64, pass, slice, lane, i uint32) uint32 {
	length := f.perLane / syncPoints
	from := uint32(random>>32) % f.lanes
	if pass == 0 && slice == 0 {
		from = lane
	}
	// The window in that lane: the last complete slices, and in the block's own lane the blocks before it too.
	start, size := uint32(0), slice*length
	if pass > 0 {
		start, size = (slice+1)%syncPoints*length, f.perLane-length
	}
	if from == lane {
		size += i - 1
	} else if i == 0 {
		size--
	}
	x := uint64(uint32(random))
	back := uint64(size) * (x * x >> 32) >> 32 // later blocks are likelier
	return from*f.perLane + (start+size-1-uint32(back))%f.perLane
}

// extract returns the key of that many bytes (section 3.2, steps 7 and 8).
func (f *filler) extract(length uint32) []byte {
	final := f.blocks[f.perLane-1]
	for lane := uint32(1); lane < f.lanes; lane++ {
		for i, word := range f.blocks[(lane+1)*f.perLane-1] {
			final[i] ^= word
		}
	}
	bytes, _ := binary.Append(nil, binary.LittleEndian, final[:]) // fails for other types only
	return longHash(length, bytes)
}
