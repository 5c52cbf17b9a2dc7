package store

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/internal/chain"
)

// populate makes a block of n new accounts, some with code and storage, one with big slots.
func (l *ledger) populate(n, big int) *work {
	state := l.states[len(l.states)-1].clone()
	var w chain.WriteSet
	for i := range n {
		addr := common.Address{0x10, byte(i >> 8), byte(i), byte(len(l.blocks))}
		a := chain.Account{Nonce: 1, Balance: *uint256.NewInt(l.rng.Uint64()), CodeHash: chain.EmptyCodeHash}
		c := chain.AccountChange{Address: addr, Account: &a}
		slots := 0
		switch {
		case i == n-1:
			slots = big
		case l.rng.IntN(4) == 0:
			slots = 1 + l.rng.IntN(20)
		}
		if slots > 0 || l.rng.IntN(8) == 0 {
			c.Code = []byte(fmt.Sprintf("code %d", l.rng.IntN(12)))
			a.CodeHash = gethcrypto.Keccak256Hash(c.Code)
		}
		for k := range slots {
			v := common.Hash{31: byte(1 + l.rng.IntN(255))}
			if l.rng.IntN(2) == 0 {
				v[0] = 1
			}
			key := common.Hash{30: byte(k >> 8), 31: byte(k)}
			c.Slots = append(c.Slots, chain.SlotChange{Key: key, Value: v})
			state.slots[slotID{addr, key}] = v
			if !slices.Contains(l.keys, key) && k < 30 {
				l.keys = append(l.keys, key)
			}
		}
		state.accounts[addr] = a
		l.addresses = append(l.addresses, addr)
		w = append(w, c)
	}
	slices.SortFunc(w, func(a, b chain.AccountChange) int { return a.Address.Cmp(b.Address) })
	return l.work(3, w, state)
}

// certified stores a block with a certificate.
func (l *ledger) certified(s *Store, w *work) {
	l.put(s, w)
	require.NoError(l.tb, s.PutCertificate(l.certificate(w)))
}

func (l *ledger) certificate(w *work) *chain.Certificate {
	header, err := chain.HeaderHash(l.suite, w.executed.Block.Header)
	require.NoError(l.tb, err)
	return &chain.Certificate{Height: w.decision.Height, Block: w.executed.Block.Hash, Header: header,
		Attestations: []chain.Attestation{{Validator: 1, Signature: []byte{1}}}}
}

// source is a chain with a state that is held.
func (l *ledger) source(cfg Config, blocks, accounts, big int) (*Store, *work) {
	s := l.open(cfg)
	for range blocks {
		l.certified(s, l.randomWork(3))
	}
	w := l.populate(accounts, big)
	l.certified(s, w)
	require.NoError(l.tb, s.HoldState(w.decision.Height))
	return s, w
}

// tail is what a peer gives beside the state.
func (l *ledger) tail(s *Store, w *work) *chain.StateTail {
	height := w.decision.Height
	t := &chain.StateTail{Genesis: l.genesis, Decision: w.decision, Txs: w.txs, Exclusions: w.executed.Excluded, Certificate: l.certificate(w),
		Rule: *l.ruleAt(height), Next: *l.ruleAt(height + 1)}
	for h := height - min(height-1, chain.AncestorHeaders); h < height; h++ {
		header, err := s.Header(h)
		require.NoError(l.tb, err)
		t.Ancestors = append(t.Ancestors, header)
	}
	return t
}

// fetch brings an import to its end, ranges in random order.
func fetch(from *Store, i *Import, rng *rand.Rand, limit int) error {
	height := i.Header().Number.Uint64()
	for {
		codes, err := i.Codes(1 + rng.IntN(5))
		if err != nil {
			return err
		}
		if len(codes) > 0 && rng.IntN(2) == 0 {
			got, err := from.StateCodes(codes)
			if err == nil {
				err = i.AddCodes(got)
			}
			if err != nil {
				return err
			}
			continue
		}
		ranges, err := i.Open(1 + rng.IntN(40))
		if err != nil {
			return err
		}
		if len(ranges) == 0 {
			if len(codes) == 0 {
				return nil
			}
			continue
		}
		r := ranges[rng.IntN(len(ranges))]
		b, err := from.StateChunk(context.Background(), height, r, limit)
		if err != nil {
			return err
		}
		if err := i.Add(context.Background(), r, b); err != nil {
			return err
		}
	}
}

