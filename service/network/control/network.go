package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Networks lists the networks that the caller sees.
func (c *Control) Networks(ctx context.Context, q network.Query) ([]network.Network, error) {
	if !c.reads(ctx, "get_network") {
		return nil, nil
	}
	list, err := c.store.Networks(ctx, c.store, c.scope(ctx), q)
	return showNetworks(ctx, list), err
}

// Network returns a network that the caller sees.
func (c *Control) Network(ctx context.Context, id string) (network.Network, error) {
	n, err := c.store.Network(ctx, c.store, c.scope(ctx), id)
	if err != nil {
		return n, err
	}
	return showNetworks(ctx, []network.Network{n})[0], nil
}

// showNetworks takes away what the caller does not see.
func showNetworks(ctx context.Context, list []network.Network) []network.Network {
	if !policy.Allows(ctx, "get_network:provider:network_type", auth.Own(ctx)) {
		for i := range list {
			list[i].NetworkPlacement = nil
		}
	}
	return list
}

// CreateNetworks makes networks, all or none.
func (c *Control) CreateNetworks(ctx context.Context, inputs []network.NetworkInput) ([]network.Network, error) {
	var made []network.Network
	err := c.write(ctx, func(tx *write) error {
		made = nil
		for _, in := range inputs {
			n, err := c.createNetwork(ctx, tx, in)
			if err != nil {
				return err
			}
			made = append(made, n)
		}
		return nil
	})
	return showNetworks(ctx, made), err
}

func (c *Control) createNetwork(ctx context.Context, tx *write, in network.NetworkInput) (network.Network, error) {
	project := c.project(ctx, in.OwnerInput)
	if err := enforce(ctx, "create_network", owned(project), in); err != nil {
		return network.Network{}, err
	}
	if err := c.takeQuota(ctx, tx, project, "network", 1); err != nil {
		return network.Network{}, err
	}
	n := network.Network{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()), Name: in.Name.Or(""),
		AdminUp: in.AdminUp.Or(true), Status: network.Active, Shared: in.Shared.Or(false), External: in.External.Or(false),
		PortSecurity: in.PortSecurity.Or(true), Subnets: []string{}, Zones: []string{}, ZoneHints: orNone(in.ZoneHints.Or(nil)), DNSDomain: in.DNSDomain.Or("")}
	if err := c.checkZones(ctx, tx, "network", n.ZoneHints); err != nil {
		return n, err
	}
	if err := checkDomain("dns_domain", n.DNSDomain); err != nil {
		return n, err
	}
	var err error
	if n.NetworkPlacement, err = c.placeNetwork(ctx, tx, in); err != nil {
		return n, err
	}
	if n.MTU, err = c.networkMTU(in.MTU, c.options.PhysicalMTU); err != nil {
		return n, err
	}
	if n.QoSPolicy, err = c.networkQoS(ctx, tx, project, in); err != nil {
		return n, err
	}
	if err := c.mayPromise(ctx, tx, n.QoSPolicy, n); err != nil {
		return n, err
	}
	if _, err := c.defaultGroup(ctx, tx, project); err != nil {
		return n, err
	}
	if n.External {
		n.IsDefault = new(in.IsDefault.Or(false))
	}
	if err := c.oneDefaultExternal(ctx, tx, n); err != nil {
		return n, err
	}
	if err := c.store.InsertNetwork(ctx, tx.Tx, n); err != nil {
		return n, err
	}
	return n, c.setAccess(ctx, tx, network.Network{Standard: n.Standard}, n.Shared, n.External)
}

// oneDefaultExternal refuses a second default external network.
func (c *Control) oneDefaultExternal(ctx context.Context, tx *write, n network.Network) error {
	if n.IsDefault == nil || !*n.IsDefault {
		return nil
	}
	there, _, err := c.store.TopologyParts(ctx, tx)
	if err == nil && there != "" && there != n.ID {
		err = fault.Conflictf("A default external network already exists: %s.", there).WithCode("DefaultExternalNetworkExists")
	}
	return err
}

