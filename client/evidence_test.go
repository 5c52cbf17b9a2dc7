package client_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/common/math"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/jialing-chain/jialing/client"
	"github.com/jialing-chain/jialing/internal/chain"
	"github.com/jialing-chain/jialing/internal/crypto"
)

func (l *ledger) trust(t *testing.T) *client.Trust {
	trust, err := client.ParseTrust(l.genesis.Encode())
	require.NoError(t, err)
	return trust
}

func TestTrustFromGenesisAgreesWithTheNode(t *testing.T) {
	l := newLedger(t, 1, 0, 0)
	trust := l.trust(t)
	require.Equal(t, common.Hash(l.root), trust.Genesis)
	require.Equal(t, 1, trust.Quorum)
	require.EqualValues(t, 77, trust.ChainID)

	again, err := client.ParseTrust(trust.Encode())
	require.NoError(t, err)
	require.Equal(t, trust, again)

	// White space and field order of the file are no part of the genesis.
	var loose map[string]any
	dec := json.NewDecoder(bytes.NewReader(l.genesis.Encode()))
	dec.UseNumber()
	require.NoError(t, dec.Decode(&loose))
	compact, err := json.Marshal(loose)
	require.NoError(t, err)
	fromCompact, err := client.ParseTrust(compact)
	require.NoError(t, err)
	require.Equal(t, trust, fromCompact)
}

// TestTrustFromGenesisOfEveryEngine: whatever parameters a genesis has, both sides make the same hash of it.
func TestTrustFromGenesisOfEveryEngine(t *testing.T) {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	to := common.HexToAddress("0x1003")
	for _, engine := range []chain.EngineKind{chain.BFT, chain.Raft, chain.PoS} {
		g := newGenesis(t, key)
		g.Consensus.Engine, g.Validators = engine, nil
		g.Consensus.BFT, g.Consensus.Raft, g.Consensus.Stake = chain.DefaultBFTParams(), chain.DefaultRaftParams(), chain.DefaultStakeParams()
		g.Fees.BaseFeeTo = &to
		for i := range 4 {
			other, err := suite.GenerateKey(rand.Reader)
			require.NoError(t, err)
			g.Validators = append(g.Validators, chain.GenesisValidator{ID: chain.ValidatorID(i + 1), Name: "n", PublicKey: other.Public().Bytes(), Address: common.Address{byte(i + 1)}})
		}
		require.NoError(t, g.Validate())
		want, err := chain.HeaderHash(suite, g.Header(suite, g.Writes(hashCode), stateRoot(t, g)))
		require.NoError(t, err)
		trust, err := client.TrustFromGenesis(g.Encode())
		require.NoError(t, err)
		require.Equal(t, common.Hash(want), trust.Genesis, "%s", engine)
		require.Equal(t, engine.Quorum(4), trust.Quorum)
	}
}

func TestTrustFromGenesisAgreesOnAnyAlloc(t *testing.T) {
	key, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	word := rapid.Custom(func(t *rapid.T) (h common.Hash) {
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "word"))
		return h
	})
	rapid.Check(t, func(t *rapid.T) {
		g := newGenesis(t, key)
		g.TimeMillis = rapid.Uint64Range(1, 1<<47).Draw(t, "time")
		for range rapid.IntRange(0, 20).Draw(t, "accounts") {
			a := chain.GenesisAccount{Nonce: math.HexOrDecimal64(rapid.Uint64().Draw(t, "nonce")), Balance: math.NewHexOrDecimal256(rapid.Int64Min(0).Draw(t, "balance"))}
			if a.Code = rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "code"); len(a.Code) > 0 {
				a.Storage = rapid.MapOfN(word, word, 0, 10).Draw(t, "storage")
			}
			g.Alloc[common.BytesToAddress(word.Draw(t, "address").Bytes())] = a
		}
		want, err := chain.HeaderHash(suite, g.Header(suite, g.Writes(hashCode), stateRoot(t, g)))
		require.NoError(t, err)
		trust, err := client.TrustFromGenesis(g.Encode())
		require.NoError(t, err)
		require.Equal(t, common.Hash(want), trust.Genesis)
	})
}

