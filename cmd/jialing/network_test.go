package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/chain"
)

func TestPlanNodes(t *testing.T) {
	four := func(hosts ...string) []string { return hosts }
	for name, tc := range map[string]struct {
		n              int
		hosts          []string
		p2p, http, ws  int
		want           []string // "endpoint listen http"
		wantErr        string
		wantSharing    int
		wantWebSockets []int
	}{
		"one machine": {n: 4, p2p: 30301, http: 8545, wantSharing: 4, want: []string{"127.0.0.1:30301 127.0.0.1:30301 8545", "127.0.0.1:30302 127.0.0.1:30302 8546",
			"127.0.0.1:30303 127.0.0.1:30303 8547", "127.0.0.1:30304 127.0.0.1:30304 8548"}},
		"four machines": {n: 4, hosts: four("a", "b.example.org", "10.0.0.3", "[fd00::4]"), p2p: 1, http: 2, wantSharing: 1, want: []string{"a:1 0.0.0.0:1 2",
			"b.example.org:1 0.0.0.0:1 2", "10.0.0.3:1 0.0.0.0:1 2", "[fd00::4]:1 [::]:1 2"}},
		"two machines": {n: 4, hosts: four("a", "b", "A", "b"), p2p: 10, http: 20, ws: 30, wantSharing: 2, wantWebSockets: []int{30, 30, 31, 31},
			want: []string{"a:10 0.0.0.0:10 20", "b:10 0.0.0.0:10 20", "A:11 0.0.0.0:11 21", "b:11 0.0.0.0:11 21"}},
		"loopback written several ways": {n: 4, hosts: four("localhost", "127.0.0.1", "127.0.0.2", "::1"), p2p: 10, http: 20, wantSharing: 4,
			want: []string{"localhost:10 0.0.0.0:10 20", "127.0.0.1:11 0.0.0.0:11 21", "127.0.0.2:12 0.0.0.0:12 22", "[::1]:13 [::]:13 23"}},
		"the last ports":       {n: 4, p2p: 65532, http: 1, wantSharing: 4, want: []string{"127.0.0.1:65532 127.0.0.1:65532 1"}},
		"beyond the last port": {n: 4, p2p: 65533, http: 1, wantErr: "must lie within 1 to 65535"},
		"no port":              {n: 4, p2p: 0, http: 1, wantErr: "--p2p-port 0"},
		"overlapping":          {n: 4, p2p: 100, http: 103, wantErr: "overlap"},
		"adjacent":             {n: 4, p2p: 100, http: 104, wantSharing: 4, want: []string{"127.0.0.1:100 127.0.0.1:100 104"}},
		"websocket overlaps":   {n: 4, p2p: 100, http: 200, ws: 98, wantErr: "--p2p-port 100 and --ws-port 98 overlap"},
		"too few":              {n: 3, p2p: 1, http: 100, wantErr: "bft needs at least 4"},
		"too many":             {n: 129, p2p: 1, http: 1000, wantErr: "at most 128"},
		"too few hosts":        {n: 4, hosts: four("a"), p2p: 1, http: 100, wantErr: "--hosts lists 1 hosts for 4 validators"},
		"no hosts":             {n: 4, hosts: []string{}, p2p: 1, http: 100, wantErr: "--hosts lists 0 hosts"},
		"a host with a path":   {n: 4, hosts: four("a", "b", "c", "../d"), p2p: 1, http: 100, wantErr: `"../d" is no address`},
		"a long host":          {n: 4, hosts: four("a", "b", "c", strings.Repeat("d", 231)), p2p: 1, http: 100, wantErr: "is no address"},
		"everywhere":           {n: 4, hosts: four("a", "b", "c", "::"), p2p: 1, http: 100, wantErr: "must be able to reach it"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := planNodes(chain.BFT, tc.n, tc.hosts, tc.p2p, tc.http, tc.ws)
			if tc.wantErr != "" {
				require.ErrorContains(t, err, tc.wantErr)
				require.ErrorAs(t, err, new(usageError))
				return
			}
			require.NoError(t, err)
			require.Len(t, got, tc.n)
			for i, want := range tc.want {
				parts := strings.Fields(want)
				require.Equal(t, parts[0], got[i].endpoint())
				require.Equal(t, parts[1], got[i].p2pAddr())
				require.Equal(t, "127.0.0.1:"+parts[2], loopback(got[i].http))
				require.Equal(t, tc.wantSharing, got[i].sharing)
			}
			for i, want := range tc.wantWebSockets {
				require.Equal(t, want, got[i].ws)
			}
		})
	}
}

func TestNodesAreInOrderOfTheirNumbers(t *testing.T) {
	for _, ordered := range [][2]string{{"node2", "node10"}, {"a", "node1"}, {"node", "node0"}, {"node01", "node1"}, {"node9", "nodes1"}} {
		require.Negative(t, compareNames(ordered[0], ordered[1]), "%v", ordered)
		require.Positive(t, compareNames(ordered[1], ordered[0]), "%v", ordered)
	}
	require.Zero(t, compareNames("node1", "node1"))
}

func TestNodesAreChosenByNameOrNumber(t *testing.T) {
	all := []*nodeFolder{{name: "node1"}, {name: "node2"}, {name: "extra"}}
	got, err := chosen(all, nil)
	require.NoError(t, err)
	require.Equal(t, all, got)
	got, err = chosen(all, []string{"2", "extra", "node2"})
	require.NoError(t, err)
	require.Equal(t, []*nodeFolder{all[1], all[2]}, got)
	_, err = chosen(all, []string{"3"})
	require.ErrorContains(t, err, "only node1, node2, extra")
}

// The end of a log is shown from where this run began, and no more than a few lines of it.
func TestLastWords(t *testing.T) {
	n := &nodeFolder{dir: t.TempDir()}
	require.Empty(t, n.lastWords(0), "no log")
	path := filepath.Join(n.dir, logFolder, logFile)
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("old\none\ntwo\nthree\nfour\n"), 0o644))
	require.Equal(t, "two\nthree\nfour", n.lastWords(0))
	require.Equal(t, "four", n.lastWords(int64(len("old\none\ntwo\nthree\n"))))
	require.Empty(t, n.lastWords(1000), "the log was put aside meanwhile")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", 10*maxLastWords)), 0o644))
	require.Len(t, n.lastWords(0), maxLastWords)
}

// Units hold one directive per line, whatever a chain is called.
func TestUnitsOfAnyName(t *testing.T) {
	unit := unitText("a\nExecStart=/bin/evil %n", "node1")
	require.Contains(t, unit, "Description=Jialing a ExecStart=/bin/evil %%n node1\n")
	require.Equal(t, 1, strings.Count(unit, "\nExecStart="))
}

func TestPidsOfOthersAreNotNodes(t *testing.T) {
	dir := t.TempDir()
	require.False(t, runsNode(os.Getpid(), dir), "this test")
	require.False(t, runsNode(1, dir))
	require.False(t, runsNode(1<<30, dir), "no process")
	n := &nodeFolder{dir: dir}
	for _, content := range []string{"", "x", "-1", "0", "1", "99999999999999999999"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, pidFile), []byte(content), 0o644))
		require.Zero(t, n.running(), "pid file %q", content)
	}
}
