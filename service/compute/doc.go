// Package compute is the vocabulary of the compute service: servers and their
// states, flavors, keypairs, hosts, the calls that control and agent exchange
// (calls.go), and the interfaces that it asks of other services in its own words
// (neighbours.go). It does no I/O.
//
// Its rooms: api (HTTP), control (use cases and durable work), store (SQL),
// schedule (which host), agent (what runs on a hypervisor host), hypervisor (the
// drivers that the agent owns), metadata (what a guest reads), remote (the
// neighbours over REST).
package compute
