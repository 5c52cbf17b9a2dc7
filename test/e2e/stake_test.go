package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

// epochBlocks is the shortest epoch that there is.
const epochBlocks = 2 * chain.ActivationDelay

// TestStakeElectsSeats lets stake choose who orders a running network of four seats: a fifth validator registers with more stake and takes the last one's
// seat at the next epoch, then stake behind the displaced one brings it back, and at each of the boundaries a seat is killed shortly before and comes back
// after it. Nobody else is restarted, the load never stops, and no acknowledged payment is lost.
func TestStakeElectsSeats(t *testing.T) {
	seed := drawSeed(t)
	nw := createNetwork(t, 4, "--consensus", "pos", "--attend=false", "--epoch-blocks", fmt.Sprint(epochBlocks), "--seats", "4", "--min-self-stake", "10ether", "--fees", "zero",
		"--heartbeat-millis", "0")
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments of the founders", 20)
	require.Equal(t, []uint64{1, 2, 3, 4}, nw.seats(t, 0))

	fifth := nw.join(t)
	nw.caughtUp(fifth)
	nw.stake(t, "register", "node5", "--node", nw.dirs[fifth], "--stake", "50ether", "--commission", "3", "--endpoint", nw.endpoint(fifth), "--from", "dev:4")
	require.Contains(t, nw.stake(t, "show", "5"), strings.ToLower(gethcrypto.PubkeyToAddress(devAccount(t, 4).PublicKey).Hex()))

	// Equal stakes go by the lower id: the fourth founder makes room. The killed one has a seat before and after.
	nw.throughBoundary(t, b, 1, []uint64{1, 2, 3, 5})
	nw.awaitSigner(t, fifth, 5)
	displaced := 3
	own, err := statusOf(context.Background(), nw.processes()[displaced].client)
	require.NoError(t, err)
	require.Nil(t, own.Validator, "who has lost its seat follows")
	nw.caughtUp(displaced)

	nw.stake(t, "delegate", "4", "100ether", "--from", "dev:3")
	nw.throughBoundary(t, b, 0, []uint64{1, 2, 4, 5})
	nw.awaitSigner(t, displaced, 4)

	// Another epoch changes nothing, and stops nothing either.
	nw.throughBoundary(t, b, fifth, []uint64{1, 2, 4, 5})
	stop()
	b.audit()
	nw.sameBlocks(nw.settled())
	nw.proves(t, b.last())
	nw.stop()
}

// last is the payment of the highest block.
func (b *bank) last() (last acknowledged) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.served {
		if a.BlockNumber >= last.BlockNumber {
			last = a
		}
	}
	return last
}

// proves fetches the proof of a payment that others than the founders have certified, and verifies it offline from the genesis on.
func (nw *network) proves(t *testing.T, a acknowledged) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "proof.json")
	_, stderr, err := jialing(t, "proof", "get", a.Hash.Hex(), "--output", file, "--rpc", nw.processes()[nw.someone()].HTTP)
	require.NoError(t, err, stderr)
	out, stderr, err := jialing(t, "proof", "verify", file, "--genesis", filepath.Join(nw.dir, "genesis.json"))
	require.NoError(t, err, stderr)
	require.Contains(t, out, "holds")
	t.Logf("block %d is proven offline from the genesis", a.BlockNumber)
}

// throughBoundary kills a node shortly before the next change of seats that an election has settled, brings it back behind it and waits until all nodes
// see those seats.
func (nw *network) throughBoundary(t *testing.T, b *bank, victim int, seats []uint64) {
	t.Helper()
	at := nw.height(t)
	// The transactions before are in; the next election that comes counts them.
	election := (at/epochBlocks)*epochBlocks + chain.ActivationDelay
	if election <= at {
		election += epochBlocks
	}
	boundary := election + chain.ActivationDelay
	nw.reaches(t, boundary-10)
	nw.kill(victim)
	nw.reaches(t, boundary+5)
	nw.start(victim)
	nw.caughtUp(victim)
	eventually(t, fmt.Sprintf("seats %v rule", seats), func() error {
		for i := range nw.processes() {
			if got := nw.seats(t, i); !slices.Equal(got, seats) {
				return fmt.Errorf("node %d sees %v", i+1, got)
			}
		}
		return nil
	})
	b.progress(fmt.Sprintf("payments under seats %v", seats), 20)
}

// stake runs "jialing stake" against the first node.
func (nw *network) stake(t *testing.T, args ...string) string {
	t.Helper()
	// The address in node.toml is the configured one; the test's nodes listen elsewhere.
	out, stderr, err := jialing(t, append(append([]string{"stake"}, args...), "--rpc", nw.processes()[nw.someone()].HTTP, "--json")...)
	require.NoError(t, err, stderr)
	return out
}

// someone is a node that runs.
func (nw *network) someone() int {
	return slices.IndexFunc(nw.processes(), func(p *process) bool { return p != nil })
}

// seats are the validators that a node says rule, by ascending id; none while it does not answer.
func (nw *network) seats(t *testing.T, node int) (ids []uint64) {
	t.Helper()
	s, err := statusOf(context.Background(), nw.processes()[node].client)
	if err != nil {
		return nil
	}
	for _, v := range s.Validators {
		ids = append(ids, v.ID)
	}
	slices.Sort(ids)
	return ids
}

// height is the last block of a node that runs.
func (nw *network) height(t *testing.T) uint64 {
	t.Helper()
	var h hexutil.Uint64
	nw.processes()[nw.someone()].call(&h, "eth_blockNumber")
	return uint64(h)
}

// reaches waits for a height, for as long as blocks come.
func (nw *network) reaches(t *testing.T, height uint64) {
	t.Helper()
	last, since := nw.height(t), time.Now()
	for last < height {
		pause(context.Background())
		now := nw.height(t)
		if now > last {
			last, since = now, time.Now()
		}
		require.Less(t, time.Since(since), patience, "blocks have stopped at %d, waiting for %d", last, height)
	}
}
