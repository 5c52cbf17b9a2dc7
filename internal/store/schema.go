package store

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
	"github.com/ethereum/go-ethereum/common"
)

// formatVersion is the format of everything below. Another number is another format, refused by Open.
const formatVersion = 3

// A table is the first byte of its keys. Numbers are big-endian; a height takes 6 bytes (heightSize): enough for 10^14 blocks, and keys are the larger
// part of the small records. A fragment is 8 bytes of a hash: readers verify against the full data, so a collision costs a second look and nothing else.
const (
	// tableMeta: name → value. See the meta constants.
	tableMeta byte = 'm'

	// tableAccounts: keccak(address)(32) → mpt.AppendAccountRecord (nonce, balance, storage root, code hash).
	tableAccounts byte = 'a'
	// tableSlots: keccak(address)(32) ‖ keccak(slot)(32) → RLP of the value without leading zeros. Absent is zero.
	tableSlots byte = 's'
	// tableAccountNodes and tableStorageNodes are the commitment's, see mpt.Layout.
	tableAccountNodes byte = 'A'
	tableStorageNodes byte = 'S'
	// tableCode: code hash(32) → code. Never deleted.
	tableCode byte = 'c'

	// tableDiffs: height ‖ chunk(2) → flat keys that the block changed with their values before it, ascending (diff.go).
	tableDiffs byte = 'v'
	// tableEpochs: epoch(2) → its first height(8) (epoch.go).
	tableEpochs byte = 'i'
	// tableChanges: epoch(2) ‖ fragment of a flat key(8) ‖ height → the chunk of that block's diff that holds the key (history.go).
	tableChanges byte = 'x'

	// tableDecisions: height → decision hash(32) ‖ transaction count ‖ RLP of the decision without its transaction list.
	tableDecisions byte = 'd'
	// tableBodies: height ‖ last index in the chunk(2) → transactions with senders, in decided order (body.go).
	tableBodies byte = 'b'
	// tableHeaders: height → block hash(32) ‖ header RLP.
	tableHeaders byte = 'h'
	// tableHashes: fragment of a block hash(8) ‖ height → nothing.
	tableHashes byte = 'n'
	// tableExclusions: height → positions in the decision with reasons; absent when the block left nothing out.
	tableExclusions byte = 'e'
	// tableReceipts: height ‖ last index in the chunk(2) → receipts, in block order (receipt.go).
	tableReceipts byte = 'r'
	// tableTxs: epoch(2) ‖ fragment of a transaction hash(8) ‖ height ‖ index in the decision(2) → nothing.
	tableTxs byte = 't'
	// tableLogs: epoch(2) ‖ fragment of a log term(8) ‖ height → indexes in the block of the transactions with a log of that term, as runs (logindex.go).
	tableLogs byte = 'l'

	// tableSets: first height → RLP of the rule (engine and validators) from there on (validators.go).
	tableSets byte = 'g'
	// tableAttestations: height → RLP of this node's attestation.
	tableAttestations byte = 'o'
	// tableCertificates: height → RLP of the certificate.
	tableCertificates byte = 'q'
	// tableImport: kind(1) ‖ … → what is still to be fetched of a state (import.go). Empty in a folder that holds a chain.
	tableImport byte = 'p'
	// tableEngineLog: number(8), from 1 on → what the consensus engine must not forget (enginelog.go).
	tableEngineLog byte = 'j'
	// tableKept: number(8) → the transactions of a proposal that this node has agreed to and that is not decided (kept.go).
	tableKept byte = 'k'
	// tableKeptBlocks: height ‖ hash(32) → the transactions of a block that is not decided (keptblock.go).
	tableKeptBlocks byte = 'w'
)

// tables names the tables for people, in the order in which Usage lists them.
var tables = []struct {
	prefix byte
	name   string
}{
	{tableAccounts, "accounts"}, {tableSlots, "slots"}, {tableAccountNodes, "account nodes"}, {tableStorageNodes, "storage nodes"}, {tableCode, "code"},
	{tableDiffs, "history"}, {tableChanges, "history index"}, {tableDecisions, "decisions"}, {tableBodies, "transactions"}, {tableHeaders, "headers"},
	{tableHashes, "block index"}, {tableExclusions, "exclusions"}, {tableReceipts, "receipts"}, {tableTxs, "transaction index"},
	{tableLogs, "log index"}, {tableAttestations, "attestations"}, {tableCertificates, "certificates"}, {tableSets, "validator sets"}, {tableEpochs, "epochs"},
	{tableEngineLog, "engine log"}, {tableKept, "kept proposals"}, {tableKeptBlocks, "kept blocks"}, {tableImport, "import"}, {tableMeta, "meta"},
}

