package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// drawSeed is a fresh seed, or JIALING_SEED to repeat a run's choices.
func drawSeed(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("JIALING_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("JIALING_SEED=%d", seed)
	return seed
}

// TestNetworkFaults does to four validators under load what one of them may suffer, one thing after the other, and at last what all may: loss of power.
// After each the network takes payments again and who was away catches up; at the end nothing acknowledged is missing anywhere. See bank_test.go for what
// is checked. It is done on both suites and with the engines that have validators; the other tests of networks run on the one that JIALING_SUITE names.
func TestNetworkFaults(t *testing.T) {
	for _, suite := range []string{"intl", "gm"} {
		t.Run(suite, func(t *testing.T) { networkFaults(t, suite, "bft") })
		t.Run(suite+" raft", func(t *testing.T) { networkFaults(t, suite, "raft") })
	}
	// Epochs as short as they may be: seats are elected and epochs settled between the faults.
	t.Run("intl pos", func(t *testing.T) {
		networkFaults(t, "intl", "pos", "--attend=false", "--fees", "zero", "--heartbeat-millis", "0", "--epoch-blocks", fmt.Sprint(epochBlocks))
	})
}

// channels are the algorithms by which nodes talk, by suite.
var channels = map[string]string{"intl": "Noise_XX_25519_ChaChaPoly_SHA256", "gm": "Noise_XX_SM2_SM4GCM_SM3"}

func networkFaults(t *testing.T, suite, consensus string, args ...string) {
	seed := drawSeed(t)
	rnd := rand.New(rand.NewPCG(seed, 7))
	nw := createNetwork(t, 4, append([]string{"--suite", suite, "--consensus", consensus}, args...)...)
	nw.start(nw.all()...)
	nw.speak(suite, channels[suite])
	b := openBank(t, nw)
	stop := b.run(seed)
	defer stop()
	b.progress("payments on a healthy network", 50)

	for i, name := range []string{"leader", "follower", "leader", "follower"} {
		victim := nw.leader()
		if name == "follower" {
			victim = (victim + 1 + rnd.IntN(3)) % 4
		}
		b.progress("payments before a kill", int64(1+rnd.IntN(40))) // the instant is random
		nw.kill(victim)
		b.progress("payments without the "+name+", node "+strconv.Itoa(victim+1), 20)
		nw.start(victim)
		nw.caughtUp(victim)
		t.Logf("kill %d: %s (node %d) killed and back", i+1, name, victim+1)
	}

	frozen := nw.leader()
	nw.signal(frozen, syscall.SIGSTOP)
	b.progress("payments while the leader is frozen", 20)
	nw.signal(frozen, syscall.SIGCONT)
	nw.caughtUp(frozen)
	t.Logf("leader (node %d) frozen and back", frozen+1)

	wipe := func() *process {
		wiped := (nw.leader() + 1 + rnd.IntN(3)) % 4
		nw.kill(wiped)
		nw.wipe(wiped)
		b.progress("payments without the node that is wiped", 20)
		nw.start(wiped)
		nw.caughtUp(wiped)
		b.progress("payments with the node that was wiped", 20)
		t.Logf("node %d wiped and back", wiped+1)
		return nw.processes()[wiped]
	}
	if consensus != "raft" {
		wipe()
		nw.sign(nw.all()...) // until it does, no other may be missing
	}
	two := []int{nw.leader(), (nw.leader() + 1 + rnd.IntN(3)) % 4}
	if two[0] == two[1] { // the leader has changed in between
		two[1] = (two[0] + 1) % 4
	}
	nw.kill(two...)
	b.standsStill("two of four do not decide")
	nw.start(two[0])
	b.progress("payments with the first of two back", 20)
	nw.start(two[1])
	nw.caughtUp(two[1])
	t.Logf("nodes %d and %d away at once and back", two[0]+1, two[1]+1)

	for range 2 {
		b.progress("payments before the power fails", int64(1+rnd.IntN(40)))
		nw.kill(nw.all()...)
		nw.start(nw.all()...)
		b.progress("payments after the power failed", 20)
	}
	if consensus == "raft" { // a disk that is lost takes a voice with it, for good
		voiceless := wipe()
		eventually(t, "it says that it has no voice any more", func() error {
			if !strings.Contains(voiceless.stderr.String(), "has lost its journal") {
				return errors.New("it says nothing of it")
			}
			return nil
		})
	}
	stop()
	b.audit()
	nw.speak(suite, channels[suite])
	nw.stop()
}

// TestThirtyOneValidators: a network of 31 decides, and still does after as many were killed as it bears, the leader among them. They are every third
// one: leaders follow each other by number, and the engine waits longer for each that does not come, so that ten dead ones in a row take minutes.
func TestThirtyOneValidators(t *testing.T) {
	const validators, faulty = 31, 10
	nw := createNetwork(t, validators)
	nw.start(nw.all()...)
	b := openBank(t, nw)
	stop := b.run(drawSeed(t))
	defer stop()
	b.progress("payments among 31", 20)
	leader := nw.leader()
	var victims []int
	for i := range faulty {
		victims = append(victims, (leader+3*i)%validators)
	}
	nw.kill(victims...)
	b.progress("payments without 10 of 31", 20)
	stop()
	b.audit()
	nw.stop()
}

// speak checks that every node is connected to all others, and by which algorithms.
func (nw *network) speak(suite, channel string) {
	nw.t.Helper()
	eventually(nw.t, "all connections", func() error {
		for i, p := range nw.processes() {
			var s struct{ Suite, Channel string }
			if err := ask(p.client, &s, "jl_nodeStatus"); err != nil {
				return err
			}
			require.Equal(nw.t, suite, s.Suite)
			require.Equal(nw.t, channel, s.Channel)
			var peers []struct {
				Connected bool
				Channel   string
			}
			if err := ask(p.client, &peers, "jl_peers"); err != nil {
				return err
			}
			connected := 0
			for _, peer := range peers {
				if peer.Connected {
					connected++
					require.Equal(nw.t, channel, peer.Channel)
				}
			}
			if connected != len(nw.nodes)-1 {
				return fmt.Errorf("node %d is connected to %d", i+1, connected)
			}
		}
		return nil
	})
}

// wipe takes everything from a node that is down but its genesis, configuration and key, as a new disk does.
func (nw *network) wipe(node int) {
	entries, err := os.ReadDir(nw.dirs[node])
	require.NoError(nw.t, err)
	for _, e := range entries {
		switch e.Name() {
		case "genesis.json", "node.toml", "node.key", "node.passphrase":
		default:
			require.NoError(nw.t, os.RemoveAll(filepath.Join(nw.dirs[node], e.Name())))
		}
	}
}
