package sm2

import (
	"bytes"
	"errors"
	"fmt"
)

// ErrSignature is wrapped by every refusal of a signature's form.
var ErrSignature = errors.New("not an SM2 signature")

const (
	derSequence = 0x30
	derInteger  = 0x02
	// maxDER is two integers of 33 bytes, a zero before each whose first bit is set, and three headers of two bytes. So every length is one byte.
	maxDER = 2 + 2*(2+33)
)

// order is n, that of the group (GB/T 32918.5), big-endian.
var order = [32]byte{0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0x72, 0x03, 0xdf, 0x6b, 0x21, 0xc6, 0x05, 0x2b, 0x53, 0xbb, 0xf4, 0x09, 0x39, 0xd5, 0x41, 0x23}

// EncodeDER is the form that certificates and GM/T 0009 have for r ‖ s: SEQUENCE { r INTEGER, s INTEGER }. It refuses other lengths, and numbers
// outside 1 to n−1.
func EncodeDER(sig []byte) ([]byte, error) {
	if err := checkSignature(sig); err != nil {
		return nil, err
	}
	return appendDER(make([]byte, 0, maxDER), sig), nil
}

// DecodeDER is r ‖ s of EncodeDER's form, and of nothing else: a signature has one DER form. It refuses integers of more bytes than they need, negative
// ones and those outside 1 to n−1, lengths in a longer form, and bytes that follow.
func DecodeDER(der []byte) ([]byte, error) {
	if len(der) < 2 || len(der) > maxDER || der[0] != derSequence || int(der[1]) != len(der)-2 {
		return nil, fmt.Errorf("%w: no DER sequence of %d bytes", ErrSignature, len(der))
	}
	out, rest := make([]byte, SignatureSize), der[2:]
	for i, name := range [2]string{"r", "s"} {
		if len(rest) < 3 || rest[0] != derInteger || int(rest[1]) > len(rest)-2 || rest[1] == 0 {
			return nil, fmt.Errorf("%w: %s is no DER integer", ErrSignature, name)
		}
		var number []byte
		number, rest = rest[2:2+rest[1]], rest[2+rest[1]:]
		switch {
		case number[0]&0x80 != 0:
			return nil, fmt.Errorf("%w: %s is negative", ErrSignature, name)
		case number[0] == 0 && len(number) > 1 && number[1]&0x80 == 0:
			return nil, fmt.Errorf("%w: %s has a zero too many", ErrSignature, name)
		case number[0] == 0:
			number = number[1:]
		}
		if len(number) > 32 {
			return nil, fmt.Errorf("%w: %s is longer than 32 bytes", ErrSignature, name)
		}
		copy(out[32*(i+1)-len(number):], number)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow s", ErrSignature, len(rest))
	}
	if err := checkSignature(out); err != nil {
		return nil, err
	}
	return out, nil
}

// checkSignature tells whether sig has a signature's form.
func checkSignature(sig []byte) error {
	if len(sig) != SignatureSize {
		return fmt.Errorf("%w: it must be %d bytes, got %d", ErrSignature, SignatureSize, len(sig))
	}
	for i, name := range [2]string{"r", "s"} {
		if number := sig[32*i : 32*(i+1)]; bytes.Compare(number, order[:]) >= 0 || [32]byte(number) == [32]byte{} {
			return fmt.Errorf("%w: %s is not within 1 to n-1", ErrSignature, name)
		}
	}
	return nil
}

// appendDER takes what checkSignature lets pass. It stands in every verification, so it allocates nothing where b has room for maxDER.
func appendDER(b, sig []byte) []byte {
	start := len(b)
	b = append(b, derSequence, 0)
	for _, number := range [2][]byte{sig[:32], sig[32:]} {
		for number[0] == 0 {
			number = number[1:]
		}
		if number[0]&0x80 != 0 {
			b = append(b, derInteger, byte(len(number)+1), 0)
		} else {
			b = append(b, derInteger, byte(len(number)))
		}
		b = append(b, number...)
	}
	b[start+1] = byte(len(b) - start - 2)
	return b
}
