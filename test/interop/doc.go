// Package interop holds this platform's SM2, SM3 and SM4-GCM against those of others: gmsm by its own interface, OpenSSL, and sm-crypto and sm-crypto-v2 from npm.
//
// Keys, messages and signatures are drawn anew in each run. Each implementation makes keys, and signs with its own and with the others'; all of them verify
// all of it, and refuse it under another identifier, another message, another key and when altered. Keys change hands as PEM files with OpenSSL, as numbers
// with the rest; signatures as DER and as r ‖ s. It stands outside the node, as a user of internal/crypto and of client.
//
//	go test ./test/interop
//
// The packages come from npm, by the versions of package-lock.json, the first time the tests run. Without npm or OpenSSL the rest is tested, and the test
// of what is absent says so and is skipped.
package interop
