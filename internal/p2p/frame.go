package p2p

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// On every stream, in both directions, bytes travel as frames: a length as unsigned varint and so many bytes.

// errTooLong is returned for a frame that claims more than its purpose allows. Nothing of it was read.
var errTooLong = errors.New("longer than allowed")

// firstPiece is what is allocated on a claim alone. The rest grows with what has arrived, so that a claim of a gigabyte costs its sender a
// gigabyte before it costs the reader as much.
const firstPiece = 64 << 10

// readBuffer is each inbound stream's: large enough that small messages cost few reads, small enough for a hundred peers with ten streams each.
const readBuffer = 8 << 10

// appendFrame appends msg as a frame.
func appendFrame(dst, msg []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(msg))), msg...)
}

// frameHead is what stands before a message of n bytes.
func frameHead(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

// readFrame reads a frame of at most limit bytes. io.EOF is returned only between frames; within one it is io.ErrUnexpectedEOF.
func readFrame(r *bufio.Reader, limit int) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(limit) {
		return nil, fmt.Errorf("frame of %d bytes: %w: %d", n, errTooLong, limit)
	}
	msg := make([]byte, min(int(n), firstPiece))
	if err := readFull(r, msg); err != nil {
		return nil, err
	}
	for len(msg) < int(n) {
		have := len(msg)
		grown := make([]byte, min(int(n), 2*have))
		copy(grown, msg)
		if err := readFull(r, grown[have:]); err != nil {
			return nil, err
		}
		msg = grown
	}
	return msg, nil
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) && len(b) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}
