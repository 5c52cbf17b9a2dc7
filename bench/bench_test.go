package main

import (
	"bytes"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm/runtime"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
)

// TestHolders: the addresses made by addition are the ones of the keys, across the edges of a chunk.
func TestHolders(t *testing.T) {
	const n = 2100
	h := newHolders(n, 3)
	for _, i := range []int{0, 1, 2, 1022, 1023, 1024, 1025, 2047, 2048, n - 1} {
		key, err := gethcrypto.ToECDSA(h.secret(i))
		require.NoError(t, err)
		require.Equal(t, gethcrypto.PubkeyToAddress(key.PublicKey), h.addresses[i], "holder %d", i)
	}
	require.NotEqual(t, h.addresses[0], newHolders(1, 4).addresses[0])
}

func TestPayments(t *testing.T) {
	const n = 100
	p := newPayments(n, 1)
	paid := make([]uint64, n)
	for i := range 3*n + 7 {
		from, to, nonce := p.draw()
		require.NotEqual(t, from, to)
		require.Less(t, to, n)
		require.Equal(t, paid[from], nonce)
		require.Equal(t, uint64(i/n), nonce, "everybody pays once before anybody pays twice")
		paid[from]++
	}
}

func TestSignedTransfers(t *testing.T) {
	h := newHolders(50, 1)
	c := newToken(common.Address{1}, 50)
	txs, err := c.signTransfers(t.Context(), h, newPayments(50, 1), 120)
	require.NoError(t, err)
	draws, moved := newPayments(50, 1), make([]int, 50)
	signer := types.LatestSignerForChainID(big.NewInt(chainID))
	for _, s := range txs {
		from, to, nonce := draws.draw()
		moved[from]--
		moved[to]++
		tx := new(types.Transaction)
		require.NoError(t, tx.UnmarshalBinary(s.raw))
		require.Equal(t, s.hash, tx.Hash())
		require.Equal(t, nonce, tx.Nonce())
		sender, err := types.Sender(signer, tx)
		require.NoError(t, err)
		require.Equal(t, h.addresses[from], sender)
		args, err := apps.Token.ABI.Methods["transfer"].Inputs.Unpack(tx.Data()[4:])
		require.NoError(t, err)
		require.Equal(t, []any{h.addresses[to], big.NewInt(1)}, args)
	}
	require.Equal(t, moved, c.moved)

	var batch []struct {
		ID     int
		Method string
		Params []string
	}
	require.NoError(t, json.Unmarshal(batchMessage(txs[:3]), &batch))
	require.Len(t, batch, 3)
	require.Equal(t, 2, batch[2].ID)
	require.Equal(t, "eth_sendRawTransaction", batch[2].Method)
	require.Equal(t, txs[2].raw, common.FromHex(batch[2].Params[0]))

	us, err := newYardstick(chainID, txs).measure(100)
	require.NoError(t, err)
	require.Greater(t, us, 5.0, "no machine recovers a key in 5 µs")
}

