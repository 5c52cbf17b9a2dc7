package main

import (
	"context"
	"fmt"
	"io"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/spf13/cobra"

	"github.com/jialing-chain/jialing/client"
)

// txFlags are those of the commands that send.
type txFlags struct {
	from                 string
	keyFile, keyKind     string
	signer               string
	value, maxFee, tip   string
	data, abiFile, nonce string
	gas                  uint64
	noWait               bool
}

func (c *cli) txCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tx", Short: "Send transactions, call contracts, look at what happened"}
	c.rpcFlags(cmd)
	cmd.AddCommand(c.txSend(), c.txDeploy(), c.txCall(), c.txShow())
	return cmd
}

func (c *cli) sendFlags(cmd *cobra.Command, f *txFlags) {
	c.keystoreFlags(cmd)
	cmd.Flags().StringVar(&f.from, "from", "", "who sends: an ADDRESS of the keystore, or dev:0 … dev:9 on a chain made with --dev")
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "file with the sender's private key in hex, instead of --from")
	cmd.Flags().StringVar(&f.keyKind, "key-kind", client.KindSecp256k1, "kind of the key in --key-file or of the signer's account: secp256k1 or sm2")
	cmd.Flags().StringVar(&f.signer, "signer", "", "remote signer that has the key of --from ADDRESS: unix:/path or https://host (see jialing signer serve)")
	cmd.Flags().StringVar(&f.value, "value", "0", "amount to send: 1.5ether, 20gwei, 7wei")
	cmd.Flags().Uint64Var(&f.gas, "gas", 0, "gas limit (default: the node's estimate)")
	cmd.Flags().StringVar(&f.nonce, "nonce", "", "nonce (default: the account's next)")
	cmd.Flags().StringVar(&f.maxFee, "max-fee", "", "most to pay per gas, like 2gwei (default: the node's suggestion)")
	cmd.Flags().StringVar(&f.tip, "tip", "", "tip per gas, like 1gwei (default: the node's suggestion)")
	cmd.Flags().BoolVar(&f.noWait, "no-wait", false, "print the hash at once instead of waiting for the receipt")
}

func (c *cli) txSend() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use:   "send TO [METHOD [ARGUMENT...]]",
		Short: "Send a transaction and wait for its receipt",
		Example: `  jialing tx send 0x7099…79C8 --value 1ether --from dev:0
  jialing tx send 0x5FbD…0aa3 'transfer(address,uint256)' 0x7099…79C8 5 --from dev:0
  jialing tx send 0x5FbD…0aa3 transfer 0x7099…79C8 5 --abi token --from dev:0`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			tx := client.Tx{To: &to}
			contract, err := loadABI(f.abiFile)
			if err != nil {
				return err
			}
			if tx.Data, contract, err = callData(contract, f.data, args[1:]); err != nil {
				return err
			}
			return c.send(cmd.Context(), &f, tx, contract)
		},
	}
	c.sendFlags(cmd, &f)
	cmd.Flags().StringVar(&f.data, "data", "", "call data in hex, instead of a METHOD")
	cmd.Flags().StringVar(&f.abiFile, "abi", "", `ABI or artifact file, or "token" or "evidence": METHOD may then be a bare name, and events and errors are named`)
	return cmd
}

func (c *cli) txDeploy() *cobra.Command {
	var f txFlags
	cmd := &cobra.Command{
		Use:   "deploy ARTIFACT [ARGUMENT...]",
		Short: "Deploy a contract and print its address",
		Long: `Deploy a contract and print its address. ARTIFACT is a JSON file with abi and bytecode, as Hardhat, Foundry and apps/ write it,
or "token" (constructor: supply) or "evidence", the two contracts that come with the platform.`,
		Example: "  jialing tx deploy token 1000000 --from dev:0\n  jialing tx deploy out/Counter.json --from dev:0",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			contract, err := loadContract(args[0])
			if err != nil {
				return err
			}
			values, err := parseArguments(contract.ABI.Constructor.Inputs, args[1:])
			if err != nil {
				return fmt.Errorf("constructor of %s: %w", contract.Name, err)
			}
			creation, err := contract.Creation(values...)
			if err != nil {
				return err
			}
			return c.send(cmd.Context(), &f, client.Tx{Data: creation}, &contract.ABI)
		},
	}
	c.sendFlags(cmd, &f)
	return cmd
}

// fill sets what the flags give.
func (f *txFlags) fill(tx *client.Tx) (err error) {
	if tx.Value, err = parseAmount(f.value, "wei"); err != nil {
		return err
	}
	for _, fee := range []struct {
		flag string
		to   **big.Int
	}{{f.maxFee, &tx.FeeCap}, {f.tip, &tx.TipCap}} {
		if fee.flag == "" {
			continue
		}
		if *fee.to, err = parseAmount(fee.flag, "wei"); err != nil {
			return err
		}
	}
	if f.nonce != "" {
		n, err := parseUint64(f.nonce)
		if err != nil {
			return usagef("--nonce: %w", err)
		}
		tx.Nonce = &n
	}
	tx.Gas = f.gas
	return nil
}

