package network

import (
	"net/netip"
	"strings"
)

// HostState is everything that one network agent has to make real on its host:
// computed by control from the database, taken whole by the agent. What is not
// in it and yet is on the host is removed.
type HostState struct {
	Networks []HostNetwork `json:"networks"`
	Ports    []HostPort    `json:"ports"`
	Routers  []HostRouter  `json:"routers"`
	// Waiting are the ports that control does not know to be wired.
	Waiting []string `json:"waiting,omitempty"`
	// Groups are the rules of security groups by the groups' ids. A group of a
	// thousand members stands here once, and not with each of its ports.
	Groups map[string][]SecurityRule `json:"groups,omitempty"`
}

// Expand gives each port the rules of its groups. Ports with the same groups
// share them: they are not to be changed.
func (s *HostState) Expand() {
	shared := map[string][]SecurityRule{}
	for i := range s.Ports {
		p := &s.Ports[i]
		if len(p.Groups) == 0 {
			continue
		}
		key := strings.Join(p.Groups, " ")
		rules, ok := shared[key]
		if !ok {
			for _, id := range p.Groups {
				rules = append(rules, s.Groups[id]...)
			}
			shared[key] = rules
		}
		p.Rules = rules
	}
}

// HostNetwork is one layer-2 network that has a port, a router leg or DHCP here.
type HostNetwork struct {
	ID   string `json:"id"`
	MTU  int    `json:"mtu"`
	Type string `json:"type"` // provider:network_type: "local", "flat" or "vlan"
	// Physical is provider:physical_network of a flat or VLAN network: configuration
	// names what is behind it. Segmentation is the id of a VLAN.
	Physical     string       `json:"physical,omitempty"`
	Segmentation int          `json:"segmentation,omitempty"`
	Subnets      []HostSubnet `json:"subnets"`
	// DHCP is set when this host answers DHCP and metadata for the network.
	DHCP *HostDHCP `json:"dhcp,omitempty"`
}

// HostSubnet is what DHCP and guests need to know of a subnet.
type HostSubnet struct {
	ID      string       `json:"id"`
	CIDR    netip.Prefix `json:"cidr"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	DNS     []netip.Addr `json:"dns,omitempty"`
	Routes  []Route      `json:"routes,omitempty"`
	DHCP    bool         `json:"dhcp"`
}

// Route is one static route.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	NextHop     netip.Addr   `json:"nexthop"`
}

// HostDHCP is the DHCP server of a network on this host. It owns a port of its
// own (device_owner network:dhcp), whose addresses it answers from; 169.254.169.254
// in the same namespace is the metadata proxy.
type HostDHCP struct {
	PortID       string         `json:"port_id"`
	MAC          string         `json:"mac"`
	Addresses    []netip.Prefix `json:"addresses"` // with the subnets' lengths
	Reservations []Reservation  `json:"reservations"`
}

// Reservation ties a MAC address to the fixed IPs that DHCP gives it. Device and
// project are for the metadata proxy, which knows a guest by its address.
type Reservation struct {
	PortID    string       `json:"port_id"`
	DeviceID  string       `json:"device_id,omitempty"`
	ProjectID string       `json:"project_id,omitempty"`
	MAC       string       `json:"mac"`
	Hostname  string       `json:"hostname"`
	Addresses []netip.Addr `json:"addresses"`
}

// HostPort is a server's port that is bound to this host. Its device is made by
// the compute agent under the name TapName.
type HostPort struct {
	ID          string       `json:"id"`
	NetworkID   string       `json:"network_id"`
	DeviceID    string       `json:"device_id"`
	DeviceOwner string       `json:"device_owner"`
	MAC         string       `json:"mac"`
	Addresses   []netip.Addr `json:"addresses"`
	// Pairs are further addresses that the port may send from.
	Pairs   []AddressPair `json:"pairs,omitempty"`
	AdminUp bool          `json:"admin_up"`
	// Secured is false when port_security_enabled is: then there is neither
	// filtering nor spoofing protection.
	Secured bool           `json:"secured"`
	Rules   []SecurityRule `json:"rules,omitempty"` // allowed; all else is dropped
	// Groups are the security groups whose rules HostState.Groups has and Expand
	// puts into Rules.
	Groups []string `json:"groups,omitempty"`
}

// AddressPair is one of allowed_address_pairs. MAC empty: the port's own.
type AddressPair struct {
	MAC  string       `json:"mac,omitempty"`
	CIDR netip.Prefix `json:"cidr"`
}

// SecurityRule allows new connections; what belongs to an established or
// related one is always allowed.
type SecurityRule struct {
	Direction string `json:"direction"` // "ingress" (to the guest) or "egress"
	EtherType string `json:"ethertype"` // "IPv4" or "IPv6"
	// Protocol is an IP protocol number, 0: any.
	Protocol int `json:"protocol,omitempty"`
	// Min and Max are ports, or ICMP type and code; nil: any.
	Min *int `json:"min,omitempty"`
	Max *int `json:"max,omitempty"`
	// Remote restricts the other side; empty: any. For a remote group it holds
	// the addresses of the group's members, expanded by control.
	Remote []netip.Prefix `json:"remote,omitempty"`
	// RemoteGroup is true when Remote came from a group: then an empty Remote
	// allows nobody.
	RemoteGroup bool `json:"remote_group,omitempty"`
}

// HostRouter is a router that lives on this host.
type HostRouter struct {
	ID         string        `json:"id"`
	AdminUp    bool          `json:"admin_up"`
	Interfaces []RouterLeg   `json:"interfaces"`
	Gateway    *RouterLeg    `json:"gateway,omitempty"`
	NextHop    netip.Addr    `json:"nexthop,omitzero"` // the gateway's gateway
	SNAT       bool          `json:"snat"`             // masquerade what leaves by the gateway
	Floating   []FloatingNAT `json:"floating,omitempty"`
	Routes     []Route       `json:"routes,omitempty"`
}

// RouterLeg is one interface of a router: a port with device_owner
// network:router_interface or network:router_gateway.
type RouterLeg struct {
	PortID    string         `json:"port_id"`
	NetworkID string         `json:"network_id"`
	MAC       string         `json:"mac"`
	Addresses []netip.Prefix `json:"addresses"`
}

// FloatingNAT maps a floating IP to a fixed one, both ways.
type FloatingNAT struct {
	ID       string     `json:"id"`
	Floating netip.Addr `json:"floating"`
	Fixed    netip.Addr `json:"fixed"`
}

// TapName is the name of the host device behind a port: the convention that
// compute and network agents share with upstream's ("tap" and 11 characters of
// the port's id; IFNAMSIZ leaves 15).
func TapName(portID string) string { return "tap" + portID[:min(11, len(portID))] }