func TestVerifyTellsWhatIsProven(t *testing.T) {
	for _, c := range []struct{ txs, at, links int }{{1, 0, 0}, {1, 0, 3}, {2, 1, 0}, {130, 0, 0}, {130, 127, 1}, {130, 128, 0}, {300, 299, 2}} {
		t.Run(fmt.Sprintf("%d of %d, certificate %d later", c.at, c.txs, c.links), func(t *testing.T) {
			l := newLedger(t, c.txs, c.at, c.links)
			p, err := client.ParseProof(l.proof.Encode())
			require.NoError(t, err)
			got, err := client.Verify(p, l.trust(t))
			require.NoError(t, err)
			dev, err := client.DevAccounts(1)
			require.NoError(t, err)
			require.Equal(t, l.txs[c.at].Hash(), got.TxHash)
			require.Equal(t, dev[0].Address(), got.From)
			require.Equal(t, &registry, got.To)
			require.True(t, got.Succeeded)
			require.EqualValues(t, 1, got.Height)
			require.EqualValues(t, 1+c.links, got.CertifiedHeight)
			require.Equal(t, l.headers[1].Hash(), got.BlockHash)
			require.EqualValues(t, 1_700_000_001_456, got.Time.UnixMilli())
			require.Len(t, got.Signers, 1)
			require.Equal(t, "node 1", got.Signers[0].Name)

			digest := gethcrypto.Keccak256Hash([]byte{byte(c.at)})
			n, err := got.Notarised(registry, digest)
			require.NoError(t, err)
			require.Equal(t, "a.pdf", n.Name)
			require.Equal(t, dev[0].Address(), n.By)
			require.EqualValues(t, 1_700_000_001, n.Time.Unix())
			_, err = got.Notarised(common.Address{1}, digest)
			require.ErrorIs(t, err, client.ErrNotNotarised)
			_, err = got.Notarised(registry, common.Hash{1})
			require.ErrorIs(t, err, client.ErrNotNotarised)
		})
	}
}

func parseAndVerify(file []byte, trust *client.Trust) error {
	p, err := client.ParseProof(file)
	if err != nil {
		return err
	}
	_, err = client.Verify(p, trust)
	return err
}

// Every byte of the file counts, but for white space between tokens.
func TestVerifyRefusesEveryAlteredByte(t *testing.T) {
	l := newLedger(t, 3, 1, 1)
	trust := l.trust(t)
	file := l.proof.Encode()
	require.NoError(t, parseAndVerify(file, trust))
	altered := 0
	for i := range file {
		for _, mask := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(file)
			bad[i] ^= mask
			if err := parseAndVerify(bad, trust); err == nil {
				t.Fatalf("byte %d of %d changed from %q to %q and the proof still held", i, len(file), file[i], bad[i])
			} else {
				require.ErrorIs(t, err, client.ErrProof)
			}
			altered++
		}
		require.ErrorIs(t, parseAndVerify(append(bytes.Clone(file[:i]), file[i+1:]...), trust), dropped(file[i]), "byte %d dropped", i)
	}
	t.Logf("%d alterations of %d bytes, all refused", altered, len(file))
}

// dropped is the error of leaving a byte out: none for white space.
func dropped(b byte) error {
	if b == ' ' || b == '\n' {
		return nil
	}
	return client.ErrProof
}

// Every byte of the values counts, whatever the file's form: this alters the decoded proof.
func TestVerifyRefusesEveryAlteredValue(t *testing.T) {
	l := newLedger(t, 3, 1, 2)
	trust := l.trust(t)
	values := map[string]func(p *client.Proof) []byte{
		"genesis":     func(p *client.Proof) []byte { return p.Genesis[:] },
		"txHash":      func(p *client.Proof) []byte { return p.TxHash[:] },
		"tx":          func(p *client.Proof) []byte { return p.Tx },
		"txProof":     func(p *client.Proof) []byte { return p.TxProof[0] },
		"leaf":        func(p *client.Proof) []byte { return p.TxProof[len(p.TxProof)-1] },
		"receipt":     func(p *client.Proof) []byte { return p.Receipt },
		"receiptLeaf": func(p *client.Proof) []byte { return p.ReceiptProof[len(p.ReceiptProof)-1] },
		"recordProof": func(p *client.Proof) []byte { return p.RecordProof[len(p.RecordProof)-1][:] },
		"blockHash":   func(p *client.Proof) []byte { return p.BlockHash[:] },
		"header":      func(p *client.Proof) []byte { return p.Header },
		"link 0":      func(p *client.Proof) []byte { return p.Links[0] },
		"link 1":      func(p *client.Proof) []byte { return p.Links[1] },
		"cert block":  func(p *client.Proof) []byte { return p.Certificate.Block[:] },
		"cert header": func(p *client.Proof) []byte { return p.Certificate.Header[:] },
		"signature":   func(p *client.Proof) []byte { return p.Certificate.Attestations[0].Signature },
	}
	for name, value := range values {
		for i := range value(l.proof) {
			for bit := range 8 {
				value(l.proof)[i] ^= 1 << bit
				_, err := client.Verify(l.proof, trust)
				require.ErrorIs(t, err, client.ErrProof, "%s byte %d bit %d", name, i, bit)
				value(l.proof)[i] ^= 1 << bit
			}
		}
	}
	_, err := client.Verify(l.proof, trust)
	require.NoError(t, err, "the proof is as it was")
}

