package eth

import "time"

// CertificateStatus is what a node knows of its certificate, on a chain whose organisations certify nodes.
type CertificateStatus struct {
	// File is where it is looked for. Problem says why others do not accept it; "" when they do.
	File, Problem string
	// What it says; empty without one.
	Organisation, Role, Name, Serial string
	// NotAfter is its own end, Until when the first of those that it rests on ends.
	NotAfter, Until time.Time
	// Authorities are those that the chain has registered.
	Authorities []AuthorityStatus
	// Rescue is until when expired certificates are taken, RescueReason why; zero where none are.
	Rescue       time.Time
	RescueReason string
}

// AuthorityStatus is a registered certificate of an organisation.
type AuthorityStatus struct {
	Organisation, Name string
	Root               bool
	NotAfter           time.Time
}

// identityJSON is part of jl_nodeStatus: times are Unix milliseconds, null where there is none.
type identityJSON struct {
	File         string          `json:"file"`
	Problem      *string         `json:"problem"`
	Organisation string          `json:"organisation"`
	Role         string          `json:"role"`
	Name         string          `json:"name"`
	Serial       string          `json:"serial"`
	NotAfter     *int64          `json:"notAfter"`
	Until        *int64          `json:"until"`
	Authorities  []authorityJSON `json:"authorities"`
	Rescue       *int64          `json:"rescue"`
	RescueReason string          `json:"rescueReason"`
}

type authorityJSON struct {
	Organisation string `json:"organisation"`
	Name         string `json:"name"`
	Root         bool   `json:"root"`
	NotAfter     int64  `json:"notAfter"`
}

// certificateView is nil on a chain that lets everybody in.
func certificateView(s *CertificateStatus) *identityJSON {
	if s == nil {
		return nil
	}
	out := &identityJSON{File: s.File, Organisation: s.Organisation, Role: s.Role, Name: s.Name, Serial: s.Serial, NotAfter: moment(s.NotAfter),
		Until: moment(s.Until), Authorities: make([]authorityJSON, len(s.Authorities)), Rescue: moment(s.Rescue), RescueReason: s.RescueReason}
	if s.Problem != "" {
		out.Problem = &s.Problem
	}
	for i, a := range s.Authorities {
		out.Authorities[i] = authorityJSON{a.Organisation, a.Name, a.Root, a.NotAfter.UnixMilli()}
	}
	return out
}
