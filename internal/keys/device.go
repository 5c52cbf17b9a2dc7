package keys

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jialing-chain/jialing/internal/crypto"
)

// ErrDevice is a device that does not do its work: absent, pulled, locked, or not what the configuration says.
var ErrDevice = errors.New("the key device does not work")

// Token names a key in a PKCS#11 device.
type Token struct {
	// Module is the path of the device's library, Name the token's label, Label the key's.
	Module, Name, Label string
	// SM2Mechanism is the vendor's number of the mechanism that signs a 32-byte digest with SM2, for which PKCS#11 has none; 0: Ed25519.
	SM2Mechanism uint
}

// Device signs with one key that it does not give away. PKCS#11 is one way to reach it; a card with the interface of GM/T 0018 (SDF), whose keys are numbered
// and whose SM2 signature takes a digest, would be another. Calls come one at a time.
type Device interface {
	// Public is the suite's encoding of the public key.
	Public() []byte
	// Sign is the suite's signature over msg.
	Sign(msg []byte) ([]byte, error)
	// Close lets go of the device.
	Close() error
}

// DeviceKey is a node's key in a device. Safe for concurrent use; the device is asked one signature at a time.
type DeviceKey struct {
	suite  crypto.Suite
	public crypto.PublicKey // set before NewDeviceKey returns, then constant
	open   func() (Device, error)

	mu     sync.Mutex
	device Device // nil after it failed
	fault  error
}

// NewDeviceKey opens a device, which must hold the key whose public half is public (nil: any key of the suite), and lets it sign once. open is called again by
// Recover.
func NewDeviceKey(suite crypto.Suite, public crypto.PublicKey, open func() (Device, error)) (*DeviceKey, error) {
	k := &DeviceKey{suite: suite, public: public, open: open, fault: ErrDevice}
	if err := k.Recover(); err != nil {
		return nil, err
	}
	return k, nil
}

// Public implements crypto.PrivateKey.
func (k *DeviceKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.PrivateKey. A device that fails is let go, and every call fails with ErrDevice until Recover: who votes must know that it does not.
func (k *DeviceKey) Sign(msg []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.device == nil {
		return nil, k.fault
	}
	sig, err := k.sign(k.device, msg)
	if err != nil {
		k.fault = err
		err = errors.Join(err, k.device.Close())
		k.device = nil
		return nil, err
	}
	return sig, nil
}

// Recover opens the device again if it has failed and makes sure that it signs. An error leaves things as they are.
func (k *DeviceKey) Recover() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.device != nil {
		return nil
	}
	d, err := k.open()
	if err != nil {
		return err
	}
	if k.public == nil {
		if k.public, err = k.suite.ParsePublicKey(d.Public()); err != nil {
			return errors.Join(fmt.Errorf("%w: its key is none of suite %q: %w", ErrDevice, k.suite.Name(), err), d.Close())
		}
	}
	if string(d.Public()) != string(k.public.Bytes()) {
		return errors.Join(fmt.Errorf("%w: it holds another key than the one in node.key", ErrDevice), d.Close())
	}
	if _, err := k.sign(d, probe); err != nil {
		return errors.Join(err, d.Close())
	}
	k.device, k.fault = d, nil
	return nil
}

// Check has the device sign once, so that its absence is noticed before it matters. A failure is one of Sign's.
func (k *DeviceKey) Check() error {
	_, err := k.Sign(probe)
	return err
}

// Close lets go of the device; the key signs no more.
func (k *DeviceKey) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.device == nil {
		return nil
	}
	d := k.device
	k.device, k.fault = nil, fmt.Errorf("%w: it was closed", ErrDevice)
	return d.Close()
}

// probe is signed to see whether a device works. It can be no message of a chain: those begin with their own words.
var probe = []byte("jialing: does this device sign?")

// sign holds the device to its word: what does not verify must not reach other nodes, who would think this one malicious.
func (k *DeviceKey) sign(d Device, msg []byte) ([]byte, error) {
	sig, err := d.Sign(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDevice, err)
	}
	if err := k.public.Verify(msg, sig); err != nil {
		return nil, fmt.Errorf("%w: its signature does not verify under its own public key", ErrDevice)
	}
	return sig, nil
}
