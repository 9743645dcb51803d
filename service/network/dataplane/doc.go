// Package dataplane is the contract between the network agent and what carries
// packets on one host: bridges, namespaces, DHCP, filters, NAT.
//
// It decides nothing: what has to be there comes whole from control as
// network.HostState, and a driver makes it so and says what it finds. What no
// driver may take at all is refused in one place, CheckNetwork, CheckPort and
// CheckRouter. The drivers are the folders below; dataplanetest is their law.
package dataplane
