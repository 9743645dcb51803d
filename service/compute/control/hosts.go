package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// HostUp reports whether a host has been heard of lately.
func (c *Control) HostUp(h *compute.Host) bool { return h.Up(c.Now(), c.Options.ServiceDown.D()) }

func (c *Control) hostUp(ctx context.Context, name string) (bool, error) {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && c.HostUp(h), err
}

// Zone is an availability zone with its hosts.
type Zone struct {
	Name      string
	Available bool
	Hosts     []*compute.Host
}

// internalZone is where upstream shows the processes that are no hypervisor hosts.
const internalZone = "internal"

// Zones lists the availability zones; detail, for administrators, with hosts and
// the zone of the internal services.
func (c *Control) Zones(ctx context.Context, detail bool) ([]Zone, error) {
	rule := "os_compute_api:os-availability-zone:list"
	if detail {
		rule = "os_compute_api:os-availability-zone:detail"
	}
	if err := c.Policy.Enforce(ctx, rule, nil); err != nil {
		return nil, err
	}
	all, err := c.allHosts(ctx)
	if err != nil {
		return nil, err
	}
	var zones []Zone
	for _, h := range all {
		if h.Zone == internalZone && !detail {
			continue
		}
		i := slices.IndexFunc(zones, func(z Zone) bool { return z.Name == h.Zone })
		if i < 0 {
			zones = append(zones, Zone{Name: h.Zone})
			i = len(zones) - 1
		}
		zones[i].Hosts = append(zones[i].Hosts, h)
		zones[i].Available = zones[i].Available || !h.Disabled
	}
	return zones, nil
}

func (c *Control) zoneExists(ctx context.Context, zone string) (bool, error) {
	f, err := c.Fleet(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(f.hosts, func(h fleetHost) bool { return h.zone == zone }), nil
}

// allHosts returns every service process with its zone, without what it said of
// itself.
func (c *Control) allHosts(ctx context.Context) ([]*compute.Host, error) {
	f, err := c.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.Store.BareHosts(ctx, c.Store.DB, "")
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if h.Zone = internalZone; h.Binary == compute.BinaryCompute {
			h.Zone = f.ZoneOf(h.Name)
		}
	}
	return all, nil
}

// Services lists the service processes, by binary and host where given.
func (c *Control) Services(ctx context.Context, binary, host string) ([]*compute.Host, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-services:list", nil); err != nil {
		return nil, err
	}
	all, err := c.allHosts(ctx)
	return slices.DeleteFunc(all, func(h *compute.Host) bool {
		return binary != "" && h.Binary != binary || host != "" && h.Name != host
	}), err
}

// ServiceChange is what an operator may say of a service; nil leaves it.
type ServiceChange struct {
	Disabled   *bool
	Reason     *string
	ForcedDown *bool
}

// UpdateService changes a service, found by id, or by host and binary.
func (c *Control) UpdateService(ctx context.Context, id, host, binary string, ch ServiceChange) (*compute.Host, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-services:update", nil); err != nil {
		return nil, err
	}
	return c.changeService(ctx, id, host, binary, ch)
}

func (c *Control) changeService(ctx context.Context, id, host, binary string, ch ServiceChange) (*compute.Host, error) {
	var h *compute.Host
	err := c.Store.Tx(ctx, func(tx *db.Tx) (err error) {
		if id != "" {
			h, err = c.Store.HostByID(ctx, tx, id)
		} else {
			h, err = c.Store.Host(ctx, tx, binary, host)
		}
		if err != nil {
			return err
		}
		if h.Binary != compute.BinaryCompute {
			return fault.Invalidf("Updating a %s service is not supported. Only nova-compute services can be updated.", h.Binary)
		}
		if ch.Disabled != nil {
			if h.Disabled = *ch.Disabled; !h.Disabled {
				h.DisabledReason = ""
			}
		}
		if ch.Reason != nil {
			h.DisabledReason = *ch.Reason
		}
		if ch.ForcedDown != nil {
			h.ForcedDown = *ch.ForcedDown
		}
		h.UpdatedAt = c.Now()
		// Placement will be told more than once, by this call and the next report, in
		// whichever order: no text of now may count as told before a report of later.
		// With a blank more it is another text, which still names the aggregates.
		h.Published += " "
		if err := c.Store.UpdateHost(ctx, tx, h); err != nil {
			return err
		}
		return c.tellService(ctx, tx, "update", h)
	})
	if err != nil {
		return nil, err
	}
	c.fleet.forget()
	if _, err := c.publish(ctx, h); err != nil { // the next report tells it again
		c.Log.Warn("Placement does not know of a change", "host", h.Name, "error", err)
	}
	h.Zone, err = c.zoneOf(ctx, h.Name)
	return h, err
}

