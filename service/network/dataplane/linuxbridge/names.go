package linuxbridge

import (
	"path/filepath"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// short is the part of an id that fits into a device's name.
func short(id string) string { return id[:min(11, len(id))] }

func bridgeName(networkID string) string     { return "brq" + short(networkID) }
func dhcpLegName(portID string) string       { return "ns-" + short(portID) }
func routerLegName(portID string) string     { return "qr-" + short(portID) }
func gatewayLegName(portID string) string    { return "qg-" + short(portID) }
func dhcpNamespace(networkID string) string  { return "qdhcp-" + networkID }
func routerNamespace(routerID string) string { return "qrouter-" + routerID }

// Aliases say what a device is and whose.
const (
	aliasNetwork  = "kilonova network "  // + network id: a bridge that we made
	aliasBorrowed = "kilonova borrowed " // + network id + " " + the alias it had: an operator's bridge
	aliasVLAN     = "kilonova vlan "     // + network id: its tagged end of a physical interface
	aliasDHCP     = "kilonova dhcp "     // + network id: our end of a leg
	aliasRouter   = "kilonova router "   // + router id: our end of a leg
)

// ours tells whether a device carries one of our aliases.
func ours(alias string) bool { return strings.HasPrefix(alias, "kilonova ") }

// bridgeNetwork reads a network's id from a bridge's alias.
func bridgeNetwork(alias string) (id string, ok bool) {
	if id, ok = strings.CutPrefix(alias, aliasNetwork); ok {
		return id, true
	}
	if id, ok = strings.CutPrefix(alias, aliasBorrowed); ok {
		id, _, _ = strings.Cut(id, " ")
	}
	return id, ok
}

// guestDevice tells whether a device's name is that of a port.
func guestDevice(name string) bool {
	return len(name) == len(network.TapName("12345678901")) && strings.HasPrefix(name, "tap")
}

// dhcpDir is where a network's dnsmasq has its files.
func (d *Driver) dhcpDir(networkID string) string {
	return filepath.Join(d.cfg.StateDir, "dhcp", networkID)
}

func checkPhysical(physical map[string]Physical) error {
	seen := map[string]string{}
	for name, p := range physical {
		if p.Bridge == "" && p.Interface == "" {
			return fault.Invalidf("Physical network %q has neither a bridge nor an interface.", name)
		}
		for _, device := range []string{p.Bridge, p.Interface} {
			if device == "" {
				continue
			}
			if !deviceName(device) {
				return fault.Invalidf("The device %q of physical network %q is not a device's name.", device, name)
			}
			if other, taken := seen[device]; taken {
				return fault.Invalidf("The device %s belongs to both physical network %q and %q.", device, name, other)
			}
			seen[device] = name
		}
		for _, a := range p.Address {
			if !a.IsValid() {
				return fault.Invalidf("Physical network %q has an address that is none.", name)
			}
		}
		if p.Bridge == "" && len(p.Address) > 0 {
			return fault.Invalidf("The host is to have an address on physical network %q, but its bridge has no name.", name)
		}
		if p.Masquerade && len(p.Address) == 0 {
			return fault.Invalidf("Physical network %q is to be masqueraded but the host has no address on it.", name)
		}
	}
	return nil
}

// deviceName tells whether s can name a device and stand in a ruleset.
func deviceName(s string) bool {
	return len(s) > 0 && len(s) <= 15 && plainName(s)
}

func domainName(s string) bool { return len(s) <= 253 && plainName(s) }

func plainName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-'
}
