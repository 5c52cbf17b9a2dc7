package pki

import "slices"

// Role is what a node's organisation lets it be. It stands in the certificate's subject as organisational unit (OU).
type Role string

// The roles.
const (
	// Validator may order and attest blocks where the chain lists it; without it a listed validator is not heard.
	Validator Role = "validator"
	// Full follows the chain and serves clients.
	Full Role = "full"
	// Light reads what it needs, with proofs.
	Light Role = "light"
	// Regulator follows the chain to supervise it.
	Regulator Role = "regulator"
)

// Roles are all of them.
var Roles = []Role{Validator, Full, Light, Regulator}

// Known tells whether the role is one.
func (r Role) Known() bool { return slices.Contains(Roles, r) }
