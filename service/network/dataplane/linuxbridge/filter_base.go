package linuxbridge

import (
	"context"
	"fmt"
	"strings"

	"kilonova/internal/fault"
)

// table is the name of our tables, in the families bridge and inet of the host
// and in the family ip of routers.
const table = "kilonova"

// A packet's mark says, in its upper byte, what its lower ones number.
const (
	markKind = 0xff000000
	markFrom = 0x4a000000 // + number of the port that the packet comes from
	markTo   = 0x4b000000 // + number of the port that the bridge forwards it to; 0: no filtered one

	// markRevoked, on a connection: the rules that allowed it are gone.
	markRevoked = 0x4bdead00
)

// baseRules returns the transaction that makes our tables and what is the same
// for all ports. Maps and sets keep their elements.
func (d *Driver) baseRules() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
add table bridge %[1]s
add map bridge %[1]s ports { type ifname : mark; }
add map bridge %[1]s guards { type ifname : verdict; }

add chain bridge %[1]s prerouting { type filter hook prerouting priority -300; policy accept; }
flush chain bridge %[1]s prerouting
add rule bridge %[1]s prerouting iifname vmap @guards

add chain bridge %[1]s forward { type filter hook forward priority -300; policy accept; }
flush chain bridge %[1]s forward
add rule bridge %[1]s forward meta mark set %#[3]x
add rule bridge %[1]s forward meta mark set oifname map @ports

add chain bridge %[1]s output { type filter hook output priority -300; policy accept; }
flush chain bridge %[1]s output
add rule bridge %[1]s output ether type { 0x0800, 0x86dd } meta mark & %#[5]x != %#[3]x meta mark set oifname map @ports drop comment "the host's own, not held against the rules of the port"

add table inet %[1]s
add map inet %[1]s zones { typeof iifname : ct zone; }
add map inet %[1]s from { type mark : verdict; }
add map inet %[1]s to { type mark : verdict; }
add map inet %[1]s hosted { type ifname . ipv4_addr : verdict; }
add set inet %[1]s taps { type ifname; }
add set inet %[1]s isolated { type ifname; }
add set inet %[1]s hosts { type ifname; }
add set inet %[1]s hidden { type ifname . ipv4_addr; flags interval; }
flush set inet %[1]s hidden

add chain inet %[1]s raw { type filter hook prerouting priority -300; policy accept; }
flush chain inet %[1]s raw
add rule inet %[1]s raw iifname @taps drop comment "a guest that is in no bridge speaks to the host"
add rule inet %[1]s raw ct zone set iifname map @zones

add chain inet %[1]s egress { type filter hook prerouting priority -10; policy accept; }
flush chain inet %[1]s egress
add rule inet %[1]s egress meta mark & %#[5]x != %#[2]x accept comment "from no filtered port"
add rule inet %[1]s egress udp sport 67 udp dport 68 drop comment "guests are no DHCP servers"
add rule inet %[1]s egress udp sport 547 udp dport 546 drop
add rule inet %[1]s egress icmpv6 type { nd-router-advert, nd-redirect } drop comment "nor routers"
add rule inet %[1]s egress ct mark %#[4]x drop
add rule inet %[1]s egress ct state established,related accept
add rule inet %[1]s egress meta mark vmap @from
add rule inet %[1]s egress drop

add chain inet %[1]s bridged
flush chain inet %[1]s bridged
add rule inet %[1]s bridged meta mark %#[3]x accept comment "to no filtered port"
add rule inet %[1]s bridged ct mark %#[4]x drop
add rule inet %[1]s bridged ct state established,related accept
add rule inet %[1]s bridged meta mark vmap @to
add rule inet %[1]s bridged drop

add chain inet %[1]s vetted
flush chain inet %[1]s vetted
add rule inet %[1]s vetted ct mark %#[4]x drop
add rule inet %[1]s vetted ct state established,related meta mark set %#[3]x accept
add rule inet %[1]s vetted oifname . ip daddr vmap @hosted

add chain inet %[1]s routed
flush chain inet %[1]s routed
add rule inet %[1]s routed iifname @isolated drop
add rule inet %[1]s routed oifname @isolated drop
add rule inet %[1]s routed oifname @hosts jump vetted
`, table, markFrom, markTo, markRevoked, uint32(markKind))
	if d.forwarding() {
		fmt.Fprintf(&b, "add rule inet %s routed iifname != @hosts oifname != @hosts drop comment \"forwarding was off before us\"\n", table)
	}
	fmt.Fprintf(&b, `
add chain inet %[1]s forward { type filter hook forward priority 0; policy accept; }
flush chain inet %[1]s forward
add rule inet %[1]s forward meta mark & %#[3]x == %#[2]x goto bridged
add rule inet %[1]s forward goto routed

