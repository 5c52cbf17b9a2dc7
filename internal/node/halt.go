package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

// haltFile is where a node that halts for good says so, for whoever finds it dead.
const haltFile = "halt.json"

// maxHaltFile bounds haltFile: two headers, a list of validators and a sentence about a key.
const maxHaltFile = 1 << 20

// ErrHalted is a folder whose node halted: its state differs from what a quorum of validators signed or, on a chain of work, a chain of more work leaves out
// blocks that are final here.
var ErrHalted = errors.New("the node halted: its chain is not that of the others")

// Halt says why a node halted for good.
type Halt struct {
	Height uint64    `json:"height"`
	Time   time.Time `json:"time"`
	// Own is the header that this node computed, Certified the one that the validators in Signers signed; the hashes are the suite's.
	Own           *chain.Header       `json:"own"`
	OwnHash       crypto.Hash         `json:"ownHash"`
	Certified     *chain.Header       `json:"certified"`
	CertifiedHash crypto.Hash         `json:"certifiedHash"`
	Signers       []chain.ValidatorID `json:"signers"`
	// FirstKey names the first difference with both values: a key of the state, or a field of the header where no other node's writes could be had. Detail
	// says what is known beyond it, or why it is not.
	FirstKey string `json:"firstKey"`
	Detail   string `json:"detail"`
	Advice   string `json:"advice"`
	// Fork is there on a chain of work, and what is of signatures is empty.
	Fork *ForkHalt `json:"fork,omitempty"`
}

// ForkHalt is a chain of more work that leaves out blocks that are final here.
type ForkHalt struct {
	// Last is the last block in common, Final the last one that was final here: so many must be given up to follow the other chain.
	Last  uint64 `json:"last"`
	Final uint64 `json:"final"`
	// Ours and Theirs are the ends of both chains, Checkpoint names the first block of ours that the other chain leaves out, as node.toml takes it.
	Ours       ForkEnd `json:"ours"`
	Theirs     ForkEnd `json:"theirs"`
	Checkpoint string  `json:"checkpoint"`
}

// ForkEnd is the last block of a chain with all the work up to it, in hashes.
type ForkEnd struct {
	Height uint64      `json:"height"`
	Hash   crypto.Hash `json:"hash"`
	Work   string      `json:"work"`
}

// HaltPath is where a node's folder has its halt.
func HaltPath(dir string) string { return filepath.Join(dir, haltFile) }

// WriteHalt writes <dir>/halt.json durably, in place of an older one.
func WriteHalt(dir string, h *Halt) error {
	b, err := json.MarshalIndent(h, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", haltFile, err)
	}
	f, err := os.CreateTemp(dir, "."+haltFile+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", haltFile, err)
	}
	defer os.Remove(f.Name()) // gone after the renaming
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), HaltPath(dir))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", haltFile, err)
	}
	return nil
}

// ReadHalt reads <dir>/halt.json; nil when there is none.
func ReadHalt(dir string) (*Halt, error) {
	f, err := os.Open(HaltPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", haltFile, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHaltFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", haltFile, err)
	}
	if len(b) > maxHaltFile {
		return nil, fmt.Errorf("read %s: exceeds %d bytes", haltFile, maxHaltFile)
	}
	h := new(Halt)
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("read %s: %w", haltFile, err)
	}
	return h, nil
}

// CheckHalt is ErrHalted with the height while <dir>/halt.json is there: the node must not go on as if nothing had happened.
func CheckHalt(dir string) error {
	h, err := ReadHalt(dir)
	if err != nil || h == nil {
		return err
	}
	return fmt.Errorf("%w at height %d; see %s", ErrHalted, h.Height, HaltPath(dir))
}
