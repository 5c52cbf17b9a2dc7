package pool

// Marks of entry.filed: for each heap, whether an item for the entry lies in it and whether that item counts.
const (
	inTips uint8 = 1 << (2 * iota)
	inCaps
	inWorth
	inLocalWorth
)

// rank orders the items of a heap, the greatest first: by price, then by tie.
type rank struct {
	price price
	tie   uint64
}

func (r rank) above(s rank) bool {
	if r.price != s.price {
		return s.price.less(r.price)
	}
	return r.tie > s.tie
}

type item struct {
	rank rank
	e    *entry
}

// heap is a 4-ary heap of entries, each with one rank for ever. Ranks lie in the array itself and entries are taken out by a mark only, so
// that neither filing nor dropping one touches the memory of others. Items without the mark go when they reach the top or are half of all.
type heap struct {
	items []item
	in    uint8
	stale int
}

const (
	arity    = 4
	minStale = 64
)

func (h *heap) counts(e *entry) bool { return e.filed&(h.in<<1) != 0 }

// push files e; its rank must be the one it had before, if it ever was here.
func (h *heap) push(e *entry, r rank) {
	switch {
	case h.counts(e):
	case e.filed&h.in != 0:
		h.stale--
	default:
		h.items = append(h.items, item{})
		h.up(len(h.items)-1, item{r, e})
	}
	e.filed |= h.in | h.in<<1
}

// drop takes e out; it need not be in.
func (h *heap) drop(e *entry) {
	if !h.counts(e) {
		return
	}
	e.filed &^= h.in << 1
	if h.stale++; h.stale > minStale && h.stale > len(h.items)/2 {
		h.compact()
	}
}

// top is the first item that counts, nil in an empty heap.
func (h *heap) top() *item {
	for len(h.items) > 0 {
		if h.counts(h.items[0].e) {
			return &h.items[0]
		}
		h.stale--
		h.pop()
	}
	return nil
}

// pop removes the item that top returned.
func (h *heap) pop() {
	h.items[0].e.filed &^= h.in | h.in<<1
	n := len(h.items) - 1
	last := h.items[n]
	h.items[n] = item{}
	if h.items = h.items[:n]; n > 0 {
		h.down(0, last)
	}
}

func (h *heap) up(i int, it item) {
	for i > 0 {
		parent := (i - 1) / arity
		if !it.rank.above(h.items[parent].rank) {
			break
		}
		h.items[i] = h.items[parent]
		i = parent
	}
	h.items[i] = it
}

func (h *heap) down(i int, it item) {
	for {
		first := i*arity + 1
		if first >= len(h.items) {
			break
		}
		best := first
		for c := first + 1; c < min(first+arity, len(h.items)); c++ {
			if h.items[c].rank.above(h.items[best].rank) {
				best = c
			}
		}
		if !h.items[best].rank.above(it.rank) {
			break
		}
		h.items[i] = h.items[best]
		i = best
	}
	h.items[i] = it
}

// compact removes what does not count.
func (h *heap) compact() {
	kept := h.items[:0]
	for _, it := range h.items {
		if h.counts(it.e) {
			kept = append(kept, it)
		} else {
			it.e.filed &^= h.in
		}
	}
	clear(h.items[len(kept):])
	h.items, h.stale = kept, 0
	for i := (len(kept) - 2) / arity; i >= 0 && len(kept) > 1; i-- {
		h.down(i, kept[i])
	}
}

// clear empties the heap.
func (h *heap) clear() {
	for _, it := range h.items {
		it.e.filed &^= h.in | h.in<<1
	}
	h.items, h.stale = nil, 0
}
