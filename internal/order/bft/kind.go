package bft

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/jialing-chain/jialing/internal/order"
)

// libraryKinds are the library's messages by the number of their field in its Message.
var libraryKinds = map[protowire.Number]string{2: order.KindPrepare, 3: order.KindCommit, 4: order.KindElection, 5: order.KindElection, 6: order.KindElection,
	7: order.KindHeartbeat, 8: order.KindHeartbeat, 9: order.KindSync, 10: order.KindSync}

// Kind implements order.Kinds.
func (e *Engine) Kind(msg []byte) string {
	if len(msg) == 0 {
		return order.KindOther
	}
	switch msg[0] {
	case frameLibrary:
		if field, _, n := protowire.ConsumeTag(msg[1:]); n > 0 {
			if kind, known := libraryKinds[field]; known {
				return kind
			}
		}
	case framePropose:
		return order.KindProposal
	case frameWaiting, frameAskBody, frameBody, frameAskSigned, frameSigned:
		return order.KindSync
	case frameAskView, frameView, frameAgree, frameNewView:
		return order.KindElection
	}
	return order.KindOther
}