add chain inet %[1]s input { type filter hook input priority 0; policy accept; }
flush chain inet %[1]s input
add rule inet %[1]s input iifname @isolated drop

add chain inet %[1]s output { type filter hook output priority 0; policy accept; }
flush chain inet %[1]s output
add rule inet %[1]s output oifname @isolated drop
add rule inet %[1]s output oifname @hosts jump vetted

add chain inet %[1]s postrouting { type nat hook postrouting priority 100; policy accept; }
flush chain inet %[1]s postrouting
add rule inet %[1]s postrouting meta mark & %#[3]x == %#[2]x accept comment "bridged"
add rule inet %[1]s postrouting iifname . ip saddr @hidden oifname != @hosts masquerade
`, table, markTo, uint32(markKind))
	return b.String()
}

// forwarding tells whether it was the driver that turned on IP forwarding.
func (d *Driver) forwarding() bool {
	changed, err := d.changedSysctls()
	_, ok := changed[ipForward]
	return ok || err != nil
}

// filterBridge puts a network's bridge into the ruleset: with a conntrack zone
// of its own and closed to the host's stack, or, if the host has addresses
// there, in the host's zone.
func (d *Driver) filterBridge(ctx context.Context, bridge string, hosted bool, masquerade []string) error {
	if err := d.sync(ctx); err != nil {
		return err
	}
	f := &d.filters
	applied := fmt.Sprint(hosted, masquerade)
	if f.applied[bridge] == applied {
		if _, zoned := f.zones[bridge]; zoned != hosted {
			return nil
		}
	}
	zone, zoned := f.zones[bridge]
	var b strings.Builder
	switch {
	case hosted:
		if zoned {
			fmt.Fprintf(&b, "delete element inet %s zones { %q : %d }\n", table, bridge, zone)
			fmt.Fprintf(&b, "delete element inet %s isolated { %q }\n", table, bridge)
		}
		fmt.Fprintf(&b, "add element inet %s hosts { %q }\n", table, bridge)
		for _, prefix := range masquerade {
			fmt.Fprintf(&b, "add element inet %s hidden { %q . %s }\n", table, bridge, prefix)
		}
	default:
		fmt.Fprintf(&b, "add element inet %[1]s hosts { %[2]q }\ndelete element inet %[1]s hosts { %[2]q }\n", table, bridge)
		if !zoned {
			if zone = f.freeZone(); zone == 0 {
				return fault.New(fault.OverLimit, "This host has 65535 networks, and with that no conntrack zone for bridge %s.", bridge)
			}
			fmt.Fprintf(&b, "add element inet %s zones { %q : %d }\n", table, bridge, zone)
		}
		fmt.Fprintf(&b, "add element inet %s isolated { %q }\n", table, bridge)
	}
	if err := d.commit(ctx, b.String()); err != nil {
		return err
	}
	if hosted {
		delete(f.zones, bridge)
	} else {
		f.zones[bridge] = zone
	}
	f.applied[bridge] = applied
	return nil
}

// unfilterBridge takes a bridge out of the ruleset.
func (d *Driver) unfilterBridge(ctx context.Context, bridge string, masquerade []string) error {
	if err := d.look(ctx); err != nil || !d.filters.present {
		return err
	}
	f := &d.filters
	var b strings.Builder
	// Added first, because deleting what is not there would fail the whole.
	for _, set := range []string{"isolated", "hosts"} {
		fmt.Fprintf(&b, "add element inet %[1]s %[2]s { %[3]q }\ndelete element inet %[1]s %[2]s { %[3]q }\n", table, set, bridge)
	}
	for _, prefix := range masquerade {
		fmt.Fprintf(&b, "add element inet %[1]s hidden { %[2]q . %[3]s }\ndelete element inet %[1]s hidden { %[2]q . %[3]s }\n",
			table, bridge, prefix)
	}
	if zone, ok := f.zones[bridge]; ok {
		fmt.Fprintf(&b, "delete element inet %s zones { %q : %d }\n", table, bridge, zone)
	}
	if err := d.commit(ctx, b.String()); err != nil {
		return err
	}
	delete(f.zones, bridge)
	delete(f.applied, bridge)
	return nil
}

func (f *filters) freeZone() uint16 {
	taken := map[uint16]bool{}
	for _, zone := range f.zones {
		taken[zone] = true
	}
	for zone := uint16(1); zone != 0; zone++ {
		if !taken[zone] {
			return zone
		}
	}
	return 0
}

// dropTables removes all of the host's rules.
func (d *Driver) dropTables(ctx context.Context) error {
	if err := d.look(ctx); err != nil {
		return err
	}
	text := fmt.Sprintf("add table bridge %[1]s\ndelete table bridge %[1]s\nadd table inet %[1]s\ndelete table inet %[1]s\n", table)
	err := d.commit(ctx, text)
	d.filters = newFilters()
	return err
}