// TestSM2Transfers: the node reads the transfers of SM2 holders as theirs.
func TestSM2Transfers(t *testing.T) {
	const n = 40
	h, err := newSM2Holders(t.Context(), n, 1)
	require.NoError(t, err)
	c := newToken(common.Address{1}, n)
	txs, err := c.signTransfers(t.Context(), h, newPayments(n, 1), 2*n)
	require.NoError(t, err)
	draws := newPayments(n, 1)
	verifier := chain.NewVerifier(&chain.Genesis{ChainID: chainID, Transactions: []chain.TxKind{chain.SM2}})
	for _, s := range txs {
		from, to, nonce := draws.draw()
		tx, err := chain.DecodeTx(s.raw)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(tx))
		require.Equal(t, chain.SM2, tx.Kind())
		require.Equal(t, s.hash, tx.Hash())
		require.Equal(t, nonce, tx.Nonce())
		require.Equal(t, h.addresses[from], tx.Sender())
		args, err := apps.Token.ABI.Methods["transfer"].Inputs.Unpack(tx.Data()[4:])
		require.NoError(t, err)
		require.Equal(t, []any{h.addresses[to], big.NewInt(1)}, args)
	}

	b := &bench{settings: &settings{Kind: client.KindSM2, Seed: 1}, report: &report{}, treasurer: newTreasurer(1), yardstick: newYardstick(chainID, txs)}
	us, err := b.yardstick.measure(n)
	require.NoError(t, err)
	require.Greater(t, us, 5.0, "no machine verifies in 5 µs")
	require.NoError(t, b.signOther(t.Context()))
	require.NoError(t, b.measureOther())
	require.Greater(t, b.report.Secp256k1Micros, 2.5)
	require.NoError(t, b.measureOther())
	require.Greater(t, b.report.Secp256k1Micros, 5.0)
	for _, tx := range b.other.txs[:3] {
		decoded, err := chain.DecodeTx(tx.raw)
		require.NoError(t, err)
		require.Equal(t, chain.Secp256k1, decoded.Kind())
	}
}

// TestFunder runs the hand-written contract in geth's EVM: it pays all or nobody.
func TestFunder(t *testing.T) {
	cfg := &runtime.Config{Origin: common.Address{0xaa}, Value: new(big.Int), GasLimit: 1 << 24}
	run := func(to common.Address, data []byte) ([]byte, error) {
		out, _, err := runtime.Call(to, data, cfg)
		return out, err
	}
	supply := new(big.Int).Mul(big.NewInt(1000), big.NewInt(unitsPerHolder))
	init, err := apps.Token.Creation(supply)
	require.NoError(t, err)
	_, token, _, err := runtime.Create(init, cfg)
	require.NoError(t, err)
	code, funder, _, err := runtime.Create(creation(funderCode), cfg)
	require.NoError(t, err)
	require.Equal(t, funderCode, code)
	_, err = run(token, transferData(funder, supply))
	require.NoError(t, err)

	holders := newHolders(fundPerTx, 1).addresses
	cfg.State.AddBalance(cfg.Origin, amount(fundPerTx), 0)
	cfg.Value = big.NewInt(fundPerTx)
	_, left, err := runtime.Call(funder, fundData(token, holders), cfg)
	require.NoError(t, err)
	require.Greater(t, left, uint64(500_000), "one transaction's gas is enough, with its intrinsic gas to come")
	cfg.Value = new(big.Int)
	for _, a := range holders {
		require.Equal(t, amount(1), cfg.State.GetBalance(a))
		out, err := run(token, append(common.FromHex("70a08231"), common.LeftPadBytes(a[:], 32)...))
		require.NoError(t, err)
		require.Equal(t, big.NewInt(unitsPerHolder), new(big.Int).SetBytes(out))
	}
	_, err = run(funder, fundData(token, holders[:2]))
	require.Error(t, err, "without ether it pays nobody")
	cfg.State.AddBalance(cfg.Origin, amount(10), 0)
	cfg.Value = big.NewInt(2)
	_, err = run(funder, fundData(common.Address{0xbb, 1}, holders[:2]))
	require.NoError(t, err, "an address without code takes any call: deploy makes sure that the token is there")
	cfg.Value = new(big.Int)
	out, err := run(token, append(common.FromHex("70a08231"), common.LeftPadBytes(holders[0][:], 32)...))
	require.NoError(t, err)
	require.Equal(t, big.NewInt(unitsPerHolder), new(big.Int).SetBytes(out))
}