func TestVerifyRefusesForgedProofs(t *testing.T) {
	other, err := suite.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, forge := range map[string]func(t *testing.T, l *ledger){
		"signed by another key": func(t *testing.T, l *ledger) {
			sig, err := other.Sign(chain.AttestationMessage(l.root, 3, crypto.Hash(l.proof.Certificate.Header)))
			require.NoError(t, err)
			l.proof.Certificate.Attestations[0].Signature = sig
		},
		"signed for another chain": func(t *testing.T, l *ledger) {
			sig, err := l.key.Sign(chain.AttestationMessage(crypto.Hash{1}, 3, crypto.Hash(l.proof.Certificate.Header)))
			require.NoError(t, err)
			l.proof.Certificate.Attestations[0].Signature = sig
		},
		"unknown validator": func(_ *testing.T, l *ledger) { l.proof.Certificate.Attestations[0].Validator = 2 },
		"no signature":      func(_ *testing.T, l *ledger) { l.proof.Certificate.Attestations = nil },
		"one signature twice": func(_ *testing.T, l *ledger) {
			c := &l.proof.Certificate
			c.Attestations = append(c.Attestations, c.Attestations[0])
		},
		"a link left out":        func(_ *testing.T, l *ledger) { l.proof.Links = l.proof.Links[1:] },
		"a link too many":        func(_ *testing.T, l *ledger) { l.proof.Links = append(l.proof.Links, l.proof.Links[1]) },
		"links of another order": func(_ *testing.T, l *ledger) { l.proof.Links[0], l.proof.Links[1] = l.proof.Links[1], l.proof.Links[0] },
		"too many links":         func(_ *testing.T, l *ledger) { l.proof.Links = make([]hexutil.Bytes, 257) },
		"certificate's height":   func(_ *testing.T, l *ledger) { l.proof.Certificate.Height++ },
		"index":                  func(_ *testing.T, l *ledger) { l.proof.Index++ },
		"chain id":               func(_ *testing.T, l *ledger) { l.proof.ChainID++ },
		"suite":                  func(_ *testing.T, l *ledger) { l.proof.Suite = otherSuite() },
		"format":                 func(_ *testing.T, l *ledger) { l.proof.Format = "jialing/proof/1" },
		"receipt of another index": func(_ *testing.T, l *ledger) {
			o := newLedger(t, 3, 0, 2)
			l.proof.Receipt, l.proof.ReceiptProof = o.proof.Receipt, o.proof.ReceiptProof
		},
		"a node after the leaf": func(_ *testing.T, l *ledger) { l.proof.TxProof = append(l.proof.TxProof, l.proof.TxProof[0]) },
		"no nodes":              func(_ *testing.T, l *ledger) { l.proof.TxProof = nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, 3, 1, 2)
			forge(t, l)
			_, err := client.Verify(l.proof, l.trust(t))
			require.ErrorIs(t, err, client.ErrProof)
		})
	}
	t.Run("of another chain", func(t *testing.T) {
		_, err := client.Verify(newLedger(t, 1, 0, 0).proof, newLedger(t, 1, 0, 0).trust(t))
		require.ErrorIs(t, err, client.ErrProof)
		require.ErrorContains(t, err, "the trusted one is chain 77")
	})
	t.Run("other validators", func(t *testing.T) {
		l := newLedger(t, 1, 0, 0)
		trust := l.trust(t)
		trust.Validators[0].Address[0] ^= 1
		_, err := client.Verify(l.proof, trust)
		require.ErrorIs(t, err, client.ErrProof)
		require.ErrorContains(t, err, "other validators")
	})
}

