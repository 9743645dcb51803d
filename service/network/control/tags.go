package control

import (
	"context"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

// Bounds of tags: how many a resource has, and how long one is.
const (
	maxTags   = 50
	maxTagLen = 255
)

// Tagged names the resources that have tags, by their collections in the API.
var Tagged = map[string]struct{ Table, Update string }{
	"networks":        {"networks", "update_network"},
	"subnets":         {"subnets", "update_subnet"},
	"subnetpools":     {"subnet_pools", "update_subnetpool"},
	"ports":           {"ports", "update_port"},
	"routers":         {"routers", "update_router"},
	"floatingips":     {"floating_ips", "update_floatingip"},
	"policies":        {"qos_policies", "update_policy"},
	"security-groups": {"security_groups", "update_security_group"},
}

// standardOf reads what a resource of any tagged collection has in common.
func (c *Control) standardOf(ctx context.Context, q db.Querier, collection, id string) (network.Standard, error) {
	scope := c.scope(ctx)
	switch collection {
	case "networks":
		n, err := c.store.Network(ctx, q, scope, id)
		return n.Standard, err
	case "subnets":
		s, err := c.store.Subnet(ctx, q, scope, id)
		return s.Standard, err
	case "subnetpools":
		p, err := c.store.SubnetPool(ctx, q, scope, id)
		return p.Standard, err
	case "ports":
		p, err := c.store.Port(ctx, q, scope, id)
		return p.Standard, err
	case "routers":
		r, err := c.store.Router(ctx, q, scope, id)
		return r.Standard, err
	case "floatingips":
		f, err := c.store.FloatingIP(ctx, q, scope, id)
		return f.Standard, err
	case "policies":
		p, err := c.store.QoSPolicy(ctx, q, scope, id)
		return p.Standard, err
	case "security-groups":
		g, err := c.store.Group(ctx, q, scope, id)
		return g.Standard, err
	}
	return network.Standard{}, fault.NotFoundf("There are no tags on %.64s.", collection)
}

// Tags returns the tags of a resource.
func (c *Control) Tags(ctx context.Context, collection, id string) ([]string, error) {
	s, err := c.standardOf(ctx, c.store, collection, id)
	return s.Tags, err
}

// ChangeTags replaces the tags of a resource by what change makes of them.
func (c *Control) ChangeTags(ctx context.Context, collection, id string, change func([]string) ([]string, error)) (tags []string, err error) {
	err = c.write(ctx, func(tx *write) error {
		s, err := c.standardOf(ctx, tx, collection, id)
		if err != nil {
			return err
		}
		kind := Tagged[collection]
		if err := denied(policy.Enforce(ctx, kind.Update, owned(s.ProjectID))); err != nil {
			return err
		}
		if tags, err = change(slices.Clone(s.Tags)); err != nil {
			return err
		}
		slices.Sort(tags)
		tags = slices.Compact(tags)
		if len(tags) > maxTags {
			return invalid("tags", "%d tags are more than %d", len(tags), maxTags)
		}
		for _, t := range tags {
			if t == "" || len(t) > maxTagLen {
				return invalid("tags", "'%.64s' does not have between 1 and %d characters", t, maxTagLen)
			}
		}
		if err := c.store.SetTags(ctx, tx.Tx, id, tags); err != nil {
			return err
		}
		return c.store.Touch(ctx, tx.Tx, kind.Table, id, c.now())
	})
	return orNone(tags), err
}