// emptyStore is a folder without a chain.
func (l *ledger) emptyStore(fs vfs.FS) *Store {
	s, err := Open(smallConfig(fs), l.suite)
	require.NoError(l.tb, err)
	return s
}

func TestImportIsTheState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		l := newLedger(t, seed)
		accounts, big := rapid.IntRange(1, 150).Draw(rt, "accounts"), rapid.IntRange(1, 900).Draw(rt, "slots")
		src, w := l.source(smallConfig(vfs.NewMem()), rapid.IntRange(0, 5).Draw(rt, "blocks"), accounts, big)
		defer src.Close()
		height := w.decision.Height
		after := []*work{l.randomWork(3), l.randomWork(2), l.randomWork(0)}
		for _, next := range after { // the chain goes on while its state is fetched
			l.certified(src, next)
		}
		fs := vfs.NewMem()
		dst := l.emptyStore(fs)
		header, err := src.Header(height)
		require.NoError(rt, err)
		i, err := dst.BeginImport(header)
		require.NoError(rt, err)
		require.NoError(rt, fetch(src, i, l.rng, rapid.SampledFrom([]int{1, 500, 5000, 1 << 20}).Draw(rt, "limit")))
		require.NoError(rt, i.Finish(l.tail(src, w)))

		require.Equal(rt, header.Hash(), dst.Head().Hash())
		require.Equal(rt, height, dst.Finalized())
		require.Equal(rt, height, dst.First())
		l.checkState(dst.Tip(), w.state)
		require.NoError(rt, dst.Check(context.Background(), nil))
		for n, next := range after {
			require.NoError(rt, l.append(dst, next))
			l.checkState(dst.Tip(), next.state)
			if n == 0 {
				require.NoError(rt, dst.Close())
				dst, err = Open(smallConfig(fs), l.suite)
				require.NoError(rt, err)
				_, err = dst.Init(l.genesis)
				require.NoError(rt, err, "it is the genesis' chain")
			}
		}
		require.Equal(rt, src.Head().Hash(), dst.Head().Hash())
		require.NoError(rt, dst.Check(context.Background(), nil))
		old, err := dst.State(height)
		require.NoError(rt, err)
		l.checkState(old, w.state)
		require.NoError(rt, dst.Close())
	})
}

// append runs a block that is sealed already through another store.
func (l *ledger) append(s *Store, w *work) error {
	ctx := context.Background()
	if err := s.AppendDecision(ctx, w.decision, w.txs); err != nil {
		return err
	}
	root, err := s.Stage(ctx, w.decision.Height, w.executed.Writes)
	if err != nil {
		return err
	}
	if root != w.executed.Block.Header.Root {
		return fmt.Errorf("block %d has state root %s, want %s", w.decision.Height, root, w.executed.Block.Header.Root)
	}
	if err := s.Commit(ctx, w.executed, nil); err != nil {
		return err
	}
	return s.PutCertificate(l.certificate(w))
}

// TestImportSurvivesCrashes crashes at random writes, keeping a random part of what was not synced, and resumes until it is done.
func TestImportSurvivesCrashes(t *testing.T) {
	l := newLedger(t, 51)
	src, w := l.source(smallConfig(vfs.NewMem()), 3, 300, 2000)
	defer src.Close()
	mem := vfs.NewCrashableMem()
	crashes, resumed := 0, 0
	for round := range 25 {
		var ops atomic.Int64
		at := 1 + l.rng.Int64N(int64(20+2*round))
		if round == 24 {
			at = 0
		}
		var clone *vfs.MemFS
		current := mem
		fs := errorfs.Wrap(current, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsRead && ops.Add(1) == at {
				clone = current.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(at*37) % 101, RNG: rand.New(rand.NewPCG(uint64(at), 1))})
			}
			return nil
		}))
		cfg := smallConfig(fs)
		cfg.MemTableBytes = 256 << 10
		dst, err := Open(cfg, l.suite)
		require.NoError(t, err)
		if dst.Head() == nil {
			if h, err := dst.Importing(); h != nil {
				require.NoError(t, err)
				_, err = dst.Init(l.genesis)
				require.ErrorIs(t, err, ErrImporting)
				resumed++
			}
			header, err := src.Header(w.decision.Height)
			require.NoError(t, err)
			i, err := dst.BeginImport(header)
			require.NoError(t, err)
			require.NoError(t, fetch(src, i, l.rng, 700))
			require.NoError(t, i.Finish(l.tail(src, w)))
		}
		require.NoError(t, dst.Close())
		if clone != nil {
			crashes++
			mem = clone
		}
	}
	require.Greater(t, crashes, 10)
	require.Greater(t, resumed, 5)
	dst := l.emptyStore(mem)
	defer dst.Close()
	require.Equal(t, w.executed.Block.Hash, dst.Head().Hash())
	l.checkState(dst.Tip(), w.state)
	require.NoError(t, dst.Check(context.Background(), nil))
	t.Logf("%d crashes, %d resumed", crashes, resumed)
}

