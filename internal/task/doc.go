// Package task is durable work: a row that says what has to be done, written in
// the transaction that makes it necessary, taken under a lease by any process
// that knows its kind, and gone only when it is done.
//
// A handler runs from the task's step on and must be able to run again: after a
// crash, after its lease was lost, after an error. What it has achieved it
// notes with Run.Save. Tasks with one subject run one at a time, in the order in
// which they were added; others run side by side.
//
// The table is part of the service's own database (Migrate adds it). The room
// owns taking, leases, retries and order; what a kind means is its service's.
package task
