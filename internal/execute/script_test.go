package execute

import "testing"

// FuzzCheckScript: no script makes the check panic or hang, whatever a request brings.
func FuzzCheckScript(f *testing.F) {
	for _, s := range []string{`{fault(){}, result(){}}`, `{a:[1,-2,"x",{b:null}], step: function(l){ this.a.push(l) }}`, `((((`, `{get a(){}}`, "`${", `{a: async () => {}}`, `/(/`} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, script string) {
		_ = checkScript(script)
	})
}
