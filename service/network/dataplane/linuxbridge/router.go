package linuxbridge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// EnsureRouter implements dataplane.Driver. A router that is administratively
// down keeps its legs, switched off.
func (d *Driver) EnsureRouter(ctx context.Context, r network.HostRouter) error {
	if err := dataplane.CheckRouter(r); err != nil {
		return err
	}
	done, err := d.beginMaking(ctx)
	if err != nil {
		return err
	}
	defer done()
	legs, err := d.routerLegs(r)
	if err != nil {
		return err
	}
	if err := d.ensureRouter(ctx, r, legs); err != nil {
		return fmt.Errorf("make router %s: %w", r.ID, err)
	}
	return nil
}

// RemoveRouter implements dataplane.Driver.
func (d *Driver) RemoveRouter(ctx context.Context, id string) error {
	done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.removeRouter(id)
}

func (d *Driver) removeRouter(id string) error {
	delete(d.routers, id)
	if err := d.removeLegsAndNamespace(routerNamespace(id), aliasRouter+id); err != nil {
		return fmt.Errorf("remove router %s: %w", id, err)
	}
	return nil
}

// bridgedLeg is a leg of a router and where it stands.
type bridgedLeg struct {
	leg
	bridge netlink.Link
}

// routerLegs returns the legs that a router shall have, the gateway's last.
func (d *Driver) routerLegs(r network.HostRouter) ([]bridgedLeg, error) {
	legs := make([]bridgedLeg, 0, len(r.Interfaces)+1)
	add := func(device string, l network.RouterLeg, addresses []netip.Prefix) error {
		bridge, err := d.networkBridge(l.NetworkID)
		if err != nil {
			return err
		}
		if bridge == nil {
			return fault.Conflictf("Network %s of router %s has not been made on this host.", l.NetworkID, r.ID)
		}
		legs = append(legs, bridgedLeg{bridge: bridge, leg: leg{
			device:    device,
			peer:      network.TapName(l.PortID),
			alias:     aliasRouter + r.ID,
			mac:       l.MAC,
			addresses: addresses,
			mtu:       bridge.Attrs().MTU,
			up:        r.AdminUp,
		}})
		return nil
	}
	for _, l := range r.Interfaces {
		if err := add(routerLegName(l.PortID), l, l.Addresses); err != nil {
			return nil, err
		}
	}
	if g := r.Gateway; g != nil {
		addresses := append([]netip.Prefix(nil), g.Addresses...)
		for _, f := range r.Floating {
			addresses = append(addresses, netip.PrefixFrom(f.Floating, 32))
		}
		if err := add(gatewayLegName(g.PortID), *g, addresses); err != nil {
			return nil, err
		}
	}
	return legs, nil
}

func (d *Driver) ensureRouter(ctx context.Context, r network.HostRouter, legs []bridgedLeg) error {
	ns, _, err := ensureNamespace(routerNamespace(r.ID))
	if err != nil {
		return err
	}
	defer ns.close()
	forward := "0"
	if r.AdminUp {
		forward = "1"
	}
	if err := ns.do(func() error { return endSysctls(forward) }); err != nil {
		return err
	}
	keep := make([]string, len(legs))
	for i, l := range legs {
		keep[i] = l.device
	}
	if err := d.removeLegs(ns, aliasRouter+r.ID, keep...); err != nil {
		return err
	}
	// Before the legs: nothing shall leave with an address that is not to be seen.
	if err := d.ensureNAT(ctx, ns, r); err != nil {
		return err
	}
	var news []announcement
	var gateway netlink.Link
	for _, l := range legs {
		inside, fresh, err := d.ensureLeg(ns, l.bridge, l.leg)
		if err != nil {
			return err
		}
		news = append(news, announcement{inside.Attrs().Index, hardwareAddr(l.mac), fresh})
		if r.Gateway != nil && l.device == gatewayLegName(r.Gateway.PortID) {
			gateway = inside
		}
	}
	if !r.AdminUp { // there are no routes by devices that are switched off
		return nil
	}
	err = ensureRoutes(ns.nl, routerRoutes(r, gateway))
	return errors.Join(err, ns.do(func() error { return announce(news) }))
}

func routerRoutes(r network.HostRouter, gateway netlink.Link) []route {
	var routes []route
	if gateway != nil && r.NextHop.IsValid() {
		to := anywhere4
		if r.NextHop.Is6() {
			to = anywhere6
		}
		routes = append(routes, route{to: to, via: r.NextHop, device: gateway.Attrs().Index})
	}
	for _, extra := range r.Routes {
		routes = append(routes, route{to: extra.Destination, via: extra.NextHop})
	}
	return routes
}
