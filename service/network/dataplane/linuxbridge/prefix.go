package linuxbridge

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// family returns the prefixes of one family, sorted, masked, and without those
// that another contains: an interval set of nft refuses an overlap.
func family(all []netip.Prefix, v4 bool) []netip.Prefix {
	var some []netip.Prefix
	for _, p := range all {
		if p.Addr().Is4() == v4 {
			some = append(some, p.Masked())
		}
	}
	slices.SortFunc(some, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	kept := some[:0]
	for _, p := range some {
		if len(kept) == 0 || !kept[len(kept)-1].Contains(p.Addr()) {
			kept = append(kept, p)
		}
	}
	return kept
}

// prefixes writes an nft set of prefixes of one family.
func prefixes(all []netip.Prefix) string {
	if len(all) == 0 {
		return "{ }"
	}
	texts := make([]string, 0, len(all))
	for _, p := range family(all, all[0].Addr().Is4()) {
		texts = append(texts, prefixText(p))
	}
	return "{ " + strings.Join(texts, ", ") + " }"
}

// prefixText writes a prefix as nft lists it.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// linkLocal returns the IPv6 address that a guest derives from its MAC address.
func linkLocal(mac string) netip.Prefix {
	hw := hardwareAddr(mac)
	if len(hw) != 6 {
		return netip.PrefixFrom(netip.IPv6LinkLocalAllNodes(), 128)
	}
	a := [16]byte{0: 0xfe, 1: 0x80, 8: hw[0] ^ 2, 9: hw[1], 10: hw[2], 11: 0xff, 12: 0xfe, 13: hw[3], 14: hw[4], 15: hw[5]}
	return netip.PrefixFrom(netip.AddrFrom16(a), 128)
}
