package client

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// What goes before the bytes that are hashed: for a leaf, an inner node and the root.
const (
	recordLeaf byte = iota
	recordNode
	recordRoot
)

// verifyRecord checks that transaction and receipt are record Index of Count under the root in the header's extra data, by the suite's hash alone. The
// tree is that of RFC 9162, section 2.1, with other prefixes; a leaf is the pair of the hashes of the raw transaction and of the receipt.
func (p *Proof) verifyRecord(s *suite, h *types.Header) error {
	extra, err := decodeExtra(h.Extra)
	if err != nil {
		return err
	}
	at, last := uint64(p.Index), uint64(p.Count)-1
	if p.Count == 0 || at > last {
		return fmt.Errorf("it is record %d of %d", at, uint64(p.Count))
	}
	node := s.pair(recordLeaf, s.sum(p.Tx), s.sum(p.Receipt))
	for _, beside := range p.RecordProof {
		switch {
		case last == 0:
			return errors.New("the path is too long")
		case at&1 == 1 || at == last:
			node = s.pair(recordNode, beside, node)
			for at&1 == 0 && at != 0 { // where the tree has no right part, its left one stands a level higher
				at, last = at>>1, last>>1
			}
		default:
			node = s.pair(recordNode, node, beside)
		}
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return errors.New("the path is too short")
	}
	if s.sum(binary.BigEndian.AppendUint64([]byte{recordRoot}, uint64(p.Count)), node[:]) != extra.Records {
		return errors.New("the path leads to another root than the header's")
	}
	return nil
}

func (s *suite) pair(kind byte, a, b common.Hash) common.Hash { return s.sum([]byte{kind}, a[:], b[:]) }
