package serve

import (
	"fmt"
	"slices"
	"strings"
)

// Role is a group of methods. Every method is in exactly one.
type Role uint8

// The roles. Read is what shows the chain, Submit what brings transactions, Admin what changes the node, Debug what re-runs transactions.
const (
	Read Role = iota
	Submit
	Admin
	Debug
	roleCount
)

var roleNames = [roleCount]string{"read", "submit", "admin", "debug"}

// String is the word in node.toml.
func (r Role) String() string { return roleNames[r] }

// Roles is a set.
type Roles uint8

// ParseRoles reads words; an unknown one is an error that lists those that there are.
func ParseRoles(words []string) (Roles, error) {
	var out Roles
	for _, w := range words {
		i := slices.Index(roleNames[:], w)
		if i < 0 {
			return 0, fmt.Errorf("role %q is unknown, use %s", w, strings.Join(roleNames[:], ", "))
		}
		out |= 1 << i
	}
	return out, nil
}

// Has tells whether r is in the set.
func (s Roles) Has(r Role) bool { return s&(1<<r) != 0 }

// Words are the roles by name.
func (s Roles) Words() []string {
	words := []string{}
	for r := range roleCount {
		if s.Has(r) {
			words = append(words, r.String())
		}
	}
	return words
}

// Method is what a call of it takes.
type Method struct {
	Role Role
	// Cost is in units of the rate limit; 0 is 1.
	Cost int
	// Secret methods have parameters that must not be written down, not even as a digest.
	Secret bool
}

// openMethods are those that this package answers itself, or go-ethereum's rpc.
var openMethods = map[string]Method{"rpc_modules": {Role: Read}, "eth_sendRawTransaction": {Role: Submit}}

// method is what a call takes; false when there is no such method, which go-ethereum's rpc then says. One that is served and in no group is an
// administrative one: who forgets to name it closes it.
func (s *Server) method(name string) (Method, bool) {
	if m, ok := s.methods[name]; ok {
		return m, true
	}
	if strings.HasSuffix(name, "_subscribe") || strings.HasSuffix(name, "_unsubscribe") {
		return Method{Role: Read}, true
	}
	return Method{}, false
}

// grouped gives every served method its group.
func grouped(known map[string]bool, groups map[string]Method) map[string]Method {
	out := make(map[string]Method, len(known))
	for name := range known {
		m, ok := groups[name]
		if !ok {
			if m, ok = openMethods[name]; !ok {
				m = Method{Role: Admin, Secret: true}
			}
		}
		m.Cost = max(m.Cost, 1)
		out[name] = m
	}
	return out
}
