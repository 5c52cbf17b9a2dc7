package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/node"
)

const (
	networkReadme = "README.md"
	unitFolder    = "systemd"
	// installedFolder is where the units expect a node's folder.
	installedFolder = "/var/lib/jialing"
)

// startScript and stopScript find the folder that they lie in, so the folder may be moved.
const (
	startScript = `#!/bin/sh
# Runs this network's nodes of this machine in the background. JIALING names the program where it is not on PATH.
exec "${JIALING:-jialing}" network start --dir "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)" "$@"
`
	stopScript = `#!/bin/sh
exec "${JIALING:-jialing}" network stop --dir "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)" "$@"
`
)

// writeNetworkFiles writes what lies beside the nodes' folders.
func writeNetworkFiles(dir string, g *chain.Genesis, founders []founder, dev bool) error {
	if err := os.Mkdir(filepath.Join(dir, unitFolder), 0o755); err != nil {
		return fmt.Errorf("make the folder of units: %w", err)
	}
	type file struct {
		name, content string
		mode          os.FileMode
	}
	files := []file{
		{"genesis.json", string(g.Encode()), 0o644},
		{"start.sh", startScript, 0o755},
		{"stop.sh", stopScript, 0o755},
		{networkReadme, networkReadmeText(g, founders, dev), 0o644},
	}
	for _, v := range founders {
		files = append(files, file{filepath.Join(unitFolder, unitName(v.name)), unitText(g.Name, v.name), 0o644})
	}
	for _, f := range files {
		if err := writeNew(filepath.Join(dir, f.name), []byte(f.content), f.mode); err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
	}
	return nil
}

func unitName(node string) string { return "jialing-" + node + ".service" }

// unitText is a node's systemd unit. It runs as a user of its own that may write to the node's folder alone. A crash is answered by a restart after 1 s,
// then ever later up to a minute; exit codes 2 (asked for wrongly), 3 (its state differs from the validators') and 4 (its key does not open) will not get better by itself and are left
// alone.
func unitText(chainName, name string) string {
	folder := installedFolder + "/" + name
	return fmt.Sprintf(`# Copy to /etc/systemd/system, then:
#   useradd --system --home-dir %[1]s --shell /usr/sbin/nologin jialing
#   chown -R jialing:jialing %[2]s && chmod 0700 %[2]s
#   systemctl daemon-reload && systemctl enable --now %[3]s
[Unit]
Description=Jialing %[4]s
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
# Another user, folder or program: change these three.
User=jialing
ExecStart=/usr/local/bin/jialing start --dir %[2]s --log.level info
ReadWritePaths=%[2]s
# The passphrase of node.key from outside the folder (docs/keys.md): move node.passphrase to /etc/jialing/%[5]s.passphrase (root, mode 0600), or seal it there
# with systemd-creds encrypt and say LoadCredentialEncrypted=. Then take these two lines instead of ExecStart above:
#LoadCredential=node.passphrase:/etc/jialing/%[5]s.passphrase
#ExecStart=/usr/local/bin/jialing start --dir %[2]s --log.level info --passphrase-file %%d/node.passphrase

# The pauses grow where systemd is 254 or newer; older ones warn of the two keys and pause for RestartSec.
Restart=on-failure
RestartPreventExitStatus=2 3 4
RestartSec=1s
RestartSteps=6
RestartMaxDelaySec=60s
KillSignal=SIGTERM
TimeoutStopSec=60s
LimitNOFILE=65536
LimitCORE=0
UMask=0077

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`, installedFolder, folder, unitName(name), oneLine(chainName)+" "+name, name)
}

// oneLine keeps a name within its line of a unit, where % has a meaning too.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s), "%", "%%")
}

// mayFail says how many of n validators may fail, and how.
func mayFail(engine chain.EngineKind, n int) string {
	if engine == chain.Solo {
		return "the others follow it"
	}
	if engine.Faulty(n) > 0 {
		return fmt.Sprintf("%d may fail in any way", engine.Faulty(n))
	}
	return fmt.Sprintf("%d may be away, none may lie", engine.Away(n))
}

