// Package conformance runs Ethereum's published state tests through the platform's own execution and commitment. It holds no code but tests;
// the fixtures are not part of the repository: see TestGeneralStateTests.
package conformance
