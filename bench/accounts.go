package main

import (
	"crypto/ecdsa"
	"encoding/binary"
	"math/big"
	"math/rand"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/ethereum/go-ethereum/common"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/jialing-chain/jialing/client"
)

// holders are the accounts that own tokens. Their keys are a base plus their number, so that the addresses come by one point addition each
// and a million of them cost seconds rather than a minute. Such keys are for benchmarks only.
type holders struct {
	// kind is how they sign, secp256k1 or sm2.
	kind      string
	base      *big.Int
	addresses []common.Address
}

// newHolderKeys are holders without their addresses.
func newHolderKeys(n int, seed int64, kind string) *holders {
	h := &holders{kind: kind, addresses: make([]common.Address, n)}
	h.base = new(big.Int).SetBytes(gethcrypto.Keccak256([]byte("jialing bench holders"), binary.BigEndian.AppendUint64(nil, uint64(seed))))
	h.base.Rsh(h.base, 1) // far enough below both groups' order for any number of accounts
	return h
}

func newHolders(n int, seed int64) *holders {
	h := newHolderKeys(n, seed, client.KindSecp256k1)
	const chunk = 1024
	var next, generator secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(scalar(h.base), &next)
	secp256k1.ScalarBaseMultNonConst(new(secp256k1.ModNScalar).SetInt(1), &generator)
	generator.ToAffine()
	points := make([]secp256k1.JacobianPoint, 0, chunk)
	for i := range h.addresses {
		points = append(points, next)
		secp256k1.AddNonConst(&points[len(points)-1], &generator, &next)
		if len(points) == chunk || i == n-1 {
			toAddresses(points, h.addresses[i+1-len(points):i+1])
			points = points[:0]
		}
	}
	return h
}

// secret is the private key of holder i.
func (h *holders) secret(i int) []byte {
	return new(big.Int).Add(h.base, big.NewInt(int64(i))).FillBytes(make([]byte, 32))
}

// key is the private key of holder i without its public half, which signing does not need and which takes as long to make as a signature.
func (h *holders) key(i int) *ecdsa.PrivateKey {
	key := new(ecdsa.PrivateKey)
	key.Curve = gethcrypto.S256()
	//lint:ignore SA1019 the standard library's replacements know the NIST curves only
	key.D = new(big.Int).SetBytes(h.secret(i))
	return key
}

func scalar(n *big.Int) *secp256k1.ModNScalar {
	var b [32]byte
	n.FillBytes(b[:])
	s := new(secp256k1.ModNScalar)
	s.SetBytes(&b)
	return s
}

// toAddresses makes points affine with one inversion for all (Montgomery's trick) and hashes them.
func toAddresses(points []secp256k1.JacobianPoint, out []common.Address) {
	before := make([]secp256k1.FieldVal, len(points)) // products of the Z before each point
	product := *new(secp256k1.FieldVal).SetInt(1)
	for i := range points {
		before[i] = product
		product.Mul(&points[i].Z)
	}
	inverse := product.Inverse()
	var key [64]byte
	for i := len(points) - 1; i >= 0; i-- {
		var z, zz, x, y secp256k1.FieldVal
		z.Mul2(inverse, &before[i])
		inverse.Mul(&points[i].Z)
		zz.SquareVal(&z)
		x.Mul2(&points[i].X, &zz).Normalize()
		y.Mul2(&points[i].Y, zz.Mul(&z)).Normalize()
		copy(key[:32], x.Bytes()[:])
		copy(key[32:], y.Bytes()[:])
		out[i] = common.BytesToAddress(gethcrypto.Keccak256(key[:])[12:])
	}
}

// payments draws who pays whom: every holder pays once before any pays twice, in random order; recipients are anybody.
type payments struct {
	random *rand.Rand
	order  []int32
	next   int
	nonces []uint32
}

func newPayments(n int, seed int64) *payments {
	p := &payments{random: rand.New(rand.NewSource(seed)), order: make([]int32, n), nonces: make([]uint32, n)}
	for i, j := range p.random.Perm(n) {
		p.order[i] = int32(j)
	}
	return p
}

func (p *payments) draw() (from, to int, nonce uint64) {
	from = int(p.order[p.next])
	p.next = (p.next + 1) % len(p.order)
	to = p.random.Intn(len(p.order) - 1)
	if to >= from {
		to++ // nobody pays themselves
	}
	nonce = uint64(p.nonces[from])
	p.nonces[from]++
	return from, to, nonce
}
