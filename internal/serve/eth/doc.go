// Package eth gives serve, the last stage of pool → order → execute → attest → store → serve, its methods: the namespaces eth, net, web3,
// txpool and debug as Ethereum's clients know them, and our own, jl.
//
// It owns the recently published blocks, the newest pool hashes and the installed filters, all bounded; everything else it asks of the
// other stages through the interfaces in sources.go.
//
// Invariants: what is answered is durable; quantities, nulls and errors have exactly the shapes that Ethereum's clients expect; a block
// that does not exist yet is null, a state that is no longer kept is an error; as the chain never unwinds, a subscription or filter is a
// position in it and holds no queue, so a subscriber hears every event once and in order, or is dropped aloud.
package eth
