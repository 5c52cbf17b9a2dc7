package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

// demonstration is one run of the demo against its nodes.
type demonstration struct {
	*cli
	flags    *demoFlags
	dev      []*client.Secp256k1
	document string
	nodes    *demoNodes
	// senders send the transfers, the first of them owns the contracts; notary notarises.
	senders []client.Account
	notary  client.Account
	// reporter reports who contradicts itself where that is punished.
	reporter client.Account

	conns []*client.Client // by node
	// turn is the node that was asked last, height the block of the last receipt: the next node must have it too.
	turn, height int
	token        client.Contract
	evidence     common.Address
	gas          uint64 // of one transfer, estimated
	shown        demoView
	// keys tells that a person at a terminal says what is done to the nodes.
	keys bool
	// lesson is what lesson.json will have of this run.
	lesson lessonRun
}

// stepTimeout bounds a step that waits for the chain; each takes milliseconds on a machine that works, the one with the kill some seconds.
const stepTimeout = time.Minute

func (d *demonstration) run(ctx context.Context) (err error) {
	start := time.Now()
	d.conns, err = d.nodes.dial(ctx)
	defer func() {
		for _, c := range d.conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	if err := d.drawAccounts(); err != nil {
		return err
	}
	d.turn = -1
	for _, step := range d.steps() {
		if !d.json {
			d.warn("%s", step.what)
		}
		ctx, cancel := context.WithCancel(ctx)
		if !step.long {
			ctx, cancel = context.WithTimeout(ctx, (stepTimeout+time.Duration(d.flags.transfers)*time.Millisecond)*time.Duration(d.flags.engine.patience()))
		}
		err := step.do(ctx)
		if err != nil && context.Cause(ctx) != nil && !errors.Is(err, context.Cause(ctx)) {
			err = fmt.Errorf("%w (%w)", err, context.Cause(ctx))
		}
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	v := &d.shown
	first := d.nodes.children[0].view
	v.ChainID, v.RPC, v.Token, v.Evidence = first.ChainID, first.HTTP, d.token.Address, d.evidence
	v.TotalSeconds = time.Since(start).Seconds()
	return d.print(v, v.text)
}

type demoStep struct {
	what string
	do   func(context.Context) error
	// long steps end when the user, or the script, wants it.
	long bool
}

// burst is how many transfers are sent as fast as they are taken: what the steady load and the lesson leave.
func (f *demoFlags) burst() int {
	if len(f.steps) == 0 {
		return f.transfers - f.transfers/4
	}
	return f.transfers / 2
}

func (d *demonstration) steps() []demoStep {
	burst := d.flags.burst()
	steps := []demoStep{
		{what: "Deploying JialingToken and Evidence", do: d.deploy},
		{what: fmt.Sprintf("Giving %d accounts tokens", d.flags.senders), do: d.distribute},
	}
	to := ""
	if !d.flags.solo {
		to = fmt.Sprintf(" to all %d nodes in turn", d.flags.engine.nodes)
	}
	steps = append(steps,
		demoStep{what: fmt.Sprintf("Sending %d signed transfers%s, as fast as they are taken", burst, to), do: d.transfer},
		demoStep{what: fmt.Sprintf("Sending %d more, %d a second", d.flags.transfers/4, steadyRate), do: d.steady})
	switch {
	case d.keys:
		steps = append(steps, demoStep{what: "Now you: do to the nodes what you like, the load goes on", do: d.teach, long: true})
	case d.flags.script != "":
		steps = append(steps, demoStep{what: "Doing to the nodes what the script says, under load", do: d.teach, long: true})
	case len(d.flags.steps) > 0:
		who := "the leader"
		if d.flags.engine.view == "" {
			who = "a node"
		}
		steps = append(steps, demoStep{what: "Killing " + who + " with -9 while more are sent, and bringing it back", do: d.teach})
	}
	return append(steps,
		demoStep{what: "Notarising " + d.document + " and proving it offline", do: d.notarise},
		demoStep{what: "Comparing what the nodes have", do: d.compare})
}

// next is the node whose turn it is, once it has the block of the last receipt: what comes next may build on it. Who did not survive the lesson has none.
func (d *demonstration) next(ctx context.Context) (*client.Client, error) {
	for range d.conns {
		d.turn = (d.turn + 1) % len(d.conns)
		if conn := d.conns[d.turn]; conn != nil {
			return conn, conn.WaitFinal(ctx, uint64(d.height))
		}
	}
	return nil, errors.New("no node lives")
}

// done notes a receipt.
func (d *demonstration) done(r *types.Receipt) { d.height = max(d.height, int(r.BlockNumber.Int64())) }

func (d *demonstration) deploy(ctx context.Context) error {
	supply := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(1e18))
	creation, err := apps.Token.Creation(supply)
	if err != nil {
		return err
	}
	conn, err := d.next(ctx)
	if err != nil {
		return err
	}
	d.token.ABI = apps.Token.ABI
	var r *types.Receipt
	if d.token.Address, r, err = conn.Deploy(ctx, d.dev[0], creation); err != nil {
		return err
	}
	d.done(r)
	if conn, err = d.next(ctx); err != nil {
		return err
	}
	if d.evidence, r, err = conn.DeployEvidence(ctx, d.dev[0]); err != nil {
		return err
	}
	d.done(r)
	return nil
}

// oneToken is one JLT in its smallest unit.
var oneToken = big.NewInt(1e18)

// distribute gives every sender enough, and learns what a transfer costs: the dearest one, to an account that never held any.
func (d *demonstration) distribute(ctx context.Context) error {
	conn, err := d.next(ctx)
	if err != nil {
		return err
	}
	nonce, err := conn.Nonce(ctx, d.dev[0].Address())
	if err != nil {
		return err
	}
	amount := new(big.Int).Mul(oneToken, big.NewInt(int64(d.flags.transfers)))
	var sent []common.Hash
	for i, a := range d.senders[1:] {
		data, err := d.token.ABI.Pack("transfer", a.Address(), amount)
		if err != nil {
			return err
		}
		n := nonce + uint64(i)
		hash, err := conn.Send(ctx, d.dev[0], client.Tx{To: &d.token.Address, Data: data, Nonce: &n})
		if err != nil {
			return err
		}
		sent = append(sent, hash)
	}
	for i, hash := range sent {
		r, err := conn.WaitReceipt(ctx, hash)
		if err != nil {
			return err
		}
		if r.Status != types.ReceiptStatusSuccessful {
			return fmt.Errorf("the transfer to %s failed in block %s", d.senders[i+1].Address(), r.BlockNumber)
		}
		d.done(r)
	}
	data, err := d.token.ABI.Pack("transfer", recipient(-1), oneToken)
	if err != nil {
		return err
	}
	if conn, err = d.next(ctx); err != nil {
		return err
	}
	full, err := conn.Fill(ctx, d.dev[0].Address(), client.Tx{To: &d.token.Address, Data: data})
	if err != nil {
		return err
	}
	d.gas = full.Gas
	return nil
}

// recipient is a fresh address for the i-th transfer.
func recipient(i int) common.Address {
	return common.BigToAddress(new(big.Int).Add(big.NewInt(int64(i)), new(big.Int).Lsh(big.NewInt(0x1a11), 100)))
}

// transfer signs transfers, all of them on one node and half of them in a network, sends them and follows the blocks until the last one is in.
func (d *demonstration) transfer(ctx context.Context) error {
	n := d.flags.burst()
	conn, err := d.next(ctx)
	if err != nil {
		return err
	}
	load, err := d.sign(ctx, conn, n)
	if err != nil {
		return err
	}
	head, err := conn.Head(ctx)
	if err != nil {
		return err
	}
	before, err := sumCounters(ctx, d.nodes.urls())
	if err != nil {
		return err
	}
	out, err := load.send(ctx, d.conns, conn)
	if err != nil {
		return err
	}
	after, err := sumCounters(ctx, d.nodes.urls())
	if err != nil {
		return err
	}
	after.add(before, -1)
	v := &d.shown
	v.Transfers, v.Senders = n, d.flags.senders
	v.Seconds = out.took.Seconds()
	v.PerSecond = float64(n) / v.Seconds
	v.LatencyP50, v.LatencyP99 = out.percentile(50), out.percentile(99)
	d.lesson.Burst = &lessonFigures{Transfers: n, Blocks: out.blocks, Seconds: v.Seconds, PerSecond: v.PerSecond, LatencyP50: v.LatencyP50, LatencyP99: v.LatencyP99}
	after.perTx(n, d.lesson.Burst)
	d.height = max(d.height, int(out.height))
	return d.checkTransfers(ctx, conn, head.Number.Uint64()+1, n)
}

// checkTransfers holds what was sent against what the chain says happened from block first on.
func (d *demonstration) checkTransfers(ctx context.Context, conn *client.Client, first uint64, sent int) error {
	transfers, err := d.countTransfers(ctx, conn, first)
	if err != nil {
		return err
	}
	if transfers != sent {
		return fmt.Errorf("%d transfers were sent and the chain's logs show %d", sent, transfers)
	}
	d.lesson.Totals.Sent += sent
	d.lesson.Totals.Included += transfers
	return nil
}

// countTransfers counts what the chain says happened from block first on.
func (d *demonstration) countTransfers(ctx context.Context, conn *client.Client, first uint64) (transfers int, err error) {
	head, err := conn.Head(ctx)
	if err != nil {
		return 0, err
	}
	for n := first; n <= head.Number.Uint64(); n++ {
		block := new(big.Int).SetUint64(n)
		logs, err := conn.Logs(ctx, ethereum.FilterQuery{FromBlock: block, ToBlock: block, Addresses: []common.Address{d.token.Address},
			Topics: [][]common.Hash{{d.token.ABI.Events["Transfer"].ID}}})
		if err != nil {
			return 0, err
		}
		transfers += len(logs)
		b, err := conn.Block(ctx, block)
		if err != nil {
			return 0, err
		}
		d.shown.GasUsed += b.Header.GasUsed
		d.shown.Blocks++
	}
	return transfers, nil
}

// compare waits until all nodes have the same last block, final, and fails when they have different ones.
func (d *demonstration) compare(ctx context.Context) error {
	v := &d.shown
	for _, conn := range d.conns {
		if conn == nil {
			continue
		}
		head, err := conn.Head(ctx)
		if err != nil {
			return err
		}
		d.height = max(d.height, int(head.Number.Int64()))
	}
	for i, conn := range d.conns {
		if conn == nil {
			continue
		}
		if err := conn.WaitFinal(ctx, uint64(d.height)); err != nil {
			return fmt.Errorf("%s: %w", d.nodes.folders[i].name, err)
		}
		// The chain may have gone on: what is compared is the block that all have.
		head, err := conn.Eth().HeaderByNumber(ctx, big.NewInt(int64(d.height)))
		if err != nil {
			return err
		}
		final, err := conn.Finalized(ctx)
		if err != nil {
			return err
		}
		n := demoNodeView{Name: d.nodes.folders[i].name, RPC: d.nodes.children[i].view.HTTP, Head: head.Number.Uint64(), HeadHash: head.Hash(),
			Finalized: final.Number.Uint64()}
		v.Nodes = append(v.Nodes, n)
		if n.HeadHash != v.Nodes[0].HeadHash {
			return fmt.Errorf("%s has block %d %s, %s has %d %s", v.Nodes[0].Name, v.Nodes[0].Head, v.Nodes[0].HeadHash, n.Name, n.Head, n.HeadHash)
		}
		v.BaseFee = formatAmount(head.BaseFee)
	}
	v.Head, v.Finalized = v.Nodes[0].Head, v.Nodes[0].Finalized
	d.lesson.Totals.SameHead = true // else we were not here
	return nil
}
