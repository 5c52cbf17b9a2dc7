package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/crypto"
	"github.com/jialing-chain/jialing/internal/node"
)

// systemContract is one that the genesis puts on the chain.
type systemContract struct {
	address common.Address
	abi     func() *abi.ABI
	// view is a method without arguments: where it is answered, the chain has the contract.
	view string
	// gas is added to what the node estimates: other transactions may come first and leave more to do.
	gas uint64
	// absent says what it means that the chain has no such contract.
	absent error
	// refusals are the contract's errors, for people. Where one is not there its own name must do.
	refusals map[string]string
	// hindrances are the contract's enum Hindrance, for people: why a proposal that has its votes does not pass.
	hindrances []string
}

// why says for people why the contract refused, "" where there is no more to say than its own name for it.
func (s *systemContract) why(revert *client.RevertError) string {
	if revert.Name == "Hindered" && len(revert.Args) > 0 {
		if n, ok := revert.Args[0].(uint8); ok && int(n) < len(s.hindrances) {
			return s.hindrances[n]
		}
	}
	return s.refusals[revert.Name]
}

// event reads a log of the contract: its name, and the values that are not indexed.
func (s *systemContract) event(l *types.Log) (name string, values []any, err error) {
	event, err := s.abi().EventByID(l.Topics[0])
	if err != nil {
		return "", nil, fmt.Errorf("read the transaction's events: %w", err)
	}
	if values, err = event.Inputs.NonIndexed().Unpack(l.Data); err != nil {
		return "", nil, fmt.Errorf("read event %s: %w", event.Name, err)
	}
	return event.Name, values, nil
}

// systemClient is such a contract on the node that the flags name.
type systemClient struct {
	c        *cli
	conn     *client.Client
	contract *systemContract
	// from is who sends, where that was asked for already.
	from client.Account
}

// withSystem connects to the node, and says in words what the contract refuses.
func (c *cli) withSystem(ctx context.Context, contract *systemContract, do func(context.Context, systemClient) error) error {
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = do(ctx, systemClient{c: c, conn: conn, contract: contract})
	if errors.Is(err, client.ErrNoCode) {
		return contract.absent
	}
	var revert *client.RevertError
	if !errors.As(err, &revert) {
		return err
	}
	revert.Decode(contract.abi())
	if why := contract.why(revert); why != "" {
		return fmt.Errorf("%w: %s", err, why)
	}
	return err
}

func (s *systemClient) call(ctx context.Context, method string, args ...any) ([]any, error) {
	return s.conn.Call(ctx, client.Contract{Address: s.contract.address, ABI: *s.contract.abi()}, method, args...)
}

// sender opens the account that the flags name, once.
func (s *systemClient) sender(f *txFlags) (from client.Account, err error) {
	if s.from == nil {
		s.from, err = s.c.signer(f.from, f.keyFile, f.keyKind)
	}
	return s.from, err
}

// suite asks for the chain's: that of its nodes' keys and certificates.
func (s *systemClient) suite(ctx context.Context) (crypto.Suite, error) {
	var status struct {
		Suite string `json:"suite"`
	}
	if err := s.conn.RPC().CallContext(ctx, &status, "jl_status"); err != nil {
		return nil, fmt.Errorf("ask for the chain's suite: %w", err)
	}
	return node.SuiteByName(status.Suite)
}

// systemCall is a transaction to a system contract.
type systemCall struct {
	flags *txFlags
	// value is what it pays, nil for what the flags say.
	value  *big.Int
	method string
	args   []any
}

// sendSystem calls the contract in a transaction, and prints what came of it as outcome reads it from the receipt.
func sendSystem[O interface{ text(io.Writer) }](ctx context.Context, s *systemClient, call systemCall,
	outcome func(context.Context, *types.Receipt) (O, error)) error {
	receipt, err := s.transact(ctx, call)
	if err != nil {
		return err
	}
	out, err := outcome(ctx, receipt)
	if err != nil {
		return err
	}
	return s.c.print(out, out.text)
}

// transact sends the call and waits for its receipt; one that failed is an error.
func (s *systemClient) transact(ctx context.Context, call systemCall) (*types.Receipt, error) {
	if _, err := s.call(ctx, s.contract.view); err != nil { // is there a contract at all? A transaction to nothing would succeed
		return nil, err
	}
	data, err := s.contract.abi().Pack(call.method, call.args...)
	if err != nil {
		return nil, fmt.Errorf("encode arguments of %s: %w", call.method, err)
	}
	tx := client.Tx{To: &s.contract.address, Data: data}
	if err := call.flags.fill(&tx); err != nil {
		return nil, err
	}
	if call.value != nil {
		tx.Value = call.value
	}
	from, err := s.sender(call.flags)
	if err != nil {
		return nil, err
	}
	full, err := s.conn.Fill(ctx, from.Address(), tx)
	if err != nil {
		return nil, err
	}
	if call.flags.gas == 0 { // it was estimated
		full.Gas = min(full.Gas+s.contract.gas, params.MaxTxGas)
	}
	hash, err := s.conn.Send(ctx, from, *full)
	if err != nil {
		return nil, err
	}
	receipt, err := s.conn.WaitReceipt(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("the transaction %s was sent: %w", hash, err)
	}
	if receipt.Status != types.ReceiptStatusSuccessful {
		return nil, fmt.Errorf("%s: %w", hash, client.ErrFailed)
	}
	return receipt, nil
}

// openProposals lists the proposals of the contract on which one may vote, as read has them by their numbers.
func openProposals[P any](ctx context.Context, s *systemClient, read func(context.Context, uint64) (*P, error)) ([]P, error) {
	out, err := s.call(ctx, "openProposals")
	if err != nil {
		return nil, err
	}
	all := []P{}
	for _, n := range out[0].([]uint64) {
		p, err := read(ctx, n)
		if err != nil {
			return nil, err
		}
		all = append(all, *p)
	}
	return all, nil
}

// numbered is a command whose name is a contract's method on a proposal.
func (c *cli) numbered(method, short string, send func(ctx context.Context, f *txFlags, proposal uint64) error) *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use: method + " PROPOSAL", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := parseUint64(args[0])
			if err != nil {
				return usagef("PROPOSAL: %w", err)
			}
			return send(cmd.Context(), &f, n)
		},
	}
	c.voteFlags(cmd, &f)
	return cmd
}
