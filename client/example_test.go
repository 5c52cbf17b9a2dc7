package client_test

import (
	"context"
	"fmt"
	"log"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/jialing-chain/jialing/apps"
	"github.com/jialing-chain/jialing/client"
)

// The accounts that "jialing init --dev" funds are Hardhat's and Anvil's.
func ExampleDevAccounts() {
	dev, err := client.DevAccounts(2)
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range dev {
		fmt.Println(a.Address())
	}
	// Output:
	// 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
	// 0x70997970C51812dc3A010C7d01b50e0d17dc79C8
}

// Signing needs no node: a complete transaction has its nonce, gas and fees.
func ExampleSecp256k1_SignTx() {
	dev, err := client.DevAccounts(1)
	if err != nil {
		log.Fatal(err)
	}
	nonce, to := uint64(0), common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	raw, err := dev[0].SignTx(big.NewInt(2026), &client.Tx{To: &to, Value: big.NewInt(1), Nonce: &nonce, Gas: 21_000, FeeCap: new(big.Int), TipCap: new(big.Int)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(raw), client.TxHash(raw) != common.Hash{})
	// Output: 103 true
}

// An SM2 account signs where the chain's genesis lists "sm2"; everything else about it is as with Ethereum's accounts. The key is the example of GB/T 32918.5.
func ExampleSM2_SignTx() {
	a, err := client.SM2FromHex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
	if err != nil {
		log.Fatal(err)
	}
	nonce, to := uint64(0), common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	raw, err := a.SignTx(big.NewInt(2026), &client.Tx{To: &to, Value: big.NewInt(1), Nonce: &nonce, Gas: 21_000, FeeCap: new(big.Int), TipCap: new(big.Int)})
	if err != nil {
		log.Fatal(err)
	}
	tx, err := client.DecodeTx(big.NewInt(2026), raw)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tx.Kind, tx.Type == client.SM2TxType, tx.From == a.Address())
	// Output: sm2 true true
}

// From a fresh connection to a mined token transfer.
func ExampleClient_Transact() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.Dial(ctx, "ws://127.0.0.1:8545")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	dev, err := client.DevAccounts(2)
	if err != nil {
		log.Fatal(err)
	}
	creation, err := apps.Token.Creation(big.NewInt(1_000_000))
	if err != nil {
		log.Fatal(err)
	}
	address, _, err := c.Deploy(ctx, dev[0], creation)
	if err != nil {
		log.Fatal(err)
	}
	token := client.Contract{Address: address, ABI: apps.Token.ABI}
	receipt, err := c.Transact(ctx, dev[0], token, "transfer", dev[1].Address(), big.NewInt(5))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("mined in block", receipt.BlockNumber)
}

// Evidence outlives the node: proof and genesis are files, and nothing is asked of anybody.
func ExampleVerify() {
	var proofFile, genesisFile []byte // read from disk
	trust, err := client.ParseTrust(genesisFile)
	if err != nil {
		log.Fatal(err)
	}
	proof, err := client.ParseProof(proofFile)
	if err != nil {
		log.Fatal(err)
	}
	proven, err := client.Verify(proof, trust)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(proven.TxHash, "happened at", proven.Time)
}
