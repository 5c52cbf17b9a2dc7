package execute

// Precompiles are the contracts of a chain of that suite and hash.
var Precompiles = precompiles
