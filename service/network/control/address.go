package control

import (
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// parseCIDR reads a prefix. Host bits may be set; they are dropped, as Neutron does.
func parseCIDR(attribute, s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Is4In6() {
		return p, invalid(attribute, "'%.64s' is not a valid IP subnet", s)
	}
	return p.Masked(), nil
}

// lastOf is the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}

// isHost reports whether an address of a prefix may belong to a host: neither the
// network's own nor, with IPv4, that for broadcasts. In the smallest prefixes all do.
func isHost(a netip.Addr, p netip.Prefix) bool {
	if !p.Contains(a) {
		return false
	}
	if p.Bits() >= p.Addr().BitLen()-1 {
		return true
	}
	return a != p.Addr() && (a.Is6() || a != lastOf(p))
}

// hosts is the range of host addresses of a prefix.
func hosts(p netip.Prefix) (from, to netip.Addr) {
	from, to = p.Addr(), lastOf(p)
	if p.Bits() < p.Addr().BitLen()-1 {
		from = from.Next()
		if p.Addr().Is4() {
			to = to.Prev()
		}
	}
	return from, to
}

// defaultPools is all of a subnet but its gateway.
func defaultPools(s network.Subnet, cidr netip.Prefix) []network.Pool {
	from, to := hosts(cidr)
	if s.GatewayIP == nil {
		return []network.Pool{{Start: from.String(), End: to.String()}}
	}
	gateway := netip.MustParseAddr(*s.GatewayIP)
	if gateway.Compare(from) < 0 || gateway.Compare(to) > 0 {
		return []network.Pool{{Start: from.String(), End: to.String()}}
	}
	pools := []network.Pool{}
	if gateway != from {
		pools = append(pools, network.Pool{Start: from.String(), End: gateway.Prev().String()})
	}
	if gateway != to {
		pools = append(pools, network.Pool{Start: gateway.Next().String(), End: to.String()})
	}
	return pools
}

// maxPools bounds the allocation pools of a subnet.
const maxPools = 256

// checkPools refuses pools that are not in the subnet or overlap.
func checkPools(pools []network.Pool, cidr netip.Prefix) ([]network.Pool, error) {
	if len(pools) > maxPools {
		return nil, invalid("allocation_pools", "%d pools are more than %d", len(pools), maxPools)
	}
	type span struct{ from, to netip.Addr }
	var spans []span
	first, last := hosts(cidr)
	out := []network.Pool{}
	for _, p := range pools {
		from, errFrom := netip.ParseAddr(p.Start)
		to, errTo := netip.ParseAddr(p.End)
		if errFrom != nil || errTo != nil || from.Zone() != "" || to.Zone() != "" {
			return nil, invalid("allocation_pools", "'%.64s-%.64s' is no range of IP addresses", p.Start, p.End)
		}
		if from.Is4() != cidr.Addr().Is4() || to.Is4() != cidr.Addr().Is4() || from.Compare(to) > 0 {
			return nil, fault.Invalidf("The allocation pool %s-%s is not valid.", from, to).WithCode("InvalidAllocationPool")
		}
		if from.Compare(first) < 0 || to.Compare(last) > 0 {
			return nil, fault.Invalidf("The allocation pool %s-%s spans beyond the subnet cidr %s.", from, to, cidr).WithCode("OutOfBoundsAllocationPool")
		}
		spans = append(spans, span{from, to})
		out = append(out, network.Pool{Start: from.String(), End: to.String()})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from.Compare(spans[i-1].to) <= 0 {
			return nil, fault.Conflictf("Found overlapping allocation pools: %s-%s %s-%s for subnet %s.",
				spans[i-1].from, spans[i-1].to, spans[i].from, spans[i].to, cidr).WithCode("OverlappingAllocationPools")
		}
	}
	return out, nil
}

func within(a netip.Addr, p network.Pool) bool {
	from, to := netip.MustParseAddr(p.Start), netip.MustParseAddr(p.End)
	return a.Is4() == from.Is4() && a.Compare(from) >= 0 && a.Compare(to) <= 0
}

// checkRoutes refuses routes that are none, and the same twice.
func checkRoutes(attribute string, routes []network.RouteEntry) error {
	seen := map[network.RouteEntry]bool{}
	for i, r := range routes {
		if r.Destination == "" || r.NextHop == "" {
			return invalid(attribute, "Invalid data format for hostroute: both 'destination' and 'nexthop' are needed")
		}
		dst, err := parseCIDR(attribute, r.Destination)
		if err != nil {
			return err
		}
		hop, err := netip.ParseAddr(r.NextHop)
		if err != nil || hop.Zone() != "" {
			return invalid(attribute, "'%.64s' is not a valid IP address", r.NextHop)
		}
		if dst.Addr().Is4() != hop.Is4() {
			return invalid(attribute, "the next hop %s is of another IP version than %s", hop, dst)
		}
		routes[i] = network.RouteEntry{Destination: dst.String(), NextHop: hop.String()}
		if seen[routes[i]] {
			return invalid(attribute, "Duplicate hostroute '%s via %s'", dst, hop)
		}
		seen[routes[i]] = true
	}
	return nil
}

// eui64 is the address that a guest makes itself from prefix and MAC address
// (RFC 4291, appendix A).
func eui64(p netip.Prefix, mac string) (netip.Addr, bool) {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 || !p.Addr().Is6() {
		return netip.Addr{}, false
	}
	b := p.Addr().As16()
	copy(b[8:], []byte{hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]})
	return netip.AddrFrom16(b), true
}

// availability adds up the addresses of networks.
func availability(networks []network.Network, subnets []network.Subnet, use map[string]int, version int) []network.Availability {
	byNetwork := map[string][]network.Subnet{}
	for _, s := range subnets {
		byNetwork[s.NetworkID] = append(byNetwork[s.NetworkID], s)
	}
	out := make([]network.Availability, 0, len(networks))
	for _, n := range networks {
		a := network.Availability{NetworkID: n.ID, NetworkName: n.Name, Owner: n.Owner, Total: network.Count{Int: new(big.Int)},
			Subnets: []network.SubnetAvailability{}}
		for _, s := range byNetwork[n.ID] {
			if version != 0 && s.IPVersion != version {
				continue
			}
			total := new(big.Int)
			for _, p := range s.AllocationPools {
				total.Add(total, size(p))
			}
			a.Total.Add(a.Total.Int, total)
			a.Used += use[s.ID]
			a.Subnets = append(a.Subnets, network.SubnetAvailability{SubnetID: s.ID, SubnetName: s.Name, IPVersion: s.IPVersion, CIDR: s.CIDR,
				Total: network.Count{Int: total}, Used: use[s.ID]})
		}
		if version == 0 || len(a.Subnets) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// size counts the addresses of a pool.
func size(p network.Pool) *big.Int {
	from, to := netip.MustParseAddr(p.Start), netip.MustParseAddr(p.End)
	n := new(big.Int).Sub(new(big.Int).SetBytes(to.AsSlice()), new(big.Int).SetBytes(from.AsSlice()))
	return n.Add(n, big.NewInt(1))
}

// checkDomain refuses what is no DNS domain; "" is none.
func checkDomain(attribute, s string) error {
	if s == "" {
		return nil
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if !dnsLabel(label) {
			return invalid(attribute, "'%.64s' not a valid PQDN or FQDN", s)
		}
	}
	return nil
}

func dnsLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, b := range []byte(s) {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}