func TestPlace(t *testing.T) {
	const ours = "github.com/jialing-chain/jialing/internal/"
	for _, c := range []struct {
		stack []string
		want  string
	}{
		{[]string{"runtime.cgocall", "github.com/ethereum/go-ethereum/crypto/secp256k1.RecoverPubkey", ours + "chain.(*Verifier).Verify", ours + "pool.(*Pool).verify"}, "signature recovery"},
		{[]string{"runtime.memmove", ours + "chain.DecodeTx", ours + "pool.(*Pool).AddBatch", ours + "serve/eth.(*API).Send"}, "pool"},
		{[]string{"github.com/ethereum/go-ethereum/core/vm.opSload", ours + "execute.(*Executor).Execute", ours + "node.(*pipeline).runExecute"}, "execute"},
		{[]string{"github.com/cockroachdb/pebble/v2.(*DB).Get", ours + "store.(*view).Slot", ours + "execute.(*StateDB).slot"}, "store, state reads"},
		{[]string{"github.com/cockroachdb/pebble/v2.(*DB).Get", ours + "store.(*Store).flatAt", ours + "store.(*view).Slot", ours + "pool.(*Pool).nonce"}, "store, state reads"},
		{[]string{"github.com/cockroachdb/pebble/v2.(*DB).Apply", ours + "store.(*Store).Commit"}, "store"},
		{[]string{"github.com/ethereum/go-ethereum/crypto/keccak.keccakF1600", ours + "store/mpt.(*worker).hash", ours + "store.(*Store).Stage"}, "store/mpt"},
		{[]string{"runtime.mallocgc", ours + "serve.(*Server).read", "net/http.(*conn).serve"}, "serve"},
		{[]string{"runtime.scanobject", "runtime.gcBgMarkWorker"}, "garbage collection"},
		{[]string{"runtime.gcAssistAlloc", "runtime.mallocgc", ours + "execute.(*StateDB).slot"}, "garbage collection"},
		{[]string{"bytes.Compare", "github.com/cockroachdb/pebble/v2.(*DB).runCompaction"}, "pebble compaction, flush"},
		{[]string{"syscall.Syscall", "internal/poll.(*FD).Write", "net/http.(*conn).serve"}, "network"},
		{[]string{"runtime.futex", "runtime.schedule"}, "runtime"},
		{[]string{"github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop"}, "pebble, other"},
		{[]string{ours + "node.(*pipeline).publish"}, "node"},
		{[]string{"main.main"}, "other"},
		{nil, "other"},
	} {
		require.Equal(t, c.want, place(c.stack), "%v", c.stack)
	}
}

func TestProcessFigures(t *testing.T) {
	cpu, err := parseStat([]byte("4242 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15"))
	require.NoError(t, err)
	require.Equal(t, 2*time.Second, cpu)
	_, err = parseStat([]byte("4242 (x) S 1"))
	require.Error(t, err)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f"), bytes.Repeat([]byte{1}, 100_000), 0o600))
	used, err := diskUsage(dir)
	require.NoError(t, err)
	require.InDelta(t, 100_000, used, 10_000)

	tables, err := parseUsage([]byte(`{"head":10,"tables":[{"name":"slots","bytes":7},{"name":"code","bytes":2}]}`))
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"slots": 7, "code": 2}, tables)
	for _, bad := range []string{"", "{}", "error"} {
		_, err = parseUsage([]byte(bad))
		require.Error(t, err)
	}
}

func TestPercentile(t *testing.T) {
	var d []time.Duration
	for i := range 200 {
		d = append(d, time.Duration(i+1)*time.Millisecond)
	}
	require.Equal(t, 100.0, percentile(d, 50))
	require.Equal(t, 198.0, percentile(d, 99))
	require.Equal(t, 1.0, percentile(d[:1], 99))
	require.Zero(t, percentile(nil, 50))
}

