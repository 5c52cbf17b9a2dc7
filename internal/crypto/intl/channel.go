package intl

import "github.com/jialing-chain/jialing/internal/crypto"

// Channel is libp2p's Noise: X25519, ChaCha20-Poly1305, SHA-256.
func (Suite) Channel() crypto.Channel {
	return crypto.Channel{DH: "25519", Cipher: "ChaChaPoly", Hash: "SHA256"}
}
