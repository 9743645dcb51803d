package control

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// parseIP reads an address without a zone that is not an IPv4 address in IPv6
// clothes.
func parseIP(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a, err == nil && a.Zone() == "" && !a.Is4In6()
}

// wish is a port that needs addresses.
type wish struct {
	portID, networkID, mac, owner string
	fixed                         network.Opt[[]network.FixedIPInput]
	had                           []network.FixedIP // before a change
}

// addresses decides which addresses a port gets. Those that it asks for are
// checked; the others are found under the lock of their subnet.
func (c *Control) addresses(ctx context.Context, tx *write, w wish, subnets []network.Subnet) ([]network.FixedIP, error) {
	if w.fixed.Set && !w.fixed.Null {
		return c.wanted(ctx, tx, w, subnets)
	}
	var ips []network.FixedIP
	for _, version := range []int{4, 6} {
		tried, found := false, false
		for _, s := range subnets {
			if s.IPVersion != version || s.Automatic() || !serves(s, w.owner) || found {
				continue
			}
			tried = true
			ip, ok, err := c.free(ctx, tx, s)
			if err != nil {
				return nil, err
			}
			if ok {
				ips, found = append(ips, network.FixedIP{SubnetID: s.ID, IP: ip.String()}), true
			}
		}
		if tried && !found {
			return nil, fault.Conflictf("No more IP addresses available on network %s.", w.networkID).WithCode("IpAddressGenerationFailure")
		}
	}
	return appendAutomatic(ips, w, subnets), nil
}

// serves reports whether a subnet is for ports of a device owner.
func serves(s network.Subnet, owner string) bool {
	return len(s.ServiceTypes) == 0 || slices.Contains(s.ServiceTypes, owner)
}

// appendAutomatic adds the addresses that the guest makes itself.
func appendAutomatic(ips []network.FixedIP, w wish, subnets []network.Subnet) []network.FixedIP {
	if network.IsServicePort(w.owner) {
		return ips
	}
	for _, s := range subnets {
		if !s.Automatic() || slices.ContainsFunc(ips, func(f network.FixedIP) bool { return f.SubnetID == s.ID }) {
			continue
		}
		if a, ok := eui64(netip.MustParsePrefix(s.CIDR), w.mac); ok {
			ips = append(ips, network.FixedIP{SubnetID: s.ID, IP: a.String()})
		}
	}
	return ips
}

// free finds an address of a subnet that nobody has.
func (c *Control) free(ctx context.Context, tx *write, s network.Subnet) (netip.Addr, bool, error) {
	var ranges []store.Range
	for _, p := range s.AllocationPools {
		ranges = append(ranges, store.Range{From: netip.MustParseAddr(p.Start), To: netip.MustParseAddr(p.End)})
	}
	gateway := deref(s.GatewayIP)
	return c.store.TakeAddress(ctx, tx.Tx, s.ID, ranges, func(a netip.Addr) bool { return gateway != "" && a.String() == gateway })
}

// wanted gives a port the addresses that a request names.
func (c *Control) wanted(ctx context.Context, tx *write, w wish, subnets []network.Subnet) ([]network.FixedIP, error) {
	if len(w.fixed.V) > c.options.MaxFixedIPs {
		return nil, badInput("Exceeded maximum amount of fixed ips per port")
	}
	byID := map[string]network.Subnet{}
	for _, s := range subnets {
		byID[s.ID] = s
	}
	ips := []network.FixedIP{}
	has := func(subnetID, ip string) bool {
		return slices.Contains(ips, network.FixedIP{SubnetID: subnetID, IP: ip})
	}
	var open []network.Subnet // any address of these
	for _, f := range w.fixed.V {
		s, ip, err := resolveFixed(f, w, byID, subnets)
		if err != nil {
			return nil, err
		}
		if !ip.IsValid() && s.Automatic() && !network.IsRouterPort(w.owner) {
			if made, ok := eui64(netip.MustParsePrefix(s.CIDR), w.mac); ok {
				ip = made
			}
		}
		if !ip.IsValid() {
			open = append(open, s)
			continue
		}
		if has(s.ID, ip.String()) {
			return nil, invalid("fixed_ips", "Duplicate IP address '%s'", ip)
		}
		taken, err := c.store.AddressTaken(ctx, tx, s.ID, ip, w.portID)
		if err != nil {
			return nil, err
		}
		if taken {
			return nil, fault.Conflictf("Unable to complete operation for network %s. The IP address %s is in use.", w.networkID, ip).WithCode("IpAddressInUse")
		}
		ips = append(ips, network.FixedIP{SubnetID: s.ID, IP: ip.String()})
	}
	for _, s := range open {
		kept := slices.IndexFunc(w.had, func(f network.FixedIP) bool { return f.SubnetID == s.ID && !has(f.SubnetID, f.IP) })
		if kept >= 0 {
			ips = append(ips, w.had[kept])
			continue
		}
		ip, ok, err := c.free(ctx, tx, s)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.Conflictf("No more IP addresses available for subnet %s.", s.ID).WithCode("IpAddressGenerationFailureForSubnet")
		}
		if has(s.ID, ip.String()) {
			return nil, fault.Conflictf("Unable to complete operation for network %s. The IP address %s is in use.", w.networkID, ip).WithCode("IpAddressInUse")
		}
		ips = append(ips, network.FixedIP{SubnetID: s.ID, IP: ip.String()})
	}
	if len(w.fixed.V) > 0 {
		ips = appendAutomatic(ips, w, subnets)
	}
	return ips, nil
}