// networkReadmeText tells an operator what lies here and what goes where.
func networkReadmeText(g *chain.Genesis, founders []founder, dev bool) string {
	n := len(founders)
	var b strings.Builder
	if w := g.Consensus.Work; w != nil {
		fmt.Fprintf(&b, "# %s\n\nChain id %d, %d miners to begin with. Anybody may join and mine; a block is final when %d blocks confirm it, its own included.\n\n",
			g.Name, g.ChainID, n, w.Depth)
	} else {
		fmt.Fprintf(&b, "# %s\n\nChain id %d, %d validators. %d of them decide; %s.\n\n", g.Name, g.ChainID, n,
			g.Consensus.Engine.Quorum(n), mayFail(g.Consensus.Engine, n))
	}
	b.WriteString(attendanceText(g, founders))
	b.WriteString("| node | host | other nodes connect to | JSON-RPC, on its own machine | validator's account |\n|---|---|---|---|---|\n")
	for _, v := range founders {
		fmt.Fprintf(&b, "| %s | %s | %s | http://%s | %s |\n", v.name, v.host, v.endpoint(), loopback(v.http), v.address)
	}
	b.WriteString(`
## All on this machine

    ./start.sh          # or: jialing network start --dir .
    ./stop.sh
    jialing network status --dir .
    jialing doctor --dir .

## Each on its own machine

A node's folder is all that its machine needs, beside the program:

| file | what | who may see it |
|---|---|---|
| genesis.json | the chain; the same everywhere | everybody |
| node.toml | this node's own settings | its operator |
| node.key | what the node signs with, encrypted. Two running nodes with one key endanger the chain: move it, never copy it | **its operator alone** |
| node.passphrase | what opens node.key. It was drawn at random and protects copies of node.key, in backups say, as long as it is not copied along; its unit says how to keep it elsewhere | **its operator alone** |
| data/ | the ledger; empty but for block 0 until the first start | its operator |
| keystore/ | the validator's account (encrypted), with which its organisation votes. The node does not need it: keep it elsewhere | **its organisation alone** |

For each node:

1. Copy its folder to its host, for example to ` + installedFolder + `/node1, over a channel that nobody reads along, and delete it here.
2. Copy the program to /usr/local/bin/jialing and the node's unit from systemd/ to /etc/systemd/system; the first lines of the unit say how to go on.
3. Let the other nodes through the firewall to the port of the third column. JSON-RPC listens on 127.0.0.1 only; node.toml opens it.
4. Keep the clocks in step (chrony, systemd-timesyncd).

` + whenBlocks(g, n) + `
` + growthText(g, founders, dev))
	return b.String()
}

// whenBlocks says what it takes for blocks to be made.
func whenBlocks(g *chain.Genesis, n int) string {
	if !g.Consensus.Engine.Signed() {
		return "Nodes may be started in any order; each mines for the account in [mine] of its node.toml, and blocks are made as soon as one mines."
	}
	return fmt.Sprintf("Validators may be started in any order; blocks are made once %d of them have found each other.", g.Consensus.Engine.Quorum(n))
}

// whoDecides is a line for people.
func whoDecides(g *chain.Genesis, n int) string {
	if w := g.Consensus.Work; w != nil {
		return fmt.Sprintf("miners\t%d to begin with, anybody may join; a block each %s, final when %d confirm it", n,
			time.Duration(w.BlockMillis)*time.Millisecond, w.Depth)
	}
	who := fmt.Sprintf("validators\t%d; %d of them decide, %s", n, g.Consensus.Engine.Quorum(n), mayFail(g.Consensus.Engine, n))
	if text := electionText(g); text != "" {
		who += "\nelections\t" + text
	}
	return who
}

// mine makes the node's configuration one of a miner: for the founder's account, and with the other founders as the first peers, as no genesis names them.
func (v *founder) mine(cfg *node.Config, founders []founder) {
	cfg.Mine.Enabled, cfg.Mine.Coinbase = true, v.address.Hex()
	cfg.Network.Discovery = true
	for i := range founders {
		if o := &founders[i]; o.name != v.name && len(cfg.Network.Peers) < maxBootPeers {
			cfg.Network.Peers = append(cfg.Network.Peers, chain.Peer(o.key.Public().Bytes()).String()+"@"+o.endpoint())
		}
	}
}

// maxBootPeers is how many of the founders a new node of an open chain is told of: enough that some are there; discovery finds the rest.
const maxBootPeers = 8