// TestAlteredChunksAreRefused alters every part of chunks of both kinds. What is not refused must say the same.
func TestAlteredChunksAreRefused(t *testing.T) {
	l := newLedger(t, 52)
	src, w := l.source(smallConfig(vfs.NewMem()), 2, 200, 1000)
	defer src.Close()
	height, root := w.decision.Height, w.executed.Block.Header.Root
	var owner common.Hash
	for _, c := range w.executed.Writes {
		if len(c.Slots) == 1000 {
			owner = gethcrypto.Keccak256Hash(c.Address[:])
		}
	}
	record, err := src.get(append([]byte{tableAccounts}, owner[:]...))
	require.NoError(t, err)
	a, err := decodeAccount(record)
	require.NoError(t, err)
	for _, c := range []struct {
		root common.Hash
		r    chain.StateRange
	}{{root, chain.StateRange{To: lastKey}}, {root, chain.StateRange{From: common.Hash{0x40}, To: common.Hash{0x60}}},
		{a.root, chain.StateRange{Owner: owner, To: lastKey}}, {a.root, chain.StateRange{Owner: owner, From: common.Hash{0x80}, To: common.Hash{0x90}}}} {
		good, err := src.StateChunk(context.Background(), height, c.r, 3000)
		require.NoError(t, err)
		want, err := verifyChunk(c.root, c.r, good)
		require.NoError(t, err)
		refused := 0
		try := func(b []byte, what string) {
			got, err := verifyChunk(c.root, c.r, b)
			if err != nil {
				require.ErrorIs(t, err, chain.ErrStateChunk)
				refused++
				return
			}
			require.Equal(t, want.leafs, got.leafs, what)
			require.Equal(t, want.done, got.done, what)
			for k := range got.slots { // a storage that was left out is fetched by chunks of its own
				require.True(t, len(got.slots[k]) == 0 || slices.EqualFunc(got.slots[k], want.slots[k], func(x, y chunkLeaf) bool {
					return x.Key == y.Key && bytes.Equal(x.Value, y.Value)
				}), what)
			}
		}
		for at := 0; at < len(good); at += 1 + len(good)/1500 {
			b := bytes.Clone(good)
			b[at] ^= byte(1 << l.rng.IntN(8))
			try(b, fmt.Sprintf("byte %d", at))
		}
		require.Greater(t, refused, 800)
		for cut := range 40 {
			try(good[:len(good)*cut/40], "cut")
		}
		l.alterChunk(t, good, try)
		_, err = verifyChunk(common.Hash{1}, c.r, good)
		require.ErrorIs(t, err, chain.ErrStateChunk, "another root")
		_, err = verifyChunk(c.root, chain.StateRange{Owner: c.r.Owner, From: common.Hash{0xf0}, To: lastKey}, good)
		require.ErrorIs(t, err, chain.ErrStateChunk, "another range")
	}
	_, err = verifyChunk(root, chain.StateRange{To: lastKey}, make([]byte, MaxChunk+1))
	require.ErrorIs(t, err, chain.ErrStateChunk)
}