func TestParseProofHasOneForm(t *testing.T) {
	l := newLedger(t, 1, 0, 0)
	file := string(l.proof.Encode())
	for name, bad := range map[string]string{
		"empty":             "",
		"null":              "null",
		"not JSON":          "{",
		"unknown field":     strings.Replace(file, "{", `{"note":"x",`, 1),
		"field twice":       strings.Replace(file, "{", `{"chainId":"0x4d",`, 1),
		"upper case":        strings.Replace(file, `"txHash": "0x`, `"txHash": "0X`, 1),
		"key's case":        strings.Replace(file, `"txHash"`, `"TxHash"`, 1),
		"leading zero":      strings.Replace(file, `"chainId": "0x4d"`, `"chainId": "0x04d"`, 1),
		"null list":         strings.Replace(file, `"links": []`, `"links": null`, 1),
		"null handovers":    strings.Replace(file, `"handovers": []`, `"handovers": null`, 1),
		"escape":            strings.Replace(file, `"chainId"`, `"chain\u0049d"`, 1),
		"something follows": file + "{}",
	} {
		require.ErrorIs(t, parseAndVerify([]byte(bad), l.trust(t)), client.ErrProof, name)
	}
	compact := new(bytes.Buffer)
	require.NoError(t, json.Compact(compact, []byte(file)))
	require.NoError(t, parseAndVerify(compact.Bytes(), l.trust(t)), "white space is free")
}

func TestTrustRefusesWhatCannotBe(t *testing.T) {
	l := newLedger(t, 1, 0, 0)
	for name, bad := range map[string]func(*client.Trust){
		"format": func(t *client.Trust) { t.Format = "x" }, "suite": func(t *client.Trust) { t.Suite = "x" }, "chain": func(t *client.Trust) { t.ChainID = 0 },
		"genesis": func(t *client.Trust) { t.Genesis = common.Hash{} }, "nobody": func(t *client.Trust) { t.Validators = nil },
		"no quorum": func(t *client.Trust) { t.Quorum = 0 }, "quorum above all": func(t *client.Trust) { t.Quorum = 2 },
		"engine": func(t *client.Trust) { t.Engine = "pow" }, "other engine": func(t *client.Trust) { t.Engine = "bft" },
		"id 0":  func(t *client.Trust) { t.Validators[0].ID = 0 },
		"twice": func(t *client.Trust) { t.Validators = append(t.Validators, t.Validators[0]) },
	} {
		trust := l.trust(t)
		bad(trust)
		require.ErrorIs(t, trust.Validate(), client.ErrTrust, name)
		_, err := client.Verify(l.proof, trust)
		require.ErrorIs(t, err, client.ErrTrust, name)
	}
	for name, bad := range map[string]string{
		"empty": "", "not JSON": "{", "unknown field": strings.Replace(string(l.genesis.Encode()), "{", `{"x":1,`, 1),
		"engine": strings.Replace(string(l.genesis.Encode()), `"solo"`, `"magic"`, 1), "format": `{"format":"x"}`,
		"suite": strings.Replace(string(l.genesis.Encode()), `"`+suite.Name()+`"`, `"x"`, 1), "more": string(l.genesis.Encode()) + "{}",
	} {
		_, err := client.ParseTrust([]byte(bad))
		require.ErrorIs(t, err, client.ErrTrust, name)
	}
}

func FuzzVerify(f *testing.F) {
	t := new(testing.T)
	l := newLedger(t, 2, 1, 1)
	trust, err := client.TrustFromGenesis(l.genesis.Encode())
	if err != nil {
		f.Fatal(err)
	}
	file := l.proof.Encode()
	f.Add(file)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := client.ParseProof(b)
		if err != nil {
			return
		}
		var have, want bytes.Buffer
		require.NoError(t, json.Compact(&have, b))
		require.NoError(t, json.Compact(&want, file))
		if _, err := client.Verify(p, trust); err == nil && !bytes.Equal(have.Bytes(), want.Bytes()) {
			t.Fatalf("another file holds too: %s", b)
		}
	})
}
