// Package bus carries messages between the parts of one service: requests with
// an answer, and hints without one. A service declares what its parts exchange
// as Call and Hint values, beside the types of their messages; that is the whole
// contract between them.
//
// Messages are JSON and fields are only ever added. The database is the truth
// and the bus carries hints: whoever is told something must also be able to find
// it out. A request that nobody serves fails at once with fault.Unavailable.
//
// The room owns the wire: NATS, embedded and reached in process by default (no
// listener), or a cluster. What is said over it is the services'.
package bus
