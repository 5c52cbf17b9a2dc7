package eth

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryMethodHasAGroup holds the table to what is served: each method is in exactly one group, and the table names nothing else.
func TestEveryMethodHasAGroup(t *testing.T) {
	served := make(map[string]bool)
	for namespace, services := range new(API).Services() {
		for _, service := range services {
			typ := reflect.TypeOf(service)
			for i := range typ.NumMethod() {
				name := typ.Method(i).Name
				served[namespace+"_"+strings.ToLower(name[:1])+name[1:]] = true
			}
		}
	}
	require.Greater(t, len(served), 70)
	times := make(map[string]int)
	for role, names := range methods {
		for _, name := range names {
			times[name]++
			require.True(t, served[name], "%s of group %s is not served", name, role)
		}
	}
	for name := range served {
		require.Equal(t, 1, times[name], "%s belongs to exactly one group of methods", name)
	}
	for name := range costs {
		require.Equal(t, 1, times[name], "the cost of %s", name)
	}
}
