package bft

import "github.com/jialing-chain/jialing/internal/crypto"

// word is one commit that this node has signed, of a height that is told beside it.
type word struct {
	View   uint64
	Digest crypto.Hash
}

// words are the commits that this node has signed for the highest height for which it has signed any.
type words struct {
	height uint64
	said   []word
}

// maxWords bounds the words of one height: one a view, and a height that has seen so many views without a decision waits for something else than one more
// vote. Beyond, this node says nothing more at that height.
const maxWords = 256

// add takes a commit that is about to be signed. False when it must not be: one for the same height and view says something else, or it is for a height
// below one that was signed for, of which nothing is remembered any more.
func (w *words) add(h head) bool {
	switch {
	case h.height < w.height:
		return false
	case h.height > w.height:
		w.height, w.said = h.height, nil
	}
	for _, s := range w.said {
		if s.View == h.view {
			return s.Digest == h.digest
		}
	}
	if len(w.said) >= maxWords {
		return false
	}
	w.said = append(w.said, word{h.view, h.digest})
	return true
}

// cover tells whether a commit of this node's key may be known here: it is remembered, or so old that it need not be.
func (w *words) cover(h head) bool {
	if h.height != w.height {
		return h.height < w.height
	}
	for _, s := range w.said {
		if s == (word{h.view, h.digest}) {
			return true
		}
	}
	return false
}
