package main

// ruleAbstains: a validator that may have forgotten what it signed follows, and says so.
func ruleAbstains(f *facts) []finding {
	return perAnswer(f, func(n *nodeFacts, s *nodeStatus) *finding {
		if s.Abstains == nil {
			return nil
		}
		return &finding{ailing, "abstains", n.name + " signs nothing: it may have forgotten what its key has signed", *s.Abstains,
			"Nothing need be done if its data was restored or copied: it signs again with the first block that is decided more than 20 seconds after its start. See that the other " +
				"validators make blocks, and that no other node has its key. If every validator was started from a copy, see docs/slashing.md."}
	})
}
