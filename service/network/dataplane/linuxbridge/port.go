package linuxbridge

import (
	"context"
	"fmt"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// EnsurePort implements dataplane.Driver. Filters are made also for a device
// that does not exist yet: when it comes, they are there.
func (d *Driver) EnsurePort(ctx context.Context, p network.HostPort) (wired bool, err error) {
	if err := dataplane.CheckPort(p); err != nil {
		return false, err
	}
	done, err := d.beginMaking(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	bridge, err := d.networkBridge(p.NetworkID)
	if err != nil {
		return false, err
	}
	if bridge == nil {
		return false, fault.Conflictf("Network %s of port %s has not been made on this host.", p.NetworkID, p.ID)
	}
	device, name := network.TapName(p.ID), bridge.Attrs().Name
	if err := d.look(ctx); err != nil {
		return false, err
	}
	fresh := d.filters.marks[device] == 0
	changed, err := d.filterPort(ctx, p, name)
	if err != nil {
		return false, fmt.Errorf("filter port %s: %w", p.ID, err)
	}
	if changed && p.Secured {
		if err := d.revokeConnections(p, d.filters.zones[name], fresh); err != nil {
			return false, fmt.Errorf("revoke connections of port %s: %w", p.ID, err)
		}
	}
	link, err := d.link(device)
	if err != nil || link == nil {
		return false, err
	}
	if ours(link.Attrs().Alias) {
		return false, fault.Conflictf("The device %s of port %s is a leg of the network's own.", device, p.ID)
	}
	if err := d.enslave(link, bridge, bridge.Attrs().MTU, p.AdminUp); err != nil {
		if link, findErr := d.link(device); findErr == nil && link == nil {
			return false, nil // it went away under way
		}
		return false, fmt.Errorf("wire port %s: %w", p.ID, err)
	}
	return true, nil
}

// RemovePort implements dataplane.Driver. The device is switched off: without a
// bridge its guest could only speak to the host.
func (d *Driver) RemovePort(ctx context.Context, id string) error {
	done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	return d.removePort(ctx, id)
}

func (d *Driver) removePort(ctx context.Context, id string) error {
	device := network.TapName(id)
	link, err := d.link(device)
	if err != nil {
		return err
	}
	if link != nil && !ours(link.Attrs().Alias) && link.Attrs().MasterIndex != 0 {
		bridge, err := d.nl.LinkByIndex(link.Attrs().MasterIndex)
		if err == nil && ours(bridge.Attrs().Alias) {
			err = setUp(d.nl, link, false)
			if err == nil {
				err = d.nl.LinkSetNoMaster(link)
			}
		}
		if gone, findErr := d.link(device); err != nil && (findErr != nil || gone != nil) {
			return fmt.Errorf("take %s out of its bridge: %w", device, err)
		}
	}
	return d.unfilterPort(ctx, device)
}
