package control

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// zoneKey is the metadata key that makes an aggregate's hosts a zone.
const zoneKey = "availability_zone"

// Bounds of aggregates: what an operator may pile up must still be read whole.
const (
	maxAggregates        = 10000
	maxAggregateMetadata = 1000
)

// Aggregates lists the groups that operators have made of hosts.
func (c *Control) Aggregates(ctx context.Context) ([]compute.Aggregate, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-aggregates:index", nil); err != nil {
		return nil, err
	}
	return c.Store.Aggregates(ctx, c.Store.DB)
}

// Aggregate returns one by its number.
func (c *Control) Aggregate(ctx context.Context, seq int64) (compute.Aggregate, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-aggregates:show", nil); err != nil {
		return compute.Aggregate{}, err
	}
	return c.Store.Aggregate(ctx, c.Store.DB, seq)
}

// CreateAggregate makes an aggregate without hosts; with a zone they will be
// that zone.
func (c *Control) CreateAggregate(ctx context.Context, name, zone string) (compute.Aggregate, error) {
	a := compute.Aggregate{ID: newID(), Name: name, Metadata: map[string]string{}, CreatedAt: c.Now()}
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-aggregates:create", nil); err != nil {
		return a, err
	}
	if err := checkZoneName(zone); err != nil {
		return a, err
	}
	if zone != "" {
		a.Metadata[zoneKey] = zone
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.AggregatesTurn(ctx, tx); err != nil {
			return err
		}
		all, err := c.Store.Aggregates(ctx, tx)
		if err != nil {
			return err
		}
		if len(all) >= maxAggregates {
			return fault.Conflictf("There are %d aggregates, which is as many as there may be.", len(all))
		}
		before := a
		if a, err = c.Store.InsertAggregate(ctx, tx, a); err != nil {
			return err
		}
		return c.tellAggregate(ctx, tx, "create", before, a)
	})
	c.fleet.forget()
	return a, err
}

// checkZoneName refuses what ZONE:HOST:NODE could not name, and what is no name.
func checkZoneName(zone string) error {
	if strings.ContainsFunc(zone, func(r rune) bool { return r == ':' || unicode.IsControl(r) }) {
		return fault.Invalidf("Invalid input for field/attribute availability_zone. Value: %.64q. A zone's name has no colon and no control characters.", zone)
	}
	return nil
}

// changeAggregate changes one aggregate while nobody else changes any. all are
// the aggregates as they stand, with the one that is changed.
func (c *Control) changeAggregate(ctx context.Context, rule string, seq int64, change func(tx *db.Tx, a *compute.Aggregate, all []compute.Aggregate) error) (compute.Aggregate, error) {
	var a compute.Aggregate
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-aggregates:"+rule, nil); err != nil {
		return a, err
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.AggregatesTurn(ctx, tx); err != nil {
			return err
		}
		all, err := c.Store.Aggregates(ctx, tx)
		if err != nil {
			return err
		}
		if a, err = c.Store.Aggregate(ctx, tx, seq); err != nil {
			return err
		}
		before := a
		if err := change(tx, &a, all); err != nil {
			return err
		}
		if err := c.Store.UpdateAggregate(ctx, tx, a); err != nil {
			return err
		}
		return c.tellAggregate(ctx, tx, rule, before, a)
	})
	c.fleet.forget()
	return a, err
}

// UpdateAggregate changes name and zone; nil leaves one as it is.
func (c *Control) UpdateAggregate(ctx context.Context, seq int64, name, zone *string) (compute.Aggregate, error) {
	return c.changeAggregate(ctx, "update", seq, func(tx *db.Tx, a *compute.Aggregate, all []compute.Aggregate) error {
		if name != nil {
			a.Name = *name
		}
		if zone != nil {
			if err := c.rezone(ctx, tx, "Cannot update aggregate %d. Reason: ", a, all, zone); err != nil {
				return err
			}
			a.Metadata = with(a.Metadata, zoneKey, *zone)
		}
		a.UpdatedAt = c.Now()
		return nil
	})
}

// SetAggregateMetadata sets keys; those whose value is nil are removed, others
// stay.
func (c *Control) SetAggregateMetadata(ctx context.Context, seq int64, set map[string]*string) (compute.Aggregate, error) {
	return c.changeAggregate(ctx, "set_metadata", seq, func(tx *db.Tx, a *compute.Aggregate, all []compute.Aggregate) error {
		if zone, given := set[zoneKey]; given {
			if err := c.rezone(ctx, tx, "Cannot update metadata of aggregate %d. Reason: ", a, all, zone); err != nil {
				return err
			}
		}
		a.Metadata = maps.Clone(a.Metadata)
		for key, value := range set {
			if value == nil {
				delete(a.Metadata, key)
			} else {
				a.Metadata = with(a.Metadata, key, *value)
			}
		}
		if len(a.Metadata) > maxAggregateMetadata {
			return fault.Invalidf("Cannot update metadata of aggregate %d. Reason: it would have %d keys, where %d are allowed.", a.Seq, len(a.Metadata), maxAggregateMetadata)
		}
		a.UpdatedAt = c.Now()
		return nil
	})
}

