package control

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// setPortGroups decides a port's security groups. A new port that names none
// gets its project's default group; the service's own ports have none.
func (c *Control) setPortGroups(ctx context.Context, tx *write, p *network.Port, in network.PortInput) error {
	isNew := p.SecurityGroups == nil
	if isNew {
		p.SecurityGroups = []string{}
	}
	if !isNew && !in.SecurityGroups.Set {
		if !p.PortSecurity && len(p.SecurityGroups) > 0 {
			return securedOnly("Port Security must be enabled in order to have security groups on a port")
		}
		return nil
	}
	if !in.SecurityGroups.Set {
		if !p.PortSecurity || network.IsServicePort(p.DeviceOwner) {
			return nil
		}
		group, err := c.defaultGroup(ctx, tx, p.ProjectID)
		if group != "" {
			p.SecurityGroups = []string{group}
		}
		return err
	}
	groups := slices.Clone(in.SecurityGroups.V)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > 0 && !p.PortSecurity {
		return securedOnly("Port Security must be enabled in order to have security groups on a port")
	}
	if len(groups) > maxGroups {
		return invalid("security_groups", "%d are more than %d", len(groups), maxGroups)
	}
	known, err := c.store.GroupsIn(ctx, tx, p.ProjectID, groups)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if !known[g] {
			return fault.NotFoundf("Security group %.64s does not exist.", g).WithCode("SecurityGroupNotFound")
		}
	}
	if !isNew {
		tx.members(p.SecurityGroups...) // those that it leaves
	}
	p.SecurityGroups = orNone(groups)
	return nil
}

// maxGroups bounds the security groups of a port.
const maxGroups = 64

func securedOnly(text string) error {
	return fault.Conflictf("%s.", text).WithCode("PortSecurityAndIPRequiredForSecurityGroups")
}

// setPortExtras takes address pairs, DHCP options and the DNS name.
func (c *Control) setPortExtras(p *network.Port, in network.PortInput) error {
	if in.Pairs.Set {
		pairs, err := c.checkPairs(in.Pairs.V)
		if err != nil {
			return err
		}
		p.Pairs = pairs
	}
	if len(p.Pairs) > 0 && !p.PortSecurity {
		return fault.Conflictf("Port Security must be enabled in order to have allowed address pairs on a port.").WithCode("AddressPairAndPortSecurityRequired")
	}
	if in.DHCPOptions.Set {
		options, err := mergeDHCPOptions(p.DHCPOptions, in.DHCPOptions.V)
		if err != nil {
			return err
		}
		p.DHCPOptions = options
	}
	if in.DNSName.Set {
		name := strings.TrimSuffix(in.DNSName.Or(""), ".")
		if err := checkDomain("dns_name", name); err != nil {
			return err
		}
		p.DNSName = strings.ToLower(name)
	}
	return nil
}

