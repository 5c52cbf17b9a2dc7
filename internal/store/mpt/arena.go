package mpt

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// branch is a live explicit node. It holds no Go pointer, so the collector never looks inside.
type branch struct {
	refs     [16][32]byte // references of the children: a hash, or (bit in embedded) RLP shorter than 32 bytes
	kids     [16]uint32   // of explicit children: a handle, or a stub (see stubOf)
	path     [32]byte     // of the branch, below its extension; zero beyond depth
	depth    uint8        // nibbles in path
	count    uint8        // leaves in the block
	bytes    uint16       // bytes in the block
	block    uint32       // handle of the leaf block, 0 when bytes is 0
	stamp    uint32       // commit that touched the subtree last
	child    uint16       // bit n: child n exists
	explicit uint16       // bit n: child n is explicit; subset of child
	embedded uint16       // bit n: refs[n] is RLP, not a hash
	dirty    uint16       // bit n: refs[n] is out of date
	_        [8]byte      // makes it ten cache lines
}

// A stub stands for an explicit child that is not live: what its record says of it, but for the hash, which the parent has.
const (
	stubFlag = 1 << 31
	stubSkip = 1 << 16 // an extension stands above the branch: its nibbles are in the record
)

func stubOf(explicit uint16, skip bool) uint32 {
	s := uint32(stubFlag) | uint32(explicit)
	if skip {
		s |= stubSkip
	}
	return s
}

const (
	branchBytes  = int64(unsafe.Sizeof(branch{}))
	branchChunk  = 64      // branches in one chunk
	blockUnit    = 16      // leaf blocks are multiples of it
	blockChunk   = 1 << 16 // bytes in one chunk of leaf blocks
	maxBlock     = 16 * pageLeaves * (leafHead + maxStored)
	refillBytes  = 8 << 10 // what an allocator takes from the arena at a time
	refillBranch = 8
)

// blockSizes are the size classes of leaf blocks, an eighth apart: at most 12 % is lost to rounding up.
var blockSizes, blockClass = func() (sizes []int, class [maxBlock/blockUnit + 2]uint8) {
	for size := 64; ; size += max(blockUnit, size/8/blockUnit*blockUnit) {
		sizes = append(sizes, size)
		if size >= maxBlock {
			break
		}
	}
	for i, c := 0, 0; i < len(class); i++ {
		for c < len(sizes)-1 && sizes[c] < i*blockUnit {
			c++
		}
		class[i] = uint8(c)
	}
	return sizes, class
}()

func classOf(n int) uint8 { return blockClass[(n+blockUnit-1)/blockUnit] }

// arena holds the branches and leaf blocks of many tries in chunks. Handles are stable and 0 is none. Chunks are never given back: what eviction
// frees is used again. Workers allocate through an allocator each; reading through a handle needs no lock.
type arena struct {
	branches atomic.Pointer[[]*[branchChunk]branch]
	blocks   atomic.Pointer[[]*[blockChunk]byte]

	mu           sync.Mutex // guards what follows, and growing the two directories
	freeBranches []uint32
	freeBlocks   [][]uint32 // by class
	blockEnd     int        // bytes carved from the last block chunk
}

func newArena() *arena {
	a := &arena{freeBlocks: make([][]uint32, len(blockSizes)), blockEnd: blockChunk}
	a.branches.Store(new([]*[branchChunk]branch))
	a.blocks.Store(new([]*[blockChunk]byte))
	return a
}

func (a *arena) branch(h uint32) *branch {
	return &(*a.branches.Load())[h/branchChunk][h%branchChunk]
}

func (a *arena) block(h uint32, n uint16) []byte {
	off := h % (blockChunk / blockUnit) * blockUnit
	return (*a.blocks.Load())[h/(blockChunk/blockUnit)][off : off+uint32(n) : blockChunk]
}

// leaves returns the leaf block of b.
func (a *arena) leaves(b *branch) []byte {
	if b.bytes == 0 {
		return nil
	}
	return a.block(b.block, b.bytes)
}

// takeBranches moves up to refillBranch free handles to dst.
func (a *arena) takeBranches(dst []uint32) []uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.freeBranches) == 0 {
		dir := *a.branches.Load()
		first := uint32(len(dir)) * branchChunk
		dir = append(dir, new([branchChunk]branch))
		a.branches.Store(&dir)
		for h := first + branchChunk - 1; h >= max(first, 1); h-- {
			a.freeBranches = append(a.freeBranches, h)
		}
	}
	cut := max(0, len(a.freeBranches)-refillBranch)
	dst = append(dst, a.freeBranches[cut:]...)
	a.freeBranches = a.freeBranches[:cut]
	return dst
}