func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// rezone says whether an aggregate's hosts may become another zone: not while one
// of them is another zone's by another aggregate, and not under the servers that
// were put in this one. refusal begins the error.
func (c *Control) rezone(ctx context.Context, tx *db.Tx, refusal string, a *compute.Aggregate, all []compute.Aggregate, zone *string) error {
	refuse := func(reason string, args ...any) error {
		return fault.New(fault.Invalid, refusal+reason+".", append([]any{a.Seq}, args...)...)
	}
	if zone == nil || *zone == "" {
		return refuse("Aggregate %s does not support empty named availability zone", a.Name)
	}
	if err := checkZoneName(*zone); err != nil {
		return err
	}
	if others := otherZones(all, a.Seq, a.Hosts, *zone); len(others) > 0 {
		return refuse("One or more hosts already in availability zone(s) %s", others)
	}
	if a.Metadata[zoneKey] == *zone {
		return nil
	}
	servers, err := c.Store.ServersOnHosts(ctx, tx, a.Hosts)
	if err == nil && servers > 0 {
		err = refuse("One or more hosts contain instances in this zone")
	}
	return err
}

// otherZones lists the zones but zone that aggregates other than seq put one of
// the hosts in.
func otherZones(all []compute.Aggregate, seq int64, hosts []string, zone string) []string {
	var others []string
	for _, a := range all {
		z := a.Metadata[zoneKey]
		if a.Seq == seq || z == "" || z == zone || slices.Contains(others, z) {
			continue
		}
		if slices.ContainsFunc(a.Hosts, func(h string) bool { return slices.Contains(hosts, h) }) {
			others = append(others, z)
		}
	}
	return others
}

// AddAggregateHost puts a compute host into an aggregate.
func (c *Control) AddAggregateHost(ctx context.Context, seq int64, host string) (compute.Aggregate, error) {
	a, err := c.changeAggregate(ctx, "add_host", seq, func(tx *db.Tx, a *compute.Aggregate, all []compute.Aggregate) error {
		if _, err := c.Store.Host(ctx, tx, compute.BinaryCompute, host); err != nil {
			return err
		}
		if slices.Contains(a.Hosts, host) {
			return fault.Conflictf("Aggregate %d already has host %s.", seq, host)
		}
		if zone := a.Metadata[zoneKey]; zone != "" {
			if others := otherZones(all, seq, []string{host}, zone); len(others) > 0 {
				return fault.Conflictf("Cannot add host to aggregate %d. Reason: One or more hosts already in availability zone(s) %s.", seq, others)
			}
		}
		if err := c.zoneMayMove(ctx, tx, *a, all, host, a.Metadata[zoneKey]); err != nil {
			return fault.New(fault.Conflict, "Cannot add host to aggregate %d. Reason: %w", seq, err)
		}
		a.Hosts = append(slices.Clone(a.Hosts), host)
		return nil
	})
	if err == nil {
		c.mirror(ctx, host)
	}
	return a, err
}

// RemoveAggregateHost takes a host out of an aggregate.
func (c *Control) RemoveAggregateHost(ctx context.Context, seq int64, host string) (compute.Aggregate, error) {
	a, err := c.changeAggregate(ctx, "remove_host", seq, func(tx *db.Tx, a *compute.Aggregate, all []compute.Aggregate) error {
		i := slices.Index(a.Hosts, host)
		if i < 0 {
			return fault.NotFoundf("Cannot remove host %s in aggregate %d", host, seq)
		}
		if zone := a.Metadata[zoneKey]; zone != "" {
			if err := c.zoneMayMove(ctx, tx, *a, all, host, c.Options.DefaultZone); err != nil {
				return fault.New(fault.Conflict, "Cannot remove host %s in aggregate %d: %w", host, seq, err)
			}
		}
		a.Hosts = slices.Delete(slices.Clone(a.Hosts), i, i+1)
		return nil
	})
	if err == nil {
		c.mirror(ctx, host, a.ID)
	}
	return a, err
}

// zoneMayMove refuses to give a host another zone, by the aggregate a, under
// servers whose users asked for the zone that it has.
func (c *Control) zoneMayMove(ctx context.Context, tx *db.Tx, a compute.Aggregate, all []compute.Aggregate, host, zone string) error {
	if zone == "" || len(otherZones(all, a.Seq, []string{host}, "")) > 0 {
		return nil // it stays in the zone that it is in by another
	}
	asked, err := c.Store.ZonesAsked(ctx, tx, host)
	if err != nil {
		return err
	}
	asked = slices.DeleteFunc(asked, func(z string) bool { return z == zone })
	if len(asked) > 0 {
		return fault.Conflictf("One or more hosts contain instances in this zone: servers on %s were asked for in availability zone(s) %s.", host, asked)
	}
	return nil
}

// DeleteAggregate removes an aggregate that has no hosts.
func (c *Control) DeleteAggregate(ctx context.Context, seq int64) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-aggregates:delete", nil); err != nil {
		return err
	}
	defer c.fleet.forget()
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.AggregatesTurn(ctx, tx); err != nil {
			return err
		}
		a, err := c.Store.Aggregate(ctx, tx, seq)
		if err != nil {
			return err
		}
		if len(a.Hosts) > 0 {
			return fault.Invalidf("Cannot remove host from aggregate %d. Reason: Host aggregate is not empty.", seq)
		}
		if err := c.Store.DeleteAggregate(ctx, tx, seq); err != nil {
			return err
		}
		return c.tellAggregate(ctx, tx, "delete", a, a)
	})
}

// mirror tells Placement of a host's aggregates at once, of which gone are such no
// more. Should it not hear, the host's next report tells it.
func (c *Control) mirror(ctx context.Context, host string, gone ...string) {
	h, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, host)
	if err == nil {
		_, err = c.publish(ctx, h, gone...)
	}
	if err == nil {
		err = c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.SetPublished(ctx, tx, h.Seq, h.Published) })
	}
	if err != nil {
		c.Log.Warn("Placement does not know of an aggregate's change", "host", host, "error", err)
	}
}
