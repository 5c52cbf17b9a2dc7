package client

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
)

// maxTrieNode bounds a proof's node in bytes: the largest leaf of a block's trie is a receipt, whose logs a block's gas bounds.
const maxTrieNode = 64 << 20

// proveValue walks a Merkle-Patricia proof from root along key and returns the value at its end. nodes are the RLP of the nodes from the root
// on, without those that their parent embeds; every one must be used, and each must hash to what the one before says.
func proveValue(root common.Hash, key []byte, nodes [][]byte) ([]byte, error) {
	path := nibbles(key)
	want := root[:]
	for i, node := range nodes {
		if len(node) > maxTrieNode {
			return nil, fmt.Errorf("node %d exceeds %d bytes", i, maxTrieNode)
		}
		if !bytes.Equal(crypto.Keccak256(node), want) {
			return nil, fmt.Errorf("node %d does not hash to what the one above says", i)
		}
		next, rest, err := descend(node, path)
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		// A child of fewer than 32 bytes stands inside its parent.
		for next.embedded {
			if next, rest, err = descend(next.data, rest); err != nil {
				return nil, fmt.Errorf("node %d: %w", i, err)
			}
		}
		if next.value {
			if i != len(nodes)-1 {
				return nil, fmt.Errorf("%d nodes follow the value", len(nodes)-1-i)
			}
			return next.data, nil
		}
		want, path = next.data, rest
	}
	return nil, errors.New("the nodes end before the value")
}

// step is where a node leads: to the value, to a node inside it, or to the hash of another.
type step struct {
	data            []byte
	value, embedded bool
}

var errNoSuchKey = errors.New("the trie does not hold this key")

// descend takes one node's step along path and returns what remains of it.
func descend(node, path []byte) (step, []byte, error) {
	items, rest, err := rlp.SplitList(node)
	if err != nil || len(rest) != 0 {
		return step{}, nil, errors.New("is not an RLP list")
	}
	count, err := rlp.CountValues(items)
	if err != nil {
		return step{}, nil, errors.New("is malformed RLP")
	}
	switch count {
	case 17:
		if len(path) == 0 {
			value, err := item(items, 16)
			if err != nil || len(value.data) == 0 {
				return step{}, nil, errNoSuchKey
			}
			return step{data: value.data, value: true}, nil, nil
		}
		next, err := item(items, int(path[0]))
		return next, path[1:], childError(next, err)
	case 2:
		return descendShort(items, path)
	}
	return step{}, nil, fmt.Errorf("has %d items, want 2 or 17", count)
}

// descendShort follows a leaf or an extension: [hex-prefix path, value or child].
func descendShort(items, path []byte) (step, []byte, error) {
	prefix, err := item(items, 0)
	if err != nil || prefix.embedded || len(prefix.data) == 0 || prefix.data[0]>>4 > 3 {
		return step{}, nil, errors.New("has a malformed path")
	}
	own := nibbles(prefix.data)[2:]
	if prefix.data[0]&0x10 != 0 {
		own = nibbles(prefix.data)[1:]
	} else if prefix.data[0]&0x0f != 0 {
		return step{}, nil, errors.New("has a malformed path")
	}
	if !bytes.HasPrefix(path, own) {
		return step{}, nil, errNoSuchKey
	}
	path = path[len(own):]
	next, err := item(items, 1)
	if leaf := prefix.data[0]&0x20 != 0; !leaf {
		return next, path, childError(next, err)
	}
	if err != nil || next.embedded || len(path) != 0 {
		return step{}, nil, errNoSuchKey
	}
	return step{data: next.data, value: true}, nil, nil
}

func childError(child step, err error) error {
	switch {
	case err != nil:
		return err
	case child.embedded:
		return nil
	case len(child.data) == 0:
		return errNoSuchKey
	case len(child.data) != common.HashLength:
		return errors.New("has a child that is no hash")
	}
	return nil
}

// item is the i-th item of an RLP list's content: a string's bytes, or a list with its header.
func item(items []byte, i int) (step, error) {
	for ; ; i-- {
		kind, content, rest, err := rlp.Split(items)
		if err != nil {
			return step{}, errors.New("is malformed RLP")
		}
		if i == 0 {
			if kind == rlp.List {
				return step{data: items[:len(items)-len(rest)], embedded: true}, nil
			}
			return step{data: content}, nil
		}
		items = rest
	}
}

func nibbles(b []byte) []byte {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, c>>4, c&0x0f)
	}
	return out
}