func TestMetrics(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("# HELP x\njialing_stage_seconds_total{stage=\"execute\"} 1.5\njialing_stage_seconds_total{stage=\"store\"} 2e-1\njialing_height 3\n" +
			"jialing_p2p_bytes_total{direction=\"out\",protocol=\"tx\"} 100\njialing_p2p_bytes_total{direction=\"out\",protocol=\"bft\"} 20\n" +
			"jialing_p2p_bytes_total{direction=\"in\",protocol=\"tx\"} 7\n"))
	}))
	defer server.Close()
	c := cluster{{http: server.URL}, nil, {http: server.URL}}
	got, err := c.metrics(t.Context())
	require.NoError(t, err)
	require.Equal(t, 6.0, got["jialing_height"], "added up over the nodes that run")
	require.Equal(t, map[string]float64{"execute": 3, "store": 0.4}, stageSeconds(got))
	sent, err := sentBytes(got)
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"tx": 200, "bft": 40}, sent)
	_, err = sentBytes(map[string]float64{"jialing_height": 3})
	require.ErrorContains(t, err, bytesMetric, "no metric is no zero")
}

func TestSockets(t *testing.T) {
	const out = `0 0 127.0.0.1:35911 127.0.0.1:44748 users:(("jialing",pid=11,fd=5)) cubic bytes_sent:100 bytes_acked:101
0 0 127.0.0.1:44748 127.0.0.1:35911 users:(("jialing",pid=12,fd=4)) cubic bytes_sent:1000 bytes_retrans:5
0 0 [::1]:8545 [::1]:50000 users:(("jialing",pid=12,fd=6)) cubic bytes_sent:7000
0 0 127.0.0.1:50000 127.0.0.1:8545 users:(("bench",pid=99,fd=6)) cubic bytes_sent:7000
0 0 127.0.0.1:1 127.0.0.1:2 users:(("jialing",pid=11,fd=6)) cubic rto:200
`
	total, err := parseSockets([]byte(out), map[string]map[string]bool{"11": {}, "12": {"8545": true}})
	require.NoError(t, err)
	require.Equal(t, 1100.0, total, "both ends of the nodes' connection; nothing of clients and other programs")
}

func TestMachineStat(t *testing.T) {
	busy, idle, err := parseMachineStat("cpu  100 10 50 700 30 5 5 20 0 0\ncpu0 1 2 3")
	require.NoError(t, err)
	require.Equal(t, 1900*time.Millisecond, busy)
	require.Equal(t, 7300*time.Millisecond, idle, "waiting for the disk is idle")
	_, _, err = parseMachineStat("intr 1")
	require.Error(t, err)
	at := time.Now()
	before := usage{at: at}
	after := usage{at: at.Add(10 * time.Second), nodes: 14 * time.Second, generator: 4 * time.Second, busy: 19 * time.Second, idle: time.Second}
	got := after.since(before)
	require.InDelta(t, 1.4, got.Nodes, 1e-9)
	require.InDelta(t, 0.1, got.Others, 1e-9)
	require.InDelta(t, 0.1, got.Idle, 1e-9)
}

func TestLongestGap(t *testing.T) {
	kill := time.Now()
	p := &pulse{}
	for _, ms := range []int{-2000, -100, -50, 10, 400, 1100, 1110} {
		p.at = append(p.at, kill.Add(time.Duration(ms)*time.Millisecond))
	}
	require.Equal(t, 700*time.Millisecond, p.longestGap(kill), "what was before the kill does not count")
	require.Equal(t, 390*time.Millisecond, (&pulse{at: p.at[:5]}).longestGap(kill))
	require.Equal(t, 60*time.Millisecond, (&pulse{at: p.at[:4]}).longestGap(kill), "the gap that the kill is in does")
}

func TestNodeFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"node10", "node2", "node1"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "node.toml"), nil, 0o600))
	}
	got, err := nodeFolders(dir)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "node1"), filepath.Join(dir, "node2"), filepath.Join(dir, "node10")}, got)
}

