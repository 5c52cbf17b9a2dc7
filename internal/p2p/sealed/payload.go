package sealed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/protocol"
)

const (
	// maxField bounds a key and a signature: twice what the suites have.
	maxField = 128
	// maxMuxers and maxMuxerName bound what a peer says of multiplexers: there is one today.
	maxMuxers, maxMuxerName = 4, 32
)

// payload is what the second and third message of a handshake carry, encrypted. Its encoding is three fields, each a length as unsigned varint and so
// many bytes: key, signature, and the names of the multiplexers as such fields in turn. Nothing follows: what changes it changes ProtocolID.
type payload struct {
	key, signature []byte
	muxers         []protocol.ID
}

var errPayload = errors.New("malformed handshake payload")

func (p *payload) encode() []byte {
	var names []byte
	for _, m := range p.muxers {
		names = appendField(names, []byte(m))
	}
	return appendField(appendField(appendField(nil, p.key), p.signature), names)
}

// decodePayload checks form only. What it returns points into b.
func decodePayload(b []byte) (p payload, err error) {
	var names []byte
	if p.key, b, err = takeField(b, maxField); err != nil {
		return p, fmt.Errorf("%w: key: %w", errPayload, err)
	}
	if p.signature, b, err = takeField(b, maxField); err != nil {
		return p, fmt.Errorf("%w: signature: %w", errPayload, err)
	}
	if names, b, err = takeField(b, maxMuxers*(1+maxMuxerName)); err != nil {
		return p, fmt.Errorf("%w: multiplexers: %w", errPayload, err)
	}
	if len(b) > 0 {
		return p, fmt.Errorf("%w: %d bytes after its end", errPayload, len(b))
	}
	for len(names) > 0 {
		var name []byte
		if name, names, err = takeField(names, maxMuxerName); err != nil {
			return p, fmt.Errorf("%w: multiplexers: %w", errPayload, err)
		}
		if len(p.muxers) == maxMuxers {
			return p, fmt.Errorf("%w: more than %d multiplexers", errPayload, maxMuxers)
		}
		p.muxers = append(p.muxers, protocol.ID(name))
	}
	return p, nil
}

func appendField(dst, field []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(field))), field...)
}

func takeField(b []byte, limit int) (field, rest []byte, err error) {
	n, w := binary.Uvarint(b)
	switch {
	case w <= 0:
		return nil, nil, errors.New("no length")
	case w > 1 && n < 1<<(7*(w-1)):
		return nil, nil, errors.New("length is written longer than it has to be")
	case n > uint64(limit):
		return nil, nil, fmt.Errorf("%d bytes, more than %d", n, limit)
	case n > uint64(len(b)-w):
		return nil, nil, errors.New("cut short")
	}
	return b[w : w+int(n)], b[w+int(n):], nil
}
