package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/jialing-chain/jialing/internal/chain"
)

// PutCertificate keeps the certificate of a durable block and raises Finalized. It checks that the certificate names our block; the signatures are the
// caller's to check. Safe for concurrent use.
//
// It is not synced by itself: a third sync for every block would buy nothing. The record goes into the log behind its block's, and reaches the disk with the next
// block's sync or when the store is closed; a crash before that leaves the block without its certificate and Finalized lower by as much, never a
// certificate without its block. That is harmless. The certificate is made of signatures that a quorum of validators hold, each of them in the synced batch of
// its own block, so attest gathers it again within a second of the start. Who has been told "finalized" was told of the block, which is durable here and
// cannot change; only the answer to "how far is the chain finalized?" is lower for a moment after a crash.
func (s *Store) PutCertificate(c *chain.Certificate) error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("store certificate %d: %w", c.Height, err)
	}
	hash, err := s.hashOf(c.Height)
	if err != nil {
		return fmt.Errorf("store certificate: %w", err)
	}
	if hash != c.Block {
		return fmt.Errorf("store certificate %d: it names block %s, ours is %s", c.Height, c.Block, hash)
	}
	s.certificateMu.Lock()
	defer s.certificateMu.Unlock()
	b := s.newBatch(4096)
	defer b.close()
	b.set(heightKey(tableCertificates, c.Height), c.Encode())
	finalized := max(s.finalized.Load(), c.Height)
	b.set(metaFinalized, binary.BigEndian.AppendUint64(nil, finalized))
	if err := s.apply(b, pebble.NoSync); err != nil {
		return fmt.Errorf("store certificate %d: %w", c.Height, err)
	}
	s.finalized.Store(finalized)
	return nil
}

// hashOf is the hash of the block at height, most often the head's.
func (s *Store) hashOf(height uint64) (common.Hash, error) {
	if h := s.head.Load(); h != nil && h.header.Number.Uint64() == height {
		return h.hash, nil
	}
	_, hash, err := s.header(s.db, height)
	return hash, err
}

// Certificate returns the certificate of the block at height, nil when there is none. Safe for concurrent use.
func (s *Store) Certificate(height uint64) (*chain.Certificate, error) {
	b, err := s.get(heightKey(tableCertificates, height))
	if err != nil || b == nil {
		return nil, err
	}
	c, err := chain.DecodeCertificate(b)
	if err != nil {
		return nil, s.corrupt(fmt.Errorf("certificate %d: %w", height, err))
	}
	return c, nil
}

// Finalized is the highest height with a certificate; 0 before the first (the genesis needs none). Safe for concurrent use.
func (s *Store) Finalized() uint64 { return s.finalized.Load() }

// Attestation returns this node's own attestation of the block at height, nil when it gave none. Safe for concurrent use.
func (s *Store) Attestation(height uint64) (*chain.Attestation, error) {
	if h := s.head.Load(); h == nil || height > h.header.Number.Uint64() {
		return nil, nil // it lies in its block's batch; who signs the next block asks each time
	}
	b, err := s.get(heightKey(tableAttestations, height))
	if err != nil || b == nil {
		return nil, err
	}
	a := new(chain.Attestation)
	if err := rlp.DecodeBytes(b, a); err != nil {
		return nil, s.corrupt(fmt.Errorf("attestation %d: %w", height, err))
	}
	return a, nil
}
