// Package placement is the vocabulary of the placement service: who provides how
// much of what (resource providers, inventories, traits, aggregates), who uses
// it (consumers and their allocations), and the questions that a scheduler asks
// (request groups in, allocation candidates out).
//
// It has no I/O and asks nothing of other services. The rooms beside it:
//
//	store    the rows: the only truth, and the only place where a claim is decided
//	forest   a picture of all providers in memory, and the search through it
//	control  who may do what, and the use cases
//	api      HTTP
package placement
