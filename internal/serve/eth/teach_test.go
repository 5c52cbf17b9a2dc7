package eth

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jialing-chain/jialing/internal/serve"
)

type refusingTeacher struct{ err error }

func (r refusingTeacher) Isolate(context.Context, []string) error { return r.err }
func (r refusingTeacher) Misbehave(context.Context, string) error { return r.err }

// TestNoLessons: a node that is not in teaching mode refuses both methods, and says how it would be; what a teacher refuses is the caller's fault.
func TestNoLessons(t *testing.T) {
	for _, c := range []struct {
		api  *API
		want string
	}{
		{&API{}, "[teaching] enabled = true"},
		{&API{teaching: refusingTeacher{errors.New("no way to lie")}}, "no way to lie"},
	} {
		s := &teachService{c.api}
		_, isolate := s.Isolate(context.Background(), []string{"node2"})
		_, misbehave := s.Misbehave(context.Background(), "silent")
		for _, err := range []error{isolate, misbehave} {
			var coded *serve.Error
			require.ErrorAs(t, err, &coded)
			require.Equal(t, serve.CodeInvalidParams, coded.Code)
			require.Contains(t, coded.Message, c.want)
		}
	}
	require.Equal(t, serve.Debug, Methods()["jl_isolate"].Role)
	require.Equal(t, serve.Debug, Methods()["jl_misbehave"].Role)
}
