package control

import (
	"context"
	"maps"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/service/network"
)

// changes gathers what a transaction means for hosts: each has a state, and the
// revision of those that change has to grow in the same transaction.
type changes struct {
	hosts, networks, groups, remotes, routers map[string]bool
	locked                                    map[string]bool // projects whose quota is locked
}

func note(set *map[string]bool, ids ...string) {
	for _, id := range ids {
		if id == "" {
			continue
		}
		if *set == nil {
			*set = map[string]bool{}
		}
		(*set)[id] = true
	}
}

// host: what this host has to carry changes.
func (c *changes) host(names ...string) { note(&c.hosts, names...) }

// network: the network or a subnet of it changes for all hosts that carry it.
func (c *changes) network(ids ...string) { note(&c.networks, ids...) }

// rules: the rules of these security groups change for their ports.
func (c *changes) rules(groupIDs ...string) { note(&c.groups, groupIDs...) }

// members: who belongs to these security groups changes, for those whose rules
// speak of them.
func (c *changes) members(groupIDs ...string) { note(&c.remotes, groupIDs...) }

// router: what this router does changes.
func (c *changes) router(ids ...string) { note(&c.routers, ids...) }

// port: a port appears, changes or goes: for its own host, for the one that
// serves its network's DHCP, and for those that know it by its groups.
func (c *changes) port(tx *write, ctx context.Context, control *Control, p network.Port) error {
	c.host(p.Host)
	bindings, err := control.store.DHCPBindings(ctx, tx, `t.network_id = ?`, p.NetworkID)
	for _, b := range bindings {
		c.host(b.Host)
	}
	if len(p.FixedIPs) > 0 {
		c.members(p.SecurityGroups...)
	}
	return err
}

// settle gives all hosts that change a new revision, and has them told of it
// after the commit.
func (c *Control) settle(ctx context.Context, w *write) error {
	queries := []struct {
		of    map[string]bool
		query string
	}{
		{w.networks, `SELECT DISTINCT host FROM ports WHERE host <> '' AND network_id IN @`},
		{w.routers, `SELECT DISTINCT host FROM routers WHERE host <> '' AND id IN @`},
	}
	for _, q := range queries {
		if len(q.of) == 0 {
			continue
		}
		list, args := db.In(slices.Sorted(maps.Keys(q.of)))
		hosts, err := db.Select[string](ctx, w.Tx, strings.Replace(q.query, "@", list, 1), args...)
		if err != nil {
			return err
		}
		w.host(hosts...)
	}
	for _, groups := range []struct {
		of       map[string]bool
		speaking bool
	}{{w.groups, false}, {w.remotes, true}} {
		if len(groups.of) == 0 {
			continue
		}
		hosts, err := c.store.HostsOfGroups(ctx, w.Tx, slices.Sorted(maps.Keys(groups.of)), groups.speaking)
		if err != nil {
			return err
		}
		w.host(hosts...)
	}
	for _, host := range slices.Sorted(maps.Keys(w.hosts)) { // in one order, against deadlocks
		revision, err := c.store.Bump(ctx, w.Tx, host, c.now())
		if err != nil {
			return err
		}
		w.OnCommit(func() { c.tell(host, revision) })
	}
	return nil
}

// tell hints to an agent that its host's state has changed.
func (c *Control) tell(host string, revision int64) {
	if c.bus == nil {
		return
	}
	if err := network.Changed.Send(c.bus, host, network.ChangedHint{Revision: revision}); err != nil {
		c.log.Warn("network: agent not told of a change", "host", host, "error", err)
	}
}
