// Package compute holds the compute API to upstream's contract: it calls the
// operations that are there at the first and last version of every shape that
// the contract knows, and validates status and answer against the contract's
// schemas. The contract is test data beside the repository (KILONOVA_CONTRACTS);
// without it the tests are skipped and say so.
package compute
