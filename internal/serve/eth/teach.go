package eth

import (
	"context"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/jialing-chain/jialing/internal/serve"
)

// Teaching is what a node in teaching mode can be told to do. Safe for concurrent use.
type Teaching interface {
	// Isolate cuts the node off from these peers, by name or public key in hex, and binds it to all others again.
	Isolate(ctx context.Context, peers []string) error
	// Misbehave makes the node lie in that way; "" makes it honest again.
	Misbehave(ctx context.Context, how string) error
}

// TeachingStatus is what a node in teaching mode has been told to do. Its JSON form is jl_nodeStatus's "teaching".
type TeachingStatus struct {
	// Cut are the public keys of the peers that it is cut off from.
	Cut []hexutil.Bytes `json:"cut"`
	// Lie is how it misbehaves; "" when it does not.
	Lie string `json:"lie"`
}

// teachService has what only nodes in teaching mode do.
type teachService struct{ a *API }

// errNoLesson refuses what belongs into a lesson.
var errNoLesson = &serve.Error{Code: serve.CodeInvalidParams,
	Message: "this node gives no lessons: only one whose node.toml has [teaching] enabled = true can be cut off or made to lie"}

// Isolate is jl_isolate(peers).
func (s *teachService) Isolate(ctx context.Context, peers []string) (*TeachingStatus, error) {
	if s.a.teaching == nil {
		return nil, errNoLesson
	}
	if err := s.a.teaching.Isolate(ctx, peers); err != nil {
		return nil, invalidParams("%v", err)
	}
	return s.a.node.Details().Teaching, nil
}

// Misbehave is jl_misbehave(how).
func (s *teachService) Misbehave(ctx context.Context, how string) (*TeachingStatus, error) {
	if s.a.teaching == nil {
		return nil, errNoLesson
	}
	if err := s.a.teaching.Misbehave(ctx, how); err != nil {
		return nil, invalidParams("%v", err)
	}
	return s.a.node.Details().Teaching, nil
}
