package mpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
)

// DamagedError says that the store does not hold what the trie needs: a record is missing, malformed, or does not hash to what its parent says.
type DamagedError struct {
	Owner  common.Hash // hash of the account's address; zero: the account trie
	Path   string      // nibbles from the root, in hexadecimal; empty: the root
	Reason string
	Err    error // the cause, if there is one
}

func (e *DamagedError) Error() string {
	trie := "account trie"
	if e.Owner != (common.Hash{}) {
		trie = fmt.Sprintf("storage trie of %x", e.Owner)
	}
	s := fmt.Sprintf("%s damaged at path %q: %s", trie, e.Path, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *DamagedError) Unwrap() error { return e.Err }

// record is the decoded form of a node record; the package comment gives its layout.
type record struct {
	explicit uint16
	hash     [32]byte
	skip     [32]byte // nibbles from the first on
	skipLen  int
}

var errRecord = errors.New("malformed node record")

func (r *record) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, r.explicit)
	dst = append(dst, r.hash[:]...)
	if r.skipLen > 0 {
		dst = append(dst, byte(r.skipLen))
		dst = append(dst, r.skip[:(r.skipLen+1)/2]...)
	}
	return dst
}

// decode accepts exactly what append makes.
func (r *record) decode(b []byte) error {
	if len(b) < 34 {
		return errRecord
	}
	*r = record{explicit: binary.BigEndian.Uint16(b)}
	copy(r.hash[:], b[2:])
	if b = b[34:]; len(b) == 0 {
		return nil
	}
	r.skipLen = int(b[0])
	if b = b[1:]; r.skipLen == 0 || r.skipLen > 63 || len(b) != (r.skipLen+1)/2 {
		return errRecord
	}
	copy(r.skip[:], b)
	if r.skipLen&1 == 1 && b[len(b)-1]&15 != 0 {
		return errRecord
	}
	return nil
}

// plainTail ends the RLP of every account that has neither storage nor code: the empty root and the empty code hash. Nearly all accounts have it,
// so it is left out in memory, and AppendAccountRecord leaves it out on disk.
var plainTail = append(append([]byte{0xa0}, EmptyRoot[:]...), append([]byte{0xa0},
	common.FromHex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")...)...)

// EmptyRoot is the root of a trie without leaves: keccak(rlp("")).
var EmptyRoot = common.HexToHash("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")

// AppendAccountRecord appends a flat record for an account leaf: 0 ‖ the leaf without its constant tail if the account has no code and no storage,
// else the leaf itself (which never starts with 0).
func AppendAccountRecord(dst, leaf []byte) []byte {
	if short, ok := bytes.CutSuffix(leaf, plainTail); ok {
		return append(append(dst, 0), short...)
	}
	return append(dst, leaf...)
}

// AccountLeaf undoes AppendAccountRecord; it serves as Layout.AccountLeaf.
func AccountLeaf(dst, record []byte) ([]byte, error) {
	if len(record) == 0 {
		return dst, errors.New("empty account record")
	}
	if record[0] == 0 {
		return append(append(dst, record[1:]...), plainTail...), nil
	}
	return append(dst, record...), nil
}
