package bft

import (
	"bytes"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"
)

// Contradict makes, of a commit that this engine sends, one to another proposal of the same height and view: what an honest validator never says. For
// lessons, whose sign stands for Host.Sign; the engine does not call it. nil where msg is no commit.
func (e *Engine) Contradict(msg []byte, sign func(msg []byte) ([]byte, error)) ([]byte, error) {
	if len(msg) == 0 || msg[0] != frameLibrary {
		return nil, nil
	}
	m, err := parseLibrary(msg[1:])
	if err != nil {
		return nil, err
	}
	c := m.GetCommit()
	if c.GetSignature() == nil {
		return nil, nil
	}
	h, aux, err := parseHead(c.Signature.Msg)
	if err != nil {
		return nil, err
	}
	h.digest[0] ^= 1
	lie := proto.CloneOf(c)
	lie.Signature.Msg = append(h.encode(), bytes.Clone(aux)...)
	if lie.Signature.Value, err = sign(commitMessage(lie.Signature.Msg)); err != nil {
		return nil, err
	}
	return libraryFrame(&smartbftprotos.Message{Content: &smartbftprotos.Message_Commit{Commit: lie}})
}
