package p2p

import (
	"bytes"
	"crypto/rand"
	"net"
	"slices"

	"github.com/jialing-chain/jialing/internal/chain"
)

// placeSize is the length of every suite's hash.
const placeSize = 32

// place is where a node is among all others: it follows from its key, so nobody chooses it without drawing keys.
type place [placeSize]byte

func (n *Network) placeOf(p chain.Peer) place {
	return place(n.id.Suite.Sum([]byte("jialing/place/1"), []byte(p)))
}

func randomPlace() (out place) {
	_, _ = rand.Read(out[:]) // never fails
	return out
}

// away is how far two places are from each other, as a big-endian number.
func (a place) away(b place) (out place) {
	for i := range out {
		out[i] = a[i] ^ b[i]
	}
	return out
}

// nearestFirst sorts peers by their distance to a place.
func (n *Network) nearestFirst(peers []chain.Peer, to place) {
	away := make(map[chain.Peer]place, len(peers))
	for _, p := range peers {
		away[p] = n.placeOf(p).away(to)
	}
	slices.SortFunc(peers, func(a, b chain.Peer) int {
		x, y := away[a], away[b]
		return bytes.Compare(x[:], y[:])
	})
}

// neighbourhood is the network of an address; "" where it has none that could be crowded: loopback, and names, which cost something each.
func neighbourhood(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	ip := net.ParseIP(host)
	switch {
	case ip == nil || ip.IsLoopback():
		return ""
	case ip.To4() != nil:
		return ip.Mask(net.CIDRMask(24, 32)).String()
	}
	return ip.Mask(net.CIDRMask(48, 128)).String()
}