// DeleteService forgets a service, but not of a host that is still in use.
func (c *Control) DeleteService(ctx context.Context, id string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-services:delete", nil); err != nil {
		return err
	}
	h, err := c.Store.HostByID(ctx, c.Store.DB, id)
	if err != nil {
		return err
	}
	if h.Binary == compute.BinaryCompute {
		if err := c.deserted(ctx, h.Name); err != nil {
			return err
		}
	}
	if h.Binary == compute.BinaryCompute {
		if err := c.takeDevices(ctx, h); err != nil {
			return err
		}
		if err := c.Placement.Withdraw(ctx, h.NodeID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	defer c.fleet.forget()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.DeleteHost(ctx, tx, h.Seq); err != nil {
			return err
		}
		return c.tellService(ctx, tx, "delete", h)
	})
}

// deserted refuses a host that has servers, or moves to or from it that are not
// over: something of a server may still be there.
func (c *Control) deserted(ctx context.Context, host string) error {
	load, err := c.Store.HostLoad(ctx, c.Store.DB, host)
	if err != nil {
		return err
	}
	if load.Servers > 0 {
		return fault.Conflictf("Unable to delete compute service that is hosting instances: %s has %d. Migrate or delete the instances first.", host, load.Servers)
	}
	open, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{Host: host, Statuses: compute.OpenMigrations, Limit: 1})
	if err != nil || len(open) == 0 {
		return err
	}
	return fault.Conflictf("Unable to delete compute service that has in-progress migrations: migration %s of server %s from %s to %s is %s. Complete the migrations or delete the instances first.",
		open[0].ID, open[0].ServerID, open[0].SourceHost, open[0].DestHost, open[0].Status)
}

// Hypervisor is a compute host with what its servers take of it.
type Hypervisor struct {
	*compute.Host
	Load store.HostLoad
	Up   bool
}

// Hypervisors lists the compute hosts with their loads.
func (c *Control) Hypervisors(ctx context.Context, rule string) ([]Hypervisor, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-hypervisors:"+rule, nil); err != nil {
		return nil, err
	}
	hosts, err := c.computeHosts(ctx)
	if err != nil {
		return nil, err
	}
	loads, err := c.Store.HostLoads(ctx, c.Store.DB)
	if err != nil {
		return nil, err
	}
	all := make([]Hypervisor, len(hosts))
	for i, h := range hosts {
		all[i] = Hypervisor{h, loads[h.Name], c.HostUp(h)}
	}
	return all, nil
}

// computeHosts returns the compute hosts with what they said of themselves, of
// which ComputeHosts reads what is alike only once.
func (c *Control) computeHosts(ctx context.Context) ([]*compute.Host, error) {
	all, err := c.Store.BareHosts(ctx, c.Store.DB, compute.BinaryCompute)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]*compute.Host, len(all))
	for _, h := range all {
		byName[h.Name] = h
	}
	err = c.Store.ComputeHosts(ctx, c.Store.DB, func(said *compute.Host, _ bool) {
		if h := byName[said.Name]; h != nil {
			h.Resources, h.Traits, h.Methods = said.Resources, said.Traits, said.Methods
		}
	})
	return all, err
}

// ServersOfHost lists the servers on a host, for its operators.
func (c *Control) ServersOfHost(ctx context.Context, host string) ([]*compute.Server, error) {
	return c.Store.ServersOn(ctx, c.Store.DB, host)
}