// alterChunk tries changes that keep the form.
func (l *ledger) alterChunk(t *testing.T, good []byte, try func(b []byte, what string)) {
	for k, alter := range []func(c *chunk){
		func(c *chunk) { c.Proof = nil },
		func(c *chunk) { c.Proof = c.Proof[1:] },
		func(c *chunk) { c.Proof = c.Proof[:len(c.Proof)-1] },
		func(c *chunk) { c.Accounts, c.Slots = nil, nil },
		func(c *chunk) { drop(c, 0) },
		func(c *chunk) { drop(c, (len(c.Accounts)+len(c.Slots))/2) },
		func(c *chunk) { drop(c, len(c.Accounts)+len(c.Slots)-1) },
		func(c *chunk) { leaf(c, 1, func(key *common.Hash, _ *[]byte) { key[31]++ }) },
		func(c *chunk) { leaf(c, 1, func(_ *common.Hash, v *[]byte) { *v = append(bytes.Clone(*v), 0) }) },
		func(c *chunk) { leaf(c, 1, func(_ *common.Hash, v *[]byte) { *v = nil }) },
		func(c *chunk) {
			for i := range c.Accounts {
				c.Accounts[i].Slots = nil
			}
		},
		func(c *chunk) {
			for i := range c.Accounts {
				if n := len(c.Accounts[i].Slots); n > 1 {
					c.Accounts[i].Slots = c.Accounts[i].Slots[:n-1]
				}
			}
		},
		func(c *chunk) {
			for i := range c.Accounts {
				c.Accounts[i].Slots = []chunkLeaf{{common.Hash{1}, []byte{1}}}
			}
		},
		func(c *chunk) { c.Accounts, c.Slots = []chunkAccount{}, append(c.Slots, chunkLeaf{lastKey, []byte{1}}) },
	} {
		c := new(chunk)
		require.NoError(t, rlp.DecodeBytes(good, c))
		alter(c)
		b, err := rlp.EncodeToBytes(c)
		require.NoError(t, err)
		try(b, fmt.Sprintf("alteration %d", k))
	}
}

func drop(c *chunk, i int) {
	if len(c.Accounts) > 0 {
		c.Accounts = slices.Delete(c.Accounts, i, i+1)
	} else {
		c.Slots = slices.Delete(c.Slots, i, i+1)
	}
}

func leaf(c *chunk, i int, fn func(key *common.Hash, value *[]byte)) {
	if len(c.Accounts) > 0 {
		fn(&c.Accounts[i].Key, &c.Accounts[i].Value)
	} else {
		fn(&c.Slots[i].Key, &c.Slots[i].Value)
	}
}

// TestFullChunkFits: a chunk that ends where it is full, with the largest small storage last, is within the bound.
func TestFullChunkFits(t *testing.T) {
	l := newLedger(t, 54)
	src, w := l.source(smallConfig(vfs.NewMem()), 0, 8000, smallStorage)
	defer src.Close()
	r := chain.StateRange{To: lastKey}
	b, err := src.StateChunk(context.Background(), w.decision.Height, r, MaxChunk)
	require.NoError(t, err)
	v, err := verifyChunk(w.executed.Block.Header.Root, r, b)
	require.NoError(t, err)
	require.False(t, v.done, "the state is larger than a chunk")
	require.Greater(t, len(b), chunkTarget*9/10)
	require.Less(t, len(b)+smallStorage*70, MaxChunk)
}

func FuzzVerifyChunk(f *testing.F) {
	l := newLedger(f, 53)
	src, w := l.source(smallConfig(vfs.NewMem()), 0, 30, 300)
	root := w.executed.Block.Header.Root
	r := chain.StateRange{To: lastKey}
	good, err := src.StateChunk(context.Background(), w.decision.Height, r, 1500)
	require.NoError(f, err)
	want, err := verifyChunk(root, r, good)
	require.NoError(f, err)
	require.NoError(f, src.Close())
	f.Add(good)
	f.Add([]byte{0xc3, 0xc0, 0xc0, 0xc0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := verifyChunk(root, r, b)
		if err != nil {
			return
		}
		for i := range v.leafs { // what is proved is a beginning of the trie; the good chunk is one as well
			if i < len(want.leafs) && (v.leafs[i].Key != want.leafs[i].Key || !bytes.Equal(v.leafs[i].Value, want.leafs[i].Value)) {
				t.Fatal("a chunk with other leaves holds")
			}
		}
	})
}

// BenchmarkImport fetches, verifies and writes a state of 20,000 accounts, a quarter of them with some slots.
func BenchmarkImport(b *testing.B) {
	l := newLedger(b, 55)
	src, w := l.source(smallConfig(vfs.NewMem()), 0, 20_000, 20_000)
	defer src.Close()
	header, err := src.Header(w.decision.Height)
	require.NoError(b, err)
	records := len(w.state.accounts) + len(w.state.slots)
	for b.Loop() {
		cfg := DefaultConfig()
		cfg.Dir, cfg.FS = "data", vfs.NewMem()
		dst, err := Open(cfg, l.suite)
		require.NoError(b, err)
		i, err := dst.BeginImport(header)
		require.NoError(b, err)
		require.NoError(b, fetch(src, i, l.rng, MaxChunk))
		require.NoError(b, i.Finish(l.tail(src, w)))
		require.NoError(b, dst.Close())
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*records), "µs/record")
}
