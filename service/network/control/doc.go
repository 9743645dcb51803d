// Package control is the use cases of the network service: it authorizes by the
// policy table, decides, writes in one transaction, and tells the agents whose
// hosts have to change. It also answers what agents ask (serve.go), computes
// what a host has to carry (hoststate.go), spreads routers and DHCP servers over
// agents (schedule.go) and hands events to compute (events.go).
//
// What is HTTP is api's business, what is SQL the store's.
package control