// takeBlocks moves some free handles of a class to dst, carving new blocks when there are none.
func (a *arena) takeBlocks(dst []uint32, class uint8) []uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := blockSizes[class]
	want := refillBytes/size + 1
	if free := a.freeBlocks[class]; len(free) > 0 {
		cut := max(0, len(free)-want)
		dst = append(dst, free[cut:]...)
		a.freeBlocks[class] = free[:cut]
		return dst
	}
	if a.blockEnd+size > blockChunk {
		dir := append(*a.blocks.Load(), new([blockChunk]byte))
		a.blocks.Store(&dir)
		a.blockEnd = 0
		if len(dir) == 1 {
			a.blockEnd = blockUnit // handle 0 stays unused
		}
	}
	chunk := uint32(len(*a.blocks.Load())-1) * (blockChunk / blockUnit)
	for ; want > 0 && a.blockEnd+size <= blockChunk; want-- {
		dst = append(dst, chunk+uint32(a.blockEnd/blockUnit))
		a.blockEnd += size
	}
	return dst
}

// allocator is one worker's window on the arena: handles at hand, without a lock, and what the worker's allocations sum up to.
type allocator struct {
	*arena
	spareBranches []uint32
	spareBlocks   [][]uint32
	live          int64 // branches allocated less those freed
	liveBytes     int64 // the same for both, in bytes
}

func newAllocator(a *arena) allocator {
	return allocator{arena: a, spareBlocks: make([][]uint32, len(blockSizes))}
}

// newBranch returns a branch at the first depth nibbles of path, without children.
func (l *allocator) newBranch(path *[32]byte, depth int) (uint32, *branch) {
	if len(l.spareBranches) == 0 {
		l.spareBranches = l.takeBranches(l.spareBranches)
	}
	last := len(l.spareBranches) - 1
	h := l.spareBranches[last]
	l.spareBranches = l.spareBranches[:last]
	b := l.branch(h)
	b.reset(path, depth)
	l.live++
	l.liveBytes += branchBytes
	return h, b
}

func (b *branch) reset(path *[32]byte, depth int) {
	b.path, b.depth = *path, uint8(depth)
	clearFrom(&b.path, depth)
	b.kids = [16]uint32{}
	b.count, b.bytes, b.block, b.stamp = 0, 0, 0, 0
	b.child, b.explicit, b.embedded, b.dirty = 0, 0, 0, 0
}

func (l *allocator) freeBranch(h uint32) {
	l.setLeaves(l.branch(h), nil, 0)
	l.live--
	l.liveBytes -= branchBytes
	if l.spareBranches = append(l.spareBranches, h); len(l.spareBranches) >= 4*refillBranch {
		l.mu.Lock()
		l.freeBranches = append(l.freeBranches, l.spareBranches...)
		l.mu.Unlock()
		l.spareBranches = l.spareBranches[:0]
	}
}

// setLeaves replaces the leaf block of b by a copy of data, which must not lie in the block itself.
func (l *allocator) setLeaves(b *branch, data []byte, count int) {
	was, want := classOf(int(b.bytes)), classOf(len(data))
	if b.bytes > 0 && (len(data) == 0 || was != want) {
		l.freeBlock(b.block, was)
		b.block, b.bytes = 0, 0
	}
	if len(data) > 0 && b.bytes == 0 {
		b.block = l.newBlock(want)
	}
	b.bytes, b.count = uint16(len(data)), uint8(count)
	copy(l.leaves(b), data)
}

func (l *allocator) newBlock(class uint8) uint32 {
	spare := l.spareBlocks[class]
	if len(spare) == 0 {
		spare = l.takeBlocks(spare, class)
	}
	last := len(spare) - 1
	h := spare[last]
	l.spareBlocks[class] = spare[:last]
	l.liveBytes += int64(blockSizes[class])
	return h
}

func (l *allocator) freeBlock(h uint32, class uint8) {
	size := blockSizes[class]
	l.liveBytes -= int64(size)
	if l.spareBlocks[class] = append(l.spareBlocks[class], h); len(l.spareBlocks[class]) > 4*(refillBytes/size+1) {
		l.mu.Lock()
		l.freeBlocks[class] = append(l.freeBlocks[class], l.spareBlocks[class]...)
		l.mu.Unlock()
		l.spareBlocks[class] = l.spareBlocks[class][:0]
	}
}
