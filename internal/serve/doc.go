// Package serve is the last stage of the sentence pool → order → execute → attest → store → serve: it carries JSON-RPC over HTTP and
// WebSocket, subscriptions, metrics and health to the outside. What the methods mean is in its child, eth.
//
// It owns the listening sockets, their connections and everything that bounds them: connections, bytes, batch items, requests in flight,
// subscriptions, times. Requests are dispatched by go-ethereum's rpc package, behind a layer of our own that checks the host, answers
// preflights, counts a batch before it is parsed, gives every WebSocket message the same bounded path as an HTTP request, and hands
// frames that only send transactions straight to the pool.
//
// Invariants: nothing that a client sends panics the process or grows memory beyond Config; whoever is refused is told why; a subscriber
// gets every event in order or loses its connection, never a gap; Run returns after every goroutine that it started.
package serve
