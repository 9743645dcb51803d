package dataplane

import (
	"net"
	"net/netip"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// Bounds of what one call may bring. They are far above what an API user can
// ask for and far below what would hurt a host.
const (
	MinID           = 11      // characters of an id that reach a device's name
	MaxID           = 64      // characters
	MaxMTU          = 65535   // bytes
	MaxSubnets      = 1024    // of a network
	MaxReservations = 1 << 16 // of a network: a /16
	MaxRoutes       = 1024    // of a subnet or a router
	MaxAddresses    = 1024    // of a port, a leg or a DHCP server; also pairs, name servers
	MaxRules        = 1 << 14 // of a port
	MaxRemotes      = 1 << 18 // of a port, over all of its rules
	MaxLegs         = 1024    // of a router
	MaxFloating     = 1 << 16 // of a router
)

// CheckNetwork refuses a network that no driver may be asked for, with
// fault.Invalid. Ids and names that pass are safe in file names and in lines of
// configuration.
func CheckNetwork(n network.HostNetwork) error {
	if err := checkID("network", n.ID); err != nil {
		return err
	}
	switch {
	case n.MTU != 0 && (n.MTU < 68 || n.MTU > MaxMTU):
		return fault.Invalidf("The MTU %d of network %s is not between 68 and %d.", n.MTU, n.ID, MaxMTU)
	case n.Type == network.TypeVLAN && (n.Segmentation < network.MinVLAN || n.Segmentation > network.MaxVLAN):
		return fault.Invalidf("The VLAN id %d of network %s is not between %d and %d.", n.Segmentation, n.ID, network.MinVLAN, network.MaxVLAN)
	case len(n.Subnets) > MaxSubnets:
		return fault.Invalidf("Network %s has %d subnets; a host takes %d.", n.ID, len(n.Subnets), MaxSubnets)
	}
	for _, s := range n.Subnets {
		if err := checkSubnet(n.ID, s); err != nil {
			return err
		}
	}
	if n.DHCP == nil {
		return nil
	}
	return checkDHCP(n.ID, *n.DHCP)
}

func checkSubnet(networkID string, s network.HostSubnet) error {
	if err := checkID("subnet", s.ID); err != nil {
		return err
	}
	switch {
	case !s.CIDR.IsValid():
		return fault.Invalidf("Subnet %s of network %s has no CIDR.", s.ID, networkID)
	case s.Gateway.IsValid() && s.Gateway.Is4() != s.CIDR.Addr().Is4():
		return fault.Invalidf("The gateway %s of subnet %s is of another family than %s.", s.Gateway, s.ID, s.CIDR)
	case len(s.DNS) > MaxAddresses:
		return fault.Invalidf("Subnet %s has %d name servers; a host takes %d.", s.ID, len(s.DNS), MaxAddresses)
	}
	for _, a := range s.DNS {
		if !a.IsValid() {
			return fault.Invalidf("Subnet %s has a name server without an address.", s.ID)
		}
	}
	return checkRoutes("subnet", s.ID, s.Routes)
}

func checkDHCP(networkID string, d network.HostDHCP) error {
	if err := checkLeg("DHCP port of network", networkID, d.PortID, d.MAC, d.Addresses); err != nil {
		return err
	}
	if len(d.Reservations) > MaxReservations {
		return fault.Invalidf("Network %s has %d reservations; a host takes %d.",
			networkID, len(d.Reservations), MaxReservations)
	}
	for _, r := range d.Reservations {
		if err := checkMAC("reservation of port", r.PortID, r.MAC); err != nil {
			return err
		}
		if !hostname(r.Hostname) {
			return fault.Invalidf("The host name %q of port %s is not one.", r.Hostname, r.PortID)
		}
		if len(r.Addresses) > MaxAddresses {
			return fault.Invalidf("The reservation of port %s has %d addresses; a host takes %d.",
				r.PortID, len(r.Addresses), MaxAddresses)
		}
		for _, a := range r.Addresses {
			if !plain(a) {
				return fault.Invalidf("The reservation of port %s has no valid address in %q.", r.PortID, a)
			}
		}
	}
	return nil
}

// CheckPort refuses a port that no driver may be asked for, with fault.Invalid.
func CheckPort(p network.HostPort) error {
	if err := checkID("port", p.ID); err != nil {
		return err
	}
	if err := checkID("network", p.NetworkID); err != nil {
		return err
	}
	if err := checkMAC("port", p.ID, p.MAC); err != nil {
		return err
	}
	if len(p.Addresses) > MaxAddresses || len(p.Pairs) > MaxAddresses || len(p.Rules) > MaxRules {
		return fault.Invalidf("Port %s has %d addresses, %d address pairs and %d rules; a host takes %d, %d and %d.",
			p.ID, len(p.Addresses), len(p.Pairs), len(p.Rules), MaxAddresses, MaxAddresses, MaxRules)
	}
	for _, a := range p.Addresses {
		if !plain(a) {
			return fault.Invalidf("Port %s has no valid address in %q.", p.ID, a)
		}
	}
	for _, pair := range p.Pairs {
		if !pair.CIDR.IsValid() {
			return fault.Invalidf("An address pair of port %s has no CIDR.", p.ID)
		}
		if pair.MAC != "" {
			if err := checkMAC("address pair of port", p.ID, pair.MAC); err != nil {
				return err
			}
		}
	}
	remotes := 0
	for _, r := range p.Rules {
		if err := checkRule(p.ID, r); err != nil {
			return err
		}
		if remotes += len(r.Remote); remotes > MaxRemotes {
			return fault.Invalidf("The rules of port %s name more than %d remote prefixes.", p.ID, MaxRemotes)
		}
	}
	return nil
}

func checkRule(portID string, r network.SecurityRule) error {
	if r.Direction != "ingress" && r.Direction != "egress" {
		return fault.Invalidf("A rule of port %s has the direction %q.", portID, r.Direction)
	}
	if r.EtherType != "IPv4" && r.EtherType != "IPv6" {
		return fault.Invalidf("A rule of port %s has the ethertype %q.", portID, r.EtherType)
	}
	if r.Protocol < 0 || r.Protocol > 255 {
		return fault.Invalidf("A rule of port %s has the protocol %d.", portID, r.Protocol)
	}
	for _, p := range r.Remote {
		if !p.IsValid() {
			return fault.Invalidf("A rule of port %s has a remote that is no prefix.", portID)
		}
	}
	if r.Min == nil && r.Max == nil {
		return nil
	}
	low, high, top := 0, 0, 65535
	switch {
	case IsICMP(r.Protocol):
		top = 255
		if r.Min == nil {
			return fault.Invalidf("A rule of port %s has an ICMP code but no type.", portID)
		}
		low = *r.Min
		if r.Max != nil {
			high = *r.Max
		}
	case HasPorts(r.Protocol):
		low, high = PortRange(r)
		if low > high {
			return fault.Invalidf("A rule of port %s has the empty port range %d to %d.", portID, low, high)
		}
	default:
		return fault.Invalidf("A rule of port %s has ports, but protocol %d has none.", portID, r.Protocol)
	}
	if low < 0 || low > top || high < 0 || high > top {
		return fault.Invalidf("A rule of port %s has the range %d to %d; at most %d is possible.", portID, low, high, top)
	}
	return nil
}

// IsICMP tells whether a rule's Min and Max are ICMP type and code.
func IsICMP(protocol int) bool { return protocol == 1 || protocol == 58 }

// HasPorts tells whether packets of the IP protocol have ports: TCP, UDP, DCCP,
// SCTP and UDP-Lite.
func HasPorts(protocol int) bool {
	switch protocol {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

// PortRange returns the ports that a rule allows, both included.
func PortRange(r network.SecurityRule) (low, high int) {
	low, high = 0, 65535
	if r.Min != nil {
		low = *r.Min
	}
	if r.Max != nil {
		high = *r.Max
	}
	return low, high
}

// CheckRouter refuses a router that no driver may be asked for, with
// fault.Invalid.
func CheckRouter(r network.HostRouter) error {
	if err := checkID("router", r.ID); err != nil {
		return err
	}
	if len(r.Interfaces) > MaxLegs || len(r.Floating) > MaxFloating {
		return fault.Invalidf("Router %s has %d interfaces and %d floating IPs; a host takes %d and %d.",
			r.ID, len(r.Interfaces), len(r.Floating), MaxLegs, MaxFloating)
	}
	for _, leg := range r.Interfaces {
		if err := checkRouterLeg(r.ID, leg); err != nil {
			return err
		}
	}
	if r.Gateway != nil {
		if err := checkRouterLeg(r.ID, *r.Gateway); err != nil {
			return err
		}
	} else if len(r.Floating) > 0 {
		return fault.Invalidf("Router %s has floating IPs but no gateway.", r.ID)
	}
	seen := map[netip.Addr]bool{}
	for _, f := range r.Floating {
		if !f.Floating.Is4() || !f.Fixed.Is4() {
			return fault.Invalidf("Floating IP %s of router %s does not join two IPv4 addresses.", f.ID, r.ID)
		}
		if seen[f.Floating] {
			return fault.Invalidf("Router %s has the floating IP %s twice.", r.ID, f.Floating)
		}
		seen[f.Floating] = true
	}
	return checkRoutes("router", r.ID, r.Routes)
}

func checkRouterLeg(routerID string, leg network.RouterLeg) error {
	if err := checkID("network", leg.NetworkID); err != nil {
		return err
	}
	return checkLeg("interface of router", routerID, leg.PortID, leg.MAC, leg.Addresses)
}

func checkLeg(what, id, portID, mac string, addresses []netip.Prefix) error {
	if err := checkID("port", portID); err != nil {
		return err
	}
	if err := checkMAC(what, id, mac); err != nil {
		return err
	}
	if len(addresses) > MaxAddresses {
		return fault.Invalidf("The %s %s has %d addresses; a host takes %d.", what, id, len(addresses), MaxAddresses)
	}
	for _, a := range addresses {
		if !a.IsValid() || !plain(a.Addr()) {
			return fault.Invalidf("The %s %s has no valid address in %q.", what, id, a)
		}
	}
	return nil
}

func checkRoutes(what, id string, routes []network.Route) error {
	if len(routes) > MaxRoutes {
		return fault.Invalidf("The %s %s has %d routes; a host takes %d.", what, id, len(routes), MaxRoutes)
	}
	for _, r := range routes {
		if !r.Destination.IsValid() || !plain(r.NextHop) || r.NextHop.Is4() != r.Destination.Addr().Is4() {
			return fault.Invalidf("The %s %s has a route to %s by %s, which is none.", what, id, r.Destination, r.NextHop)
		}
	}
	return nil
}

func checkID(what, id string) error {
	if len(id) < MinID || len(id) > MaxID {
		return fault.Invalidf("The %s id %q does not have between %d and %d characters.", what, id, MinID, MaxID)
	}
	for _, c := range []byte(id) {
		if !alphanumeric(c) && c != '-' && c != '_' {
			return fault.Invalidf("The %s id %q has a character that is no letter, digit or dash.", what, id)
		}
	}
	return nil
}

func checkMAC(what, id, mac string) error {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 {
		return fault.Invalidf("The %s %s has %q for a MAC address.", what, id, mac)
	}
	return nil
}

// plain tells whether a is the address of one host, without a zone.
func plain(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a.Zone() == "" && !a.Is4In6()
}

// hostname tells whether s is empty or a DNS name.
func hostname(s string) bool {
	if len(s) > 253 {
		return false
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s == "" || alphanumeric(s[0])
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
