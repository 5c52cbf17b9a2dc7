package order

// Kinds is an engine that can tell what its messages are. Safe for concurrent use.
type Kinds interface {
	// Kind says in one word what a message between engines is. It looks at the beginning only, trusts nothing, and has few words: they become labels.
	Kind(msg []byte) string
}

// The words that engines share. An engine may have others.
const (
	// KindProposal brings what is to be decided.
	KindProposal = "proposal"
	// KindPrepare and KindCommit are the two rounds of votes of engines whose validators may lie; KindAck is the one vote of those whose do not.
	KindPrepare = "prepare"
	KindCommit  = "commit"
	KindAck     = "ack"
	// KindElection is about who leads.
	KindElection  = "election"
	KindHeartbeat = "heartbeat"
	// KindSync helps one who has missed something.
	KindSync  = "sync"
	KindOther = "other"
)
