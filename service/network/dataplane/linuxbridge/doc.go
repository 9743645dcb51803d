// Package linuxbridge carries packets with what every Linux has: bridges, veth
// pairs, network namespaces, nftables and dnsmasq.
//
// Names are Neutron's, so that an operator's knowledge and tools carry over:
//
//	brq<network>      a network's bridge; a physical network may name its own
//	<interface>.<id>  the tagged end of a physical interface in a VLAN's bridge
//	tap<port>         a guest's device (made by compute), or our end of a leg
//	qdhcp-<network>   namespace of DHCP and metadata, with the leg ns-<port>
//	qrouter-<router>  namespace of a router, with the legs qr-<port>, qg-<port>
//
// (11 characters of an id reach a device's name.) What the driver made carries
// an interface alias that begins with "kilonova"; a device without it is never
// deleted.
//
// # Filters
//
// There is one mechanism for all kernels, those without connection tracking in
// the bridge family included: br_netfilter hands bridged IP packets to the inet
// hooks, where connections are tracked, and chains of the bridge family around
// it add what the inet hooks cannot see, the port. A packet passes in this order:
//
//	bridge prerouting -300  the guest's tap is known: MAC, ARP and IP source are
//	                        held against the port (anti-spoofing, stateless);
//	                        mark := "from port n"
//	inet   prerouting -300  a conntrack zone for each bridge, since networks may
//	                        have the same addresses
//	inet   prerouting -10   mark -> egress rules of the port it comes from
//	bridge forward    -300  the tap that it leaves by is known: mark := "to port m"
//	inet   forward    0     mark -> ingress rules of the port it goes to
//
// Both decisions fall before a connection is confirmed, so that a refused
// packet leaves no state which its answer could use. Packets that the host
// itself routes or sends reach a port by its address instead of a mark; they
// exist only on bridges that have a host address. To and from all other bridges
// the host's own stack is closed.
//
// A connection that the rules no longer allow is not forgotten, for its next
// packet would count as a new one, but marked, and marked ones are dropped.
//
// Rulesets are written as text and given to nft in one transaction each. That is
// slower than netlink from within the process, tens of milliseconds where a
// ruleset is large or the host busy, but what is in the program is what
// "nft list ruleset" shows, and the encoding is the distribution's own care. A
// call that changes nothing runs no program.
//
// # Across restarts
//
// dnsmasq and all else stay when this process ends, and are found again by name.
// The state folder holds dnsmasq's files and the values of the sysctls that were
// changed.
package linuxbridge