// Names in tableMeta.
var (
	// metaGenesis → canonical JSON.
	metaGenesis = metaKey("genesis")
	// metaHead → height(8) ‖ block hash(32) of the last committed block ‖ index entries in its epoch(8).
	metaHead = metaKey("head")
	// metaDecided → height(8) ‖ decision hash(32) of the last decision.
	metaDecided = metaKey("decided")
	// metaFinalized → height(8) of the highest certificate.
	metaFinalized = metaKey("finalized")
	// metaOldest → height(8): the lowest block whose state can be read. Diffs at or below it may be gone.
	metaOldest = metaKey("oldest")
	// metaFirst → height(8) of the block whose state was fetched instead of computed; absent in a chain that began at block 0.
	metaFirst = metaKey("first")
)

const (
	heightSize   = 6
	fragmentSize = 8
	hashSize     = common.HashLength

	// maxHeight is the last height that a key can hold.
	maxHeight = 1<<(8*heightSize) - 1

	accountKeySize = 1 + hashSize
	slotKeySize    = 1 + 2*hashSize
)

func metaKey(name string) []byte { return append([]byte{tableMeta}, name...) }

func appendHeight(b []byte, height uint64) []byte {
	return append(b, byte(height>>40), byte(height>>32), byte(height>>24), byte(height>>16), byte(height>>8), byte(height))
}

// decodeHeight reads the first heightSize bytes of b.
func decodeHeight(b []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
}

func heightKey(table byte, height uint64) []byte {
	return appendHeight(append(make([]byte, 0, 1+heightSize), table), height)
}

// chunkKey is the key of tableDiffs, tableBodies and tableReceipts.
func chunkKey(table byte, height uint64, n uint16) []byte {
	b := appendHeight(append(make([]byte, 0, 1+heightSize+2), table), height)
	return binary.BigEndian.AppendUint16(b, n)
}

// fragmentHead is the size of table ‖ epoch ‖ fragment.
const fragmentHead = 1 + epochSize + fragmentSize

// fragmentKey is the key of tableChanges and tableLogs, and the beginning of tableTxs'.
func fragmentKey(table byte, epoch int, fragment, height uint64) []byte {
	return appendHeight(fragmentPrefix(table, epoch, fragment), height)
}

// fragmentPrefix is what the keys of one fragment in one epoch begin with. It has room for the rest.
func fragmentPrefix(table byte, epoch int, fragment uint64) []byte {
	b := append(make([]byte, 0, fragmentHead+heightSize+2), table)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(b, uint16(epoch)), fragment)
}

func hashPrefix(fragment uint64) []byte {
	return binary.BigEndian.AppendUint64(append(make([]byte, 0, 1+fragmentSize+heightSize), tableHashes), fragment)
}

func hashKey(fragment, height uint64) []byte { return appendHeight(hashPrefix(fragment), height) }

func accountKey(hash *common.Hash) (k [accountKeySize]byte) {
	k[0] = tableAccounts
	copy(k[1:], hash[:])
	return k
}

func slotKey(account, slot *common.Hash) (k [slotKeySize]byte) {
	k[0] = tableSlots
	copy(k[1:], account[:])
	copy(k[1+hashSize:], slot[:])
	return k
}

func codeKey(hash common.Hash) []byte {
	return append(append(make([]byte, 0, 1+hashSize), tableCode), hash[:]...)
}

// hashFragment is the fragment of a transaction's or block's hash.
func hashFragment(h common.Hash) uint64 { return binary.BigEndian.Uint64(h[:]) }

// flatFragment is the fragment of a flat key (accountKey or slotKey). A slot's mixes both hashes, or all contracts' slot 0 would meet in one place.
func flatFragment(key []byte) uint64 {
	f := binary.BigEndian.Uint64(key[1:])
	if len(key) == slotKeySize {
		f = f*0x9e3779b97f4a7c15 ^ binary.BigEndian.Uint64(key[1+hashSize:])
	}
	return f
}

// prefixEnd is the first key behind all keys that start with prefix. No table is 0xff, so there is one.
func prefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// comparer orders keys by their bytes. For the tables of fragments it makes what ends with the fragment the key's prefix: bloom filters then answer "is there
// anything for this fragment?", the question that every look-up in them asks. The name is part of the format.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "jialing.1"
	c.Split = func(key []byte) int {
		if len(key) == 0 {
			return 0
		}
		switch key[0] {
		case tableChanges, tableTxs, tableLogs:
			return min(len(key), fragmentHead)
		case tableHashes:
			return min(len(key), 1+fragmentSize)
		}
		return len(key)
	}
	return &c
}()
