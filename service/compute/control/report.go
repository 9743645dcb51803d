package control

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// report hears what an agent says of its host: that it lives, what it has, and
// what its guests do.
func (c *Control) report(ctx context.Context, r compute.HostReport) (compute.HostOrders, error) {
	var orders compute.HostOrders
	if r.Host == "" || len(r.Host) > 255 {
		return orders, fault.Invalidf("A report needs the name of its host.")
	}
	looked := c.Now().Add(-time.Duration(r.Age) * time.Millisecond)
	if !r.Partial {
		looked = looked.Add(-travel)
		if err := c.hear(ctx, r); err != nil {
			return orders, err
		}
	}
	servers, err := c.Store.ServersOn(ctx, c.Store.DB, r.Host)
	if err != nil {
		return orders, err
	}
	known := make(map[string]*compute.Server, len(servers))
	for _, s := range servers {
		known[s.ID] = s
		// what has changed since the agent looked is not judged by what it saw
		if s.UpdatedAt.After(looked) {
			r.Busy = append(r.Busy, s.ID)
		}
	}
	seen := make(map[string]bool, len(r.Guests))
	var strangers []string
	for _, g := range r.Guests {
		seen[g.ServerID] = true
		if slices.Contains(r.Busy, g.ServerID) {
			continue
		}
		if s := known[g.ServerID]; s != nil {
			if err := c.observe(ctx, s, g.Power); err != nil {
				return orders, err
			}
		} else {
			strangers = append(strangers, g.ServerID)
		}
	}
	if !r.Partial {
		for id, s := range known { // its guest has vanished
			if !seen[id] && !slices.Contains(r.Busy, id) {
				if err := c.observe(ctx, s, compute.PowerNone); err != nil {
					return orders, err
				}
			}
		}
	}
	if err := c.unwanted(ctx, r.Host, strangers, looked, &orders); err != nil {
		return orders, err
	}
	if !r.Partial {
		if err := c.evacuated(ctx, r, looked); err != nil {
			return orders, err
		}
	}
	orders.Drop, err = c.unwantedParked(ctx, r.Host, r.Parked, r.Busy)
	return orders, err
}

// travel is how long a report may have been on its way. Reports about single
// guests are not held to it: they answer to an event, and come at once.
const travel = time.Second

// unwanted are the guests whose servers are deleted or live elsewhere. A guest
// of which nothing is known is left alone: it may be another cloud's.
func (c *Control) unwanted(ctx context.Context, host string, strangers []string, looked time.Time, orders *compute.HostOrders) error {
	if len(strangers) == 0 {
		return nil
	}
	deleted, err := c.Store.DeletedAmong(ctx, c.Store.DB, strangers)
	if err != nil {
		return err
	}
	orders.Networks = deleted
	elsewhere, err := c.Store.Elsewhere(ctx, c.Store.DB, host, strangers, looked)
	maps.Copy(orders.Networks, elsewhere)
	orders.Remove = slices.Sorted(maps.Keys(orders.Networks))
	return err
}

// observe brings a server's row to what its guest does by itself: a guest that
// has shut itself down makes its server SHUTOFF. Servers with something under
// way are left to those who do it.
func (c *Control) observe(ctx context.Context, s *compute.Server, power compute.Power) error {
	if s.Task != compute.NoTask || s.State == compute.Building || s.Power == power && s.State != compute.Active && s.State != compute.Stopped {
		return nil
	}
	patch := store.ServerPatch{Power: &power}
	action := ""
	switch {
	case s.State == compute.Active && (power == compute.PowerShutdown || power == compute.PowerCrashed || power == compute.PowerNone):
		patch.State, action = ptr(compute.Stopped), "stop"
	case s.State == compute.Stopped && power == compute.PowerRunning:
		patch.State, action = ptr(compute.Active), "start"
	case s.Power == power:
		return nil
	}
	now := c.Now()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		ok, err := c.Store.UpdateServer(ctx, tx, s.ID, patch, store.Expect{States: []compute.State{s.State}, Tasks: []compute.Task{compute.NoTask}, Host: &s.Host, Existing: true}, now)
		if err == nil && ok && action != "" {
			c.Log.Info("server changed by itself", "server", s.ID, "power", power, "now", *patch.State)
			return c.shareStates(ctx, tx, s, *patch.State)
		}
		return err
	})
}