// networkQoS is the policy of a new network: the one asked for, or its project's
// default one.
func (c *Control) networkQoS(ctx context.Context, tx *write, project string, in network.NetworkInput) (*string, error) {
	if !in.QoSPolicy.Set {
		id, err := c.store.DefaultQoSPolicy(ctx, tx, project)
		if err != nil || id == "" {
			return nil, err
		}
		return &id, c.store.Lock(ctx, tx.Tx, "qos_policies", id)
	}
	return c.useQoS(ctx, tx, in.QoSPolicy, nil)
}

func orNone[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (c *Control) networkMTU(in network.Opt[int], standard int) (int, error) {
	mtu := in.Or(0)
	switch {
	case mtu == 0:
		return standard, nil
	case mtu < network.MinMTU:
		return 0, invalid("mtu", "'%d' is too small: at least %d is needed", mtu, network.MinMTU)
	case mtu > c.options.PhysicalMTU:
		return 0, badInput("Requested MTU is too big, maximum is %d", c.options.PhysicalMTU)
	}
	return mtu, nil
}

// setAccess brings the policies for everybody to what a network's attributes say.
func (c *Control) setAccess(ctx context.Context, tx *write, was network.Network, shared, external bool) error {
	for _, a := range []struct {
		action   string
		had, has bool
	}{{network.AccessShared, was.Shared, shared}, {network.AccessExternal, was.External, external}} {
		switch {
		case a.had == a.has:
		case a.has:
			err := c.store.InsertRBACPolicy(ctx, tx.Tx, network.RBACPolicy{ID: newID(), Owner: was.Owner, ObjectType: "network",
				ObjectID: was.ID, Action: a.action, Target: "*"})
			if err != nil {
				return err
			}
		default:
			if err := c.store.Ungrant(ctx, tx.Tx, was.ID, a.action); err != nil {
				return err
			}
		}
	}
	return nil
}

// UpdateNetwork changes a network.
func (c *Control) UpdateNetwork(ctx context.Context, id string, in network.NetworkInput, m network.Match) (network.Network, error) {
	var n network.Network
	err := c.write(ctx, func(tx *write) error {
		var err error
		if n, err = c.store.Network(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		if err := enforce(ctx, "update_network", owned(n.ProjectID), in); err != nil {
			return err
		}
		if err := matches(m, n.Standard); err != nil {
			return err
		}
		if in.Type.Set || in.Physical.Set || in.Segmentation.Set {
			return badInput("Plugin does not support updating the following provider network attributes: provider:network_type, provider:physical_network, provider:segmentation_id")
		}
		was := n
		n.Name, n.Description, n.AdminUp = in.Name.Or(n.Name), in.Description.Or(n.Description), in.AdminUp.Or(n.AdminUp)
		n.PortSecurity, n.DNSDomain = in.PortSecurity.Or(n.PortSecurity), in.DNSDomain.Or(n.DNSDomain)
		n.Shared, n.External = in.Shared.Or(n.Shared), in.External.Or(n.External)
		if n.IsDefault = nil; n.External {
			n.IsDefault = new(in.IsDefault.Or(was.IsDefault != nil && *was.IsDefault))
		}
		if err := c.oneDefaultExternal(ctx, tx, n); err != nil {
			return err
		}
		if n.MTU, err = c.networkMTU(in.MTU, n.MTU); err != nil {
			return err
		}
		if err := checkDomain("dns_domain", n.DNSDomain); err != nil {
			return err
		}
		if n.QoSPolicy, err = c.useQoS(ctx, tx, in.QoSPolicy, n.QoSPolicy); err != nil {
			return err
		}
		if in.QoSPolicy.Set {
			if err := c.mayPromise(ctx, tx, n.QoSPolicy, n); err != nil {
				return err
			}
			if deref(n.QoSPolicy) != deref(was.QoSPolicy) {
				if err := c.claimedBy(ctx, tx, n); err != nil {
					return err
				}
			}
		}
		if was.Shared && !n.Shared {
			if err := c.mayUnshare(ctx, tx, n, ""); err != nil {
				return err
			}
		}
		if was.External && !n.External {
			if err := c.mayMakeInternal(ctx, tx, n); err != nil {
				return err
			}
		}
		if err := c.setAccess(ctx, tx, was, n.Shared, n.External); err != nil {
			return err
		}
		tx.network(id)
		if err := c.store.UpdateNetwork(ctx, tx.Tx, n, c.now()); err != nil {
			return err
		}
		isDefault := n.IsDefault
		n, err = c.store.Network(ctx, tx, store.Everything, id)
		n.Shared, n.External, n.IsDefault = in.Shared.Or(was.Shared), in.External.Or(was.External), isDefault
		return err
	})
	if err != nil {
		return n, err
	}
	return showNetworks(ctx, []network.Network{n})[0], nil
}

// mayUnshare refuses to take a network away from projects that use it; only
// names a single project, "" all.
func (c *Control) mayUnshare(ctx context.Context, tx *write, n network.Network, only string) error {
	users, err := c.store.NetworkUsers(ctx, tx, n.ID, n.ProjectID)
	if err != nil {
		return err
	}
	for _, user := range users {
		if only != "" && user != only {
			continue
		}
		granted, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM rbac_policies WHERE object_id = ? AND action = ? AND target = ?`,
			n.ID, network.AccessShared, map[bool]string{true: user, false: "*"}[only == ""])
		if err != nil {
			return err
		}
		if granted == 0 {
			return fault.Conflictf("Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.ID).WithCode("InvalidSharedSetting")
		}
	}
	return nil
}

func (c *Control) mayMakeInternal(ctx context.Context, tx *write, n network.Network) error {
	gateways, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM ports WHERE network_id = ? AND device_owner IN (?, ?)`,
		n.ID, network.OwnerRouterGateway, network.OwnerFloatingIP)
	if err == nil && gateways > 0 {
		err = fault.Conflictf("External network %s cannot be updated to be made non-external, since it has existing gateway ports.", n.ID).
			WithCode("ExternalNetworkInUse")
	}
	return err
}

// DeleteNetwork removes a network on which nothing but DHCP is left.
func (c *Control) DeleteNetwork(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error { return c.deleteNetwork(ctx, tx, id, m) })
}

func (c *Control) deleteNetwork(ctx context.Context, tx *write, id string, m network.Match) error {
	n, err := c.store.Network(ctx, tx, c.scope(ctx), id)
	if err != nil {
		return err
	}
	if err := enforce(ctx, "delete_network", owned(n.ProjectID), nil); err != nil {
		return err
	}
	if err := matches(m, n.Standard); err != nil {
		return err
	}
	if err := c.deleteUnmapped(ctx, tx, id); err != nil {
		return err
	}
	ports, err := c.store.PortsWhere(ctx, tx, `t.network_id = ?`, id)
	if err != nil {
		return err
	}
	if used := inUse(ports); len(used) > 0 {
		return fault.Conflictf("Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports %s.",
			id, list(used)).WithCode("NetworkInUse")
	}
	for _, p := range ports {
		tx.host(p.Host)
		if err := c.store.DeletePort(ctx, tx.Tx, p.ID); err != nil {
			return err
		}
	}
	return c.store.DeleteNetwork(ctx, tx.Tx, id)
}

// deleteUnmapped gives back the floating IPs of an external network that are
// mapped to nothing: they do not hold it.
func (c *Control) deleteUnmapped(ctx context.Context, tx *write, networkID string) error {
	list, err := c.store.FloatingIPsWhere(ctx, tx, `t.network_id = ? AND t.port_id IS NULL`, networkID)
	if err != nil {
		return err
	}
	for _, f := range list {
		if err := c.store.DeleteFloatingIP(ctx, tx.Tx, f.ID); err != nil {
			return err
		}
		if err := c.store.DeletePort(ctx, tx.Tx, f.FloatingPort); err != nil {
			return err
		}
	}
	return nil
}

// inUse returns the ports that are more than this service's own DHCP ports.
func inUse(ports []network.Port) []string {
	var used []string
	for _, p := range ports {
		if p.DeviceOwner != network.OwnerDHCP {
			used = append(used, p.ID)
		}
	}
	return used
}

// list names a few ids in a message.
func list(ids []string) string {
	const most = 5
	out := ""
	for i, id := range ids {
		if i == most {
			return out + " and others"
		}
		if i > 0 {
			out += ","
		}
		out += id
	}
	return out
}
