package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sign waits until none of the nodes abstains.
func (nw *network) sign(nodes ...int) {
	nw.t.Helper()
	for _, i := range nodes {
		eventually(nw.t, fmt.Sprintf("node %d signs", i+1), func() error {
			s, err := statusOf(context.Background(), nw.processes()[i].client)
			if err == nil && s.Abstains != nil {
				err = errors.New(*s.Abstains)
			}
			return err
		})
	}
}

// evidence is how many contradictions the nodes know of.
func (nw *network) evidence() (n int) {
	nw.t.Helper()
	for _, p := range nw.processes() {
		var all []struct{}
		require.NoError(nw.t, ask(p.client, &all, "jl_getEvidence"))
		n += len(all)
	}
	return n
}

// TestRestoredBackup puts an older copy of a validator's data back, as operators do, while the network goes on under load: the node finds out, follows without
// signing, and signs again by itself; it is then needed, and there. Nobody has anything to hold against it, and no acknowledged payment is lost.
func TestRestoredBackup(t *testing.T) {
	for name, args := range map[string][]string{"bft": nil, "pos": {"--fees", "zero", "--heartbeat-millis", "0", "--epoch-blocks", fmt.Sprint(epochBlocks)}} {
		t.Run(name, func(t *testing.T) {
			seed := drawSeed(t)
			nw := createNetwork(t, 4, append([]string{"--consensus", name}, args...)...)
			nw.start(nw.all()...)
			b := openBank(t, nw)
			stop := b.run(seed)
			defer stop()
			b.progress("payments on a healthy network", 50)
			victim := (nw.leader() + 1) % 4
			data, backup := filepath.Join(nw.dirs[victim], "data"), filepath.Join(t.TempDir(), "data")
			nw.kill(victim)
			copyFolder(t, data, backup)
			nw.start(victim)
			nw.caughtUp(victim)
			nw.sign(victim) // a crash alone keeps nobody from signing
			b.progress("payments after the backup", 100)

			nw.kill(victim)
			require.NoError(t, exec.Command("rm", "-r", data).Run())
			copyFolder(t, backup, data)
			nw.start(victim)
			s, err := statusOf(context.Background(), nw.processes()[victim].client)
			require.NoError(t, err)
			require.NotNil(t, s.Abstains, "it does not know itself for a copy")
			b.progress("payments without the restored node's signatures", 50)
			nw.caughtUp(victim)
			nw.sign(victim)
			nw.kill((victim + 1) % 4)
			b.progress("payments for which the restored node's signatures are needed", 20)
			nw.start((victim + 1) % 4)
			nw.caughtUp((victim + 1) % 4)
			stop()
			b.audit()
			nw.sameBlocks(nw.settled())
			require.Zero(t, nw.evidence(), "somebody has contradicted himself")
			nw.stop()
		})
	}
}

func copyFolder(t *testing.T, from, to string) {
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, string(out))
}
