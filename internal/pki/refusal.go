package pki

import (
	"errors"
	"fmt"
)

// Reason is why a certificate is refused, as a word for metrics.
type Reason string

// The reasons.
const (
	Missing           Reason = "missing"
	Malformed         Reason = "malformed"
	TooLong           Reason = "too_long"
	WrongSuite        Reason = "wrong_suite"
	WrongKey          Reason = "wrong_key"
	SelfSigned        Reason = "self_signed"
	WrongUsage        Reason = "wrong_usage"
	WrongRole         Reason = "wrong_role"
	WrongOrganisation Reason = "wrong_organisation"
	UnknownRoot       Reason = "unknown_root"
	Altered           Reason = "altered"
	Revoked           Reason = "revoked"
	Expired           Reason = "expired"
	AuthorityExpired  Reason = "authority_expired"
	NotYetValid       Reason = "not_yet_valid"
)

// Reasons are all of them, in no particular order.
var Reasons = []Reason{Missing, Malformed, TooLong, WrongSuite, WrongKey, SelfSigned, WrongUsage, WrongRole, WrongOrganisation, UnknownRoot, Altered, Revoked,
	Expired, AuthorityExpired, NotYetValid}

// OfRegistry tells whether a later state of the chain could make the certificate a good one: a node that does not know the present state cannot be sure.
// An authority that has expired is not among them: its successor has another certificate, and a network in which all have expired must stay apart until
// somebody decides otherwise.
func (r Reason) OfRegistry() bool {
	return r == UnknownRoot || r == WrongOrganisation || r == Altered || r == Revoked
}

// Refusal is why a certificate is not accepted. Its text is a sentence that says what to do.
type Refusal struct {
	Reason Reason
	text   string
}

func (r *Refusal) Error() string { return r.text }

// ReasonOf is the reason of an error of Verify; "" of any other.
func ReasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{reason, fmt.Sprintf(format, args...)}
}
