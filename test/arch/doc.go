// Package arch holds the rules of the repository as tests: who may import whom, what a package and a file must look like, what must not stand
// in tracked files.
//
// It stands outside the sentence pool → order → execute → attest → store → serve and owns nothing. The rules are functions on plain values, so
// that they are shown to fail on made-up ones; TestRepository applies them to the real ones.
package arch