func TestReport(t *testing.T) {
	s, err := parse([]string{"-accounts", "10, 20", "-txs", "200"})
	require.NoError(t, err)
	require.Equal(t, []int{10, 20}, s.Accounts)
	r := newReport(s, 10)
	require.Nil(t, r.Network)
	r.TxsPerSecond, r.Split["pool"], r.Split["store"] = 12345, 1, 2
	path, err := r.save(t.TempDir())
	require.NoError(t, err)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var back report
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, r.TxsPerSecond, back.TxsPerSecond)
	require.NotEmpty(t, back.Machine.CPU)
	require.Positive(t, back.Machine.Memory)

	var out bytes.Buffer
	require.NoError(t, printTable(&out, []*report{r, &back}))
	require.Contains(t, out.String(), "12345")
	require.Less(t, bytes.Index(out.Bytes(), []byte("  store  ")), bytes.Index(out.Bytes(), []byte("  pool  ")), "the dearest first")
	require.NotContains(t, out.String(), "idle: %", "a section that was not run has no figures")

	s, err = parse([]string{"-nodes", "4", "-sections", "leader,away"})
	require.NoError(t, err)
	r = newReport(s, 10)
	r.Network.LeaderKills = faults{TxsPerSecond: 200, Runs: []faultRun{{PauseMillis: 1500, LeaderAfter: 1}, {PauseMillis: 700}, {PauseMillis: 900, CatchUpSeconds: 2}}}
	out.Reset()
	require.NoError(t, printTable(&out, []*report{r}))
	require.Contains(t, out.String(), "900.0 / 1500")
	require.Contains(t, out.String(), "1 of 3")
	require.NotContains(t, out.String(), "committed tx/s")
	require.NotContains(t, out.String(), "follower")
}

func TestRefusedSettings(t *testing.T) {
	for text, args := range map[string][]string{
		"-accounts":  {"-accounts", "many"},
		"-batch":     {"-batch", "0"},
		"-nodes":     {"-nodes", "32"},
		"-sections":  {"-sections", "speed"},
		"at least 4": {"-nodes", "1", "-sections", "load,leader"},
		"-window":    {"-window", "10"},
		"-latency":   {"-latency", "1ms"},
		"-kind":      {"-kind", "ed25519"},
	} {
		_, err := parse(args)
		require.ErrorContains(t, err, text)
	}
	t.Setenv("ACCOUNTS", "77")
	t.Setenv("TXS", "5000")
	s, err := parse(nil)
	require.NoError(t, err)
	require.Equal(t, []int{77}, s.Accounts)
	require.Equal(t, 5000, s.Txs)
	require.Equal(t, []string{"load"}, s.Sections)
	t.Setenv("NODES", "4")
	t.Setenv("ACCOUNTS", "")
	t.Setenv("TXS", "")
	s, err = parse(nil)
	require.NoError(t, err)
	require.Equal(t, allSections, s.Sections)
	require.Equal(t, []int{100_000}, s.Accounts)
	require.Equal(t, 50_000, s.Txs)
}

func TestFundedChainIsKept(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "jialing")
	require.NoError(t, os.WriteFile(program, []byte("one"), 0o700))
	s := &settings{Binary: program, Out: dir, Seed: 1}
	first, err := fundedFolder(s, 10)
	require.NoError(t, err)
	found, err := first.restore(filepath.Join(dir, "nothing"))
	require.NoError(t, err)
	require.False(t, found)

	chain := filepath.Join(dir, "chain")
	require.NoError(t, os.Mkdir(chain, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(chain, "node.key"), []byte("secret"), 0o600))
	require.NoError(t, first.keep(chain))
	copied := filepath.Join(dir, "copy")
	found, err = first.restore(copied)
	require.NoError(t, err)
	require.True(t, found)
	info, err := os.Stat(filepath.Join(copied, "node.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	require.NoError(t, os.WriteFile(program, []byte("two"), 0o700))
	second, err := fundedFolder(s, 10)
	require.NoError(t, err)
	found, err = second.restore(filepath.Join(dir, "nothing"))
	require.NoError(t, err)
	require.False(t, found, "another program's chain is not taken")
	require.NoError(t, second.keep(chain))
	_, err = os.Stat(first.dir)
	require.ErrorIs(t, err, os.ErrNotExist, "and goes when there is a new one")
}

func amount(n uint64) *uint256.Int { return uint256.NewInt(n) }