func (c *Control) checkPairs(in []network.Pair) ([]network.Pair, error) {
	if len(in) > c.options.MaxPairs {
		return nil, fault.Invalidf("The number of allowed address pair exceeds the maximum %d.", c.options.MaxPairs).WithCode("AllowedAddressPairExhausted")
	}
	seen := map[network.Pair]bool{}
	pairs := []network.Pair{}
	for _, pair := range in {
		if pair.IP == "" {
			return nil, fault.Invalidf("AllowedAddressPair must contain ip_address").WithCode("AddressPairMissingIP")
		}
		if _, ok := parseIP(pair.IP); !ok {
			if p, err := netip.ParsePrefix(pair.IP); err != nil || p.Addr().Is4In6() {
				return nil, invalid("allowed_address_pairs", "'%.64s' is neither a valid IP address, nor is it a valid IP subnet", pair.IP)
			}
		}
		if pair.MAC != "" {
			mac, err := checkMAC("allowed_address_pairs", pair.MAC)
			if err != nil {
				return nil, err
			}
			pair.MAC = mac
		}
		if seen[pair] {
			return nil, fault.Invalidf("Request contains duplicate address pair: mac_address %s ip_address %s.", pair.MAC, pair.IP).WithCode("DuplicateAddressPairInRequest")
		}
		seen[pair] = true
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// maxDHCPOptions bounds the options of a port.
const maxDHCPOptions = 64

// mergeDHCPOptions replaces options of the same name; a null value removes one.
func mergeDHCPOptions(had []network.DHCPOption, in []network.DHCPOptionInput) ([]network.DHCPOption, error) {
	out := slices.Clone(had)
	for _, o := range in {
		version := o.IPVersion.Or(4)
		if version != 4 && version != 6 {
			return nil, invalid("extra_dhcp_opts", "'%d' is not in [4, 6]", version)
		}
		if o.Name == "" || len(o.Name) > 64 || strings.ContainsAny(o.Name, " \t\r\n,") {
			return nil, invalid("extra_dhcp_opts", "'%.64s' is no name of an option", o.Name)
		}
		if o.Value != nil && (len(*o.Value) > 255 || strings.ContainsAny(*o.Value, "\r\n\x00")) {
			return nil, invalid("extra_dhcp_opts", "the value of %s has line breaks or more than 255 characters", o.Name)
		}
		out = slices.DeleteFunc(out, func(x network.DHCPOption) bool { return x.Name == o.Name && x.IPVersion == version })
		if o.Value != nil {
			out = append(out, network.DHCPOption{Name: o.Name, Value: o.Value, IPVersion: version})
		}
	}
	if len(out) > maxDHCPOptions {
		return nil, invalid("extra_dhcp_opts", "%d options are more than %d", len(out), maxDHCPOptions)
	}
	return orNone(out), nil
}

// checkMAC returns a MAC address of one device as it is kept: lower case, with
// colons.
func checkMAC(attribute, s string) (string, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 || hw[0]&1 != 0 || hw.String() == "00:00:00:00:00:00" {
		return "", invalid(attribute, "'%.64s' is not a valid MAC address", s)
	}
	return hw.String(), nil
}

// bind gives a port to a host, or takes it back, as a request says.
func (c *Control) bind(ctx context.Context, tx *write, p *network.Port, n network.Network, in network.PortInput) error {
	if in.Profile.Set {
		p.Profile = in.Profile.V
		if p.Profile == nil || in.Profile.Null {
			p.Profile = map[string]any{}
		}
	}
	if in.VNICType.Set {
		if err := checkVNIC("binding:vnic_type", in.VNICType); err != nil {
			return err
		}
		p.VNICType = in.VNICType.Or(network.VNICNormal)
	}
	was := p.Host
	if in.Host.Set {
		p.Host = in.Host.Or("")
	}
	if !in.Host.Set && !in.VNICType.Set && p.VIFType != "" {
		return nil
	}
	switch {
	case p.Host == "":
		p.VIFType, p.Status = network.VIFUnbound, network.Down
	case p.Host == was && p.VIFType == network.VIFBridge && p.VNICType == network.VNICNormal:
		return nil // bound there already
	default:
		p.Status = network.Down
		var err error
		if p.VIFType, err = c.vifType(ctx, tx, p.Host, p.VNICType, n); err != nil {
			return err
		}
		return c.store.DropBinding(ctx, tx.Tx, p.ID, p.Host) // which it uses now
	}
	return nil
}

// vifType is how a host wires a port of a network; VIFFailed: it cannot.
func (c *Control) vifType(ctx context.Context, tx *write, host, vnic string, n network.Network) (string, error) {
	able, err := c.canBind(ctx, tx, host, n)
	if err == nil && able && vnic == network.VNICNormal {
		return network.VIFBridge, nil
	}
	return network.VIFFailed, err
}

func checkVNIC(attribute string, in network.Opt[string]) error {
	if !slices.Contains(vnicTypes, in.Or(network.VNICNormal)) {
		return invalid(attribute, "'%.64s' is not in %v", in.V, vnicTypes)
	}
	return nil
}

// vnicTypes are those that the API knows; only normal ones can be bound here.
var vnicTypes = []string{"normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa", "accelerator-direct", "accelerator-direct-physical", "remote-managed"}

// assignments are the names that DHCP's resolver answers for.
func (c *Control) assignments(p network.Port) []network.DNSAssignment {
	out := make([]network.DNSAssignment, len(p.FixedIPs))
	for i, f := range p.FixedIPs {
		name := c.hostname(p, f.IP)
		fqdn := name + "." + strings.TrimSuffix(c.options.DNSDomain, ".") + "."
		out[i] = network.DNSAssignment{Hostname: name, IP: f.IP, FQDN: fqdn}
	}
	return out
}

// hostname is a port's name, or one made of an address of it.
func (c *Control) hostname(p network.Port, ip string) string {
	if p.DNSName != "" {
		return p.DNSName
	}
	return "host-" + strings.NewReplacer(".", "-", ":", "-").Replace(ip)
}

// protocolNumber reads a protocol's name or number; 0 is any.
func protocolNumber(s string) (int, bool) {
	if s == "" || strings.EqualFold(s, "any") {
		return 0, true
	}
	if n, ok := network.Protocols[strings.ToLower(s)]; ok {
		return n, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n <= 255
}