// hear notes a host's life and what it offers, and tells Placement when that has
// changed.
func (c *Control) hear(ctx context.Context, r compute.HostReport) error {
	now := c.Now()
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, r.Host)
	if fault.Is(err, fault.NotFound) {
		h = &compute.Host{ID: newID(), NodeID: newID(), Binary: compute.BinaryCompute, Name: r.Host, CreatedAt: now, UpdatedAt: now}
		err = c.Store.Tx(ctx, func(tx *db.Tx) error {
			if err := c.Store.InsertHost(ctx, tx, h); err != nil {
				return err
			}
			return c.tellService(ctx, tx, "create", h)
		})
		if err == nil || db.IsUnique(err) {
			h, err = c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, r.Host)
		}
	}
	if err != nil {
		return err
	}
	nameDevices(&r.Resources)
	holds, err := c.holdsOn(ctx, h, &r.Resources)
	if err != nil {
		return err
	}
	if err := refuseDevices(h, &r.Resources, holds); err != nil {
		return err
	}
	changed := !sameHost(h, r)
	h.LastSeen, h.Resources, h.Traits, h.Methods = now, r.Resources, r.Traits, r.Methods
	published, err := c.publish(ctx, h)
	if err != nil {
		c.Log.Warn("Placement does not know what a host has", "host", h.Name, "error", err)
	}
	changed = changed || published
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if !changed {
			return c.Store.SeeHost(ctx, tx, h.Seq, now)
		}
		h.UpdatedAt = now
		fresh, err := c.Store.Host(ctx, tx, compute.BinaryCompute, h.Name)
		if err != nil {
			return err
		}
		h.Disabled, h.DisabledReason, h.ForcedDown = fresh.Disabled, fresh.DisabledReason, fresh.ForcedDown
		if !published {
			h.Published = fresh.Published
		}
		if err := c.tellMeasured(ctx, tx, h); err != nil {
			return err
		}
		return c.Store.UpdateHost(ctx, tx, h)
	})
	if changed {
		c.fleet.outdate()
	}
	return err
}

func sameHost(h *compute.Host, r compute.HostReport) bool {
	a, errA := json.Marshal([]any{h.Resources, h.Traits, h.Methods})
	b, errB := json.Marshal([]any{r.Resources, r.Traits, r.Methods})
	return errA == nil && errB == nil && string(a) == string(b)
}

// inventoryOf is what a host offers to Placement.
func (c *Control) inventoryOf(r compute.Resources) map[string]compute.Inventory {
	o := c.Options
	all := map[string]compute.Inventory{
		"VCPU":      {Total: r.VCPUs, Reserved: min(o.ReservedCPUs, r.VCPUs), MinUnit: 1, MaxUnit: r.VCPUs, StepSize: 1, AllocationRatio: o.CPURatio},
		"MEMORY_MB": {Total: r.MemoryMB, Reserved: min(o.ReservedMemory, r.MemoryMB), MinUnit: 1, MaxUnit: r.MemoryMB, StepSize: 1, AllocationRatio: o.RAMRatio},
		"DISK_GB":   {Total: r.DiskGB, Reserved: min((o.ReservedDiskMB+1023)/1024, r.DiskGB), MinUnit: 1, MaxUnit: r.DiskGB, StepSize: 1, AllocationRatio: o.DiskRatio},
	}
	if shared, dedicated := r.CPUSets(); dedicated > 0 {
		all["PCPU"] = compute.Inventory{Total: dedicated, MinUnit: 1, MaxUnit: dedicated, StepSize: 1, AllocationRatio: 1}
		all["VCPU"] = compute.Inventory{Total: shared, Reserved: min(o.ReservedCPUs, shared), MinUnit: 1, MaxUnit: shared, StepSize: 1, AllocationRatio: o.CPURatio}
	}
	maps.DeleteFunc(all, func(_ string, i compute.Inventory) bool { return i.Total <= 0 })
	return all
}

func (c *Control) traitsOf(h *compute.Host) []string {
	traits := append(slices.Clone(h.Traits), h.Resources.Traits...)
	if slices.ContainsFunc(h.Resources.NUMA, func(n compute.NUMACell) bool { return len(n.Siblings) > 0 }) {
		traits = append(traits, "HW_CPU_HYPERTHREADING")
	}
	if h.Disabled {
		traits = append(traits, traitDisabled)
	}
	slices.Sort(traits)
	return slices.Compact(traits)
}

// traitDisabled keeps disabled hosts out of Placement's candidates.
const traitDisabled = "COMPUTE_STATUS_DISABLED"

// announce notes that this process lives, under the names that operators look for.
func (c *Control) announce(ctx context.Context) error {
	now := c.Now()
	for _, binary := range []string{compute.BinaryConductor, compute.BinaryScheduler} {
		h, err := c.Store.Host(ctx, c.Store.DB, binary, c.Host)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		err = c.Store.Tx(ctx, func(tx *db.Tx) error {
			if h != nil {
				return c.Store.SeeHost(ctx, tx, h.Seq, now)
			}
			h := &compute.Host{ID: newID(), Binary: binary, Name: c.Host, LastSeen: now, CreatedAt: now, UpdatedAt: now}
			if err := c.Store.InsertHost(ctx, tx, h); err != nil {
				return err
			}
			return c.tellService(ctx, tx, "create", h)
		})
		if err != nil && !db.IsUnique(err) {
			return err
		}
	}
	return nil
}

// expire looks for servers that are on the way to something without anybody who
// brings them there: no task of theirs is left. It cannot happen by what is
// written here; should it, the server says so instead of waiting for ever.
func (c *Control) expire(ctx context.Context) error {
	now := c.Now()
	const most = 1000 // the others come later
	late, err := c.Store.Unsettled(ctx, c.Store.DB, now.Add(-c.Options.BuildTimeout.D()), most)
	errs := []error{err}
	for _, s := range late {
		errs = append(errs, c.expireServer(ctx, s, now))
	}
	return errors.Join(errs...)
}