func (c *cli) send(ctx context.Context, f *txFlags, tx client.Tx, contract *abi.ABI) error {
	if err := f.fill(&tx); err != nil {
		return err
	}
	from, err := c.sender(f)
	if err != nil {
		return err
	}
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	hash, err := conn.Send(ctx, from, tx)
	if err != nil {
		return nameErrors(err, contract)
	}
	if f.noWait {
		return c.print(map[string]common.Hash{"hash": hash}, func(w io.Writer) { fmt.Fprintln(w, hash) })
	}
	if _, err := conn.WaitReceipt(ctx, hash); err != nil {
		return fmt.Errorf("the transaction %s was sent: %w", hash, err)
	}
	v, err := readTx(ctx, conn, hash, contract)
	if err != nil {
		return err
	}
	if err := c.print(v, v.text); err != nil {
		return err
	}
	if v.Status == "failed" {
		return client.ErrFailed
	}
	return nil
}

// sender is who signs: a remote signer's account, or one that this process opens.
func (c *cli) sender(f *txFlags) (client.Account, error) {
	if f.signer == "" {
		return c.signer(f.from, f.keyFile, f.keyKind)
	}
	if f.keyFile != "" {
		return nil, usagef("--signer and --key-file exclude each other")
	}
	address, err := parseAddress(f.from)
	if err != nil {
		return nil, err
	}
	s, err := client.DialSigner(f.signer)
	if err != nil {
		return nil, usageError{err}
	}
	return s.Account(address, f.keyKind)
}

func (c *cli) txCall() *cobra.Command {
	var f txFlags
	var at string
	cmd := &cobra.Command{
		Use:   "call TO METHOD [ARGUMENT...]",
		Short: "Call a contract without a transaction and print what it returns",
		Example: `  jialing tx call 0x5FbD…0aa3 'balanceOf(address)(uint256)' 0x7099…79C8
  jialing tx call 0x5FbD…0aa3 balanceOf 0x7099…79C8 --abi token`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.call(cmd.Context(), &f, at, args) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "address to call from")
	cmd.Flags().StringVar(&f.value, "value", "0", "amount to send along: 1.5ether, 20gwei, 7wei")
	cmd.Flags().StringVar(&f.data, "data", "", "call data in hex, instead of a METHOD")
	cmd.Flags().StringVar(&f.abiFile, "abi", "", `ABI or artifact file, or "token" or "evidence"`)
	cmd.Flags().StringVar(&at, "block", "latest", "call after this block: a number, latest, safe, finalized or earliest")
	return cmd
}

func (c *cli) call(ctx context.Context, f *txFlags, at string, args []string) error {
	to, err := parseAddress(args[0])
	if err != nil {
		return err
	}
	contract, err := loadABI(f.abiFile)
	if err != nil {
		return err
	}
	data, contract, err := callData(contract, f.data, args[1:])
	if err != nil {
		return err
	}
	msg := ethereum.CallMsg{To: &to, Data: data}
	if f.from != "" {
		if msg.From, err = parseAddress(f.from); err != nil {
			return err
		}
	}
	if msg.Value, err = parseAmount(f.value, "wei"); err != nil {
		return err
	}
	conn, ctx, done, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer done()
	block, err := readBlock(ctx, conn, at)
	if err != nil {
		return err
	}
	out, err := conn.CallRaw(ctx, msg, block.Header.Number)
	if err != nil {
		return nameErrors(err, contract)
	}
	return c.printResults(contract, data, out)
}

// printResults shows what a call returned, decoded where the method is known.
func (c *cli) printResults(contract *abi.ABI, data, out []byte) error {
	var outputs abi.Arguments
	if contract != nil && len(data) >= 4 {
		if m, err := contract.MethodById(data); err == nil {
			outputs = m.Outputs
		}
	}
	if len(outputs) == 0 {
		return c.print(map[string]any{"raw": hexutil.Bytes(out)}, func(w io.Writer) { fmt.Fprintln(w, hexutil.Encode(out)) })
	}
	if len(out) == 0 {
		return client.ErrNoCode
	}
	values, err := outputs.Unpack(out)
	if err != nil {
		return fmt.Errorf("decode the results: %w", err)
	}
	return c.print(map[string]any{"raw": hexutil.Bytes(out), "results": namedValues(outputs, values)}, func(w io.Writer) {
		for i, v := range values {
			if name := outputs[i].Name; name != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, formatValue(v))
			} else {
				fmt.Fprintln(w, formatValue(v))
			}
		}
	})
}

func parseAddress(s string) (common.Address, error) {
	if len(s) != 2+2*common.AddressLength || !common.IsHexAddress(s) {
		return common.Address{}, usagef("%q is no address: 0x and 40 hex digits", s)
	}
	return common.HexToAddress(s), nil
}

func parseHash(s string) (h common.Hash, err error) {
	if err := h.UnmarshalText([]byte(s)); err != nil {
		return h, usagef("%q is no transaction hash: 0x and 64 hex digits", s)
	}
	return h, nil
}
