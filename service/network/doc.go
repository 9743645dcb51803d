// Package network is the vocabulary of the network service: networks, subnets,
// ports, routers, floating IPs and security groups as this service speaks of
// them, the calls that control and agent exchange, and the interfaces that it
// asks of other services in its own words. It does no I/O.
//
// Its rooms: api (HTTP), control (use cases), store (SQL), agent (what runs on a
// host) and dataplane (the drivers that the agent owns).
package network
