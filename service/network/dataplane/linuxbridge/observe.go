package linuxbridge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kilonova/service/network/dataplane"
)

// Observe implements dataplane.Driver. A bridge that was not made to the end
// shows only the part of the network's id that is in its name.
func (d *Driver) Observe(ctx context.Context) (dataplane.Observed, error) {
	done, err := d.begin(ctx)
	if err != nil {
		return dataplane.Observed{}, err
	}
	defer done()
	return d.observe(ctx)
}

func (d *Driver) observe(ctx context.Context) (seen dataplane.Observed, err error) {
	if err := d.look(ctx); err != nil {
		return seen, err
	}
	networks, ports := map[string]bool{}, map[string]bool{}
	for device := range d.filters.taps {
		ports[strings.TrimPrefix(device, "tap")] = true
	}
	all, err := links(d.nl)
	if err != nil {
		return seen, err
	}
	bridges := map[int]bool{}
	for _, link := range all {
		attrs := link.Attrs()
		if id, ok := bridgeNetwork(attrs.Alias); ok {
			networks[id] = true
		} else if id, ok := strings.CutPrefix(attrs.Name, "brq"); ok && link.Type() == "bridge" && len(id) == 11 {
			networks[id] = true
		} else {
			continue
		}
		bridges[attrs.Index] = true
	}
	for _, link := range all {
		attrs := link.Attrs()
		if bridges[attrs.MasterIndex] && guestDevice(attrs.Name) && !ours(attrs.Alias) {
			ports[strings.TrimPrefix(attrs.Name, "tap")] = true
		}
	}
	servers, err := namespaces(dhcpNamespace(""))
	if err != nil {
		return seen, err
	}
	for _, id := range append(servers, d.servedNetworks()...) {
		networks[id] = true
	}
	if seen.Routers, err = namespaces(routerNamespace("")); err != nil {
		return seen, err
	}
	seen.Networks = slices.Sorted(maps.Keys(networks))
	seen.Ports = slices.Sorted(maps.Keys(ports))
	return seen, nil
}

// servedNetworks returns the networks that have files of a dnsmasq.
func (d *Driver) servedNetworks() []string {
	entries, err := os.ReadDir(filepath.Join(d.cfg.StateDir, "dhcp"))
	if err != nil {
		return nil // there never was one
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

// Clean implements dataplane.Driver. It goes on after a failure and returns all
// of them.
func (d *Driver) Clean(ctx context.Context) error {
	done, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	seen, err := d.observe(ctx)
	if err != nil {
		return err
	}
	var failed []error
	try := func(err error) { failed = append(failed, err) }
	for _, id := range seen.Routers {
		try(d.removeRouter(id))
	}
	for _, id := range seen.Ports {
		try(d.removePort(ctx, id))
	}
	for _, id := range seen.Networks {
		try(d.removeDHCP(ctx, id))
		bridge, err := d.networkBridge(id)
		try(err)
		if bridge != nil {
			try(d.releaseBridge(ctx, bridge))
		}
	}
	try(d.removeLeftovers())
	try(d.stopDNSMasq(ctx, filepath.Join(d.cfg.StateDir, "dhcp")))
	try(os.RemoveAll(filepath.Join(d.cfg.StateDir, "dhcp")))
	try(d.dropTables(ctx))
	try(d.restoreSysctl(""))
	d.prepared = false
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("clean the network dataplane: %w", err)
	}
	return nil
}

// removeLeftovers deletes devices that carry our alias but belong to nothing
// that was observed.
func (d *Driver) removeLeftovers() error {
	all, err := links(d.nl)
	if err != nil {
		return err
	}
	for _, link := range all {
		alias := link.Attrs().Alias
		if ours(alias) && !strings.HasPrefix(alias, aliasBorrowed) {
			if err := deleteLink(d.nl, link); err != nil {
				return err
			}
		}
	}
	return nil
}
