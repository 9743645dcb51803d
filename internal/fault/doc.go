// Package fault is how a failure is told: a kind, a sentence for the caller and
// the chain of causes for the log.
//
// A fault is made where the fact is known, wrapped with %w on the way up, turned
// into an HTTP status in one table and into a service's own envelope in one
// function, both in internal/rest; service/*/remote reads the same table
// backwards. An error without a kind is a bug or an accident: the caller sees
// 500 and a request id, the log sees the chain.
package fault
