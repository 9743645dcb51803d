package linuxbridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	anywhere4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	anywhere6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// route is a static route. device is 0 where the next hop tells it; otherwise
// the next hop need not be in a subnet of the device.
type route struct {
	to     netip.Prefix
	via    netip.Addr
	device int
}

// ensureRoutes gives the main table exactly these static routes. One that
// cannot be added does not keep the others away.
func ensureRoutes(nl *netlink.Handle, want []route) error {
	list, err := nl.RouteListFiltered(netlink.FAMILY_ALL,
		&netlink.Route{Protocol: unix.RTPROT_STATIC, Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	missing := map[netip.Prefix]route{}
	for _, r := range want {
		r.to = r.to.Masked()
		missing[r.to] = r
	}
	for _, r := range list {
		to, via := routeEnds(r)
		if w, wanted := missing[to]; wanted && w.via == via && (w.device == 0 || w.device == r.LinkIndex) {
			delete(missing, to)
			continue
		}
		if err := nl.RouteDel(&r); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove the route to %s: %w", to, err)
		}
	}
	var failed []error
	for _, r := range missing {
		add := &netlink.Route{Dst: ipNet(r.to), Gw: r.via.AsSlice(), Protocol: unix.RTPROT_STATIC, Table: unix.RT_TABLE_MAIN}
		if r.device != 0 {
			add.LinkIndex = r.device
			add.SetFlag(netlink.FLAG_ONLINK)
		}
		if err := nl.RouteReplace(add); err != nil {
			failed = append(failed, fmt.Errorf("add the route to %s by %s: %w", r.to, r.via, err))
		}
	}
	return errors.Join(failed...)
}

// routeEnds returns a route's destination and next hop.
func routeEnds(r netlink.Route) (to netip.Prefix, via netip.Addr) {
	via, _ = netip.AddrFromSlice(r.Gw)
	via = via.Unmap()
	if r.Dst == nil {
		if via.Is4() {
			return anywhere4, via
		}
		return anywhere6, via
	}
	ip, _ := netip.AddrFromSlice(r.Dst.IP)
	bits, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(ip.Unmap(), bits), via
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func isErrno(err error, any ...error) bool {
	for _, e := range any {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