// resolveFixed finds the subnet that an entry of fixed_ips means, and its address
// if it names one.
func resolveFixed(f network.FixedIPInput, w wish, byID map[string]network.Subnet, subnets []network.Subnet) (s network.Subnet, ip netip.Addr, err error) {
	ipText, subnetID := deref(f.IP), deref(f.SubnetID)
	if ipText == "" && subnetID == "" {
		return s, ip, badInput("IP allocation requires subnet_id or ip_address")
	}
	if ipText != "" {
		var ok bool
		if ip, ok = parseIP(ipText); !ok {
			return s, ip, invalid("fixed_ips", "'%.64s' is not a valid IP address", ipText)
		}
	}
	if subnetID != "" {
		s, known := byID[subnetID]
		if !known {
			return s, ip, badInput("Failed to create port on network %s, because fixed_ips included invalid subnet %.64s", w.networkID, subnetID)
		}
		if ip.IsValid() && !isHost(ip, netip.MustParsePrefix(s.CIDR)) {
			return s, ip, fault.Invalidf("IP address %s is not a valid IP for the specified subnet.", ip).WithCode("InvalidIpForSubnet")
		}
		return s, ip, nil
	}
	for _, s := range subnets {
		if isHost(ip, netip.MustParsePrefix(s.CIDR)) {
			return s, ip, nil
		}
	}
	return s, ip, fault.Invalidf("IP address %s is not a valid IP for any of the subnets on the specified network.", ip).WithCode("InvalidIpForNetwork")
}

// addAutomatic gives the ports of a network addresses of a new subnet from which
// guests make their own.
func (c *Control) addAutomatic(ctx context.Context, tx *write, s network.Subnet) error {
	ports, err := c.store.PortsWhere(ctx, tx, `t.network_id = ? AND t.device_owner NOT LIKE 'network:%'`, s.NetworkID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		a, ok := eui64(netip.MustParsePrefix(s.CIDR), p.MAC)
		if !ok || len(p.FixedIPs) == 0 {
			continue
		}
		ips := append(p.FixedIPs, network.FixedIP{SubnetID: s.ID, IP: a.String()})
		if err := c.store.SetAddresses(ctx, tx.Tx, p.ID, p.NetworkID, ips); err != nil {
			return err
		}
	}
	return nil
}

// baseMAC reads the octets that all MAC addresses begin with: three, or four if
// the fourth is not zero.
func baseMAC(s string) ([]byte, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 {
		return nil, fault.Invalidf("base_mac: %q is no MAC address of one device.", s)
	}
	if hw[3] != 0 {
		return hw[:4], nil
	}
	return hw[:3], nil
}

// newMAC makes a MAC address that nobody on the network has.
func (c *Control) newMAC(ctx context.Context, tx *write, networkID string) (string, error) {
	for range 32 {
		hw := make(net.HardwareAddr, 6)
		rand.Read(hw)
		copy(hw, c.baseMAC)
		taken, err := c.store.MACTaken(ctx, tx, networkID, hw.String())
		if err != nil || !taken {
			return hw.String(), err
		}
	}
	return "", fault.Conflictf("Unable to generate unique mac on network %s.", networkID).WithCode("MacAddressGenerationFailure")
}
