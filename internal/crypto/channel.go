package crypto

import "io"

// Agreement is a Diffie-Hellman function as the Noise Protocol Framework uses one (noiseprotocol.org, section 4.1). Safe for concurrent use.
type Agreement interface {
	// PublicSize is the length of a public key in bytes.
	PublicSize() int
	// GenerateKey draws a key pair from rand.
	GenerateKey(rand io.Reader) (private, public []byte, err error)
	// Agree is the secret that the holders of private and public share. It refuses what is no public key; it never panics.
	Agree(private, public []byte) ([]byte, error)
}

// Channel says of what the suite's peers make their channel: a Noise protocol of the pattern XX.
type Channel struct {
	// DH, Cipher and Hash are the functions' names as they stand in the protocol's name: letters and digits.
	DH, Cipher, Hash string
	// Agreement is the function DH. Cipher is the suite's AEAD under the first KeySize bytes of Noise's key, Hash the suite's NewHash. It is nil where
	// the three are those of libp2p's own Noise, which is then used as it is.
	Agreement Agreement
}

// Protocol is the Noise protocol's name. It is hashed into every handshake.
func (c Channel) Protocol() string { return "Noise_XX_" + c.DH + "_" + c.Cipher + "_" + c.Hash }
