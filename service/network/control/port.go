package control

import (
	"cmp"
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Ports lists the ports that the caller sees.
func (c *Control) Ports(ctx context.Context, q network.Query) ([]network.Port, error) {
	if !c.reads(ctx, "get_port") {
		return nil, nil
	}
	list, err := c.store.Ports(ctx, c.store, c.scope(ctx), q)
	return c.showPorts(ctx, list), err
}

// Port returns a port that the caller sees.
func (c *Control) Port(ctx context.Context, id string) (network.Port, error) {
	p, err := c.store.Port(ctx, c.store, c.scope(ctx), id)
	if err != nil {
		return p, err
	}
	return c.showPorts(ctx, []network.Port{p})[0], nil
}

// showPorts completes ports and takes away what the caller does not see.
func (c *Control) showPorts(ctx context.Context, list []network.Port) []network.Port {
	hidden := !policy.Allows(ctx, "get_port:binding:host_id", auth.Own(ctx))
	for i := range list {
		list[i].DNSAssignment = c.assignments(list[i])
		if hidden {
			list[i].Binding = nil
		}
	}
	return list
}

// CreatePorts makes ports, all or none.
func (c *Control) CreatePorts(ctx context.Context, inputs []network.PortInput) ([]network.Port, error) {
	var made []network.Port
	err := c.write(ctx, func(tx *write) error {
		made = nil
		for _, in := range inputs {
			p, err := c.createPort(ctx, tx, in)
			if err != nil {
				return err
			}
			made = append(made, p)
		}
		return nil
	})
	return c.showPorts(ctx, made), err
}

func (c *Control) createPort(ctx context.Context, tx *write, in network.PortInput) (network.Port, error) {
	none := network.Port{}
	n, err := c.store.Network(ctx, tx, c.scope(ctx), in.NetworkID.V)
	if err != nil {
		return none, err
	}
	project := c.project(ctx, in.OwnerInput)
	target := onNetwork(project, n)
	if err := enforce(ctx, "create_port", target, in); err != nil {
		return none, err
	}
	if err := enforceFixed(ctx, "create_port", target, in.FixedIPs); err != nil {
		return none, err
	}
	if err := mayOwn(ctx, "create_port", in.DeviceOwner.Or("")); err != nil {
		return none, err
	}
	p := network.Port{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()), Name: in.Name.Or(""), NetworkID: n.ID,
		AdminUp: in.AdminUp.Or(true), Status: network.Down, DeviceID: in.DeviceID.Or(""), DeviceOwner: in.DeviceOwner.Or(""),
		Pairs: []network.Pair{}, DHCPOptions: []network.DHCPOption{}, PortSecurity: in.PortSecurity.Or(n.PortSecurity), VNICType: in.VNICType.Or(network.VNICNormal),
		Binding: &network.Binding{Profile: map[string]any{}}}
	if err := c.setPortGroups(ctx, tx, &p, in); err != nil {
		return none, err
	}
	if err := c.setPortExtras(&p, in); err != nil {
		return none, err
	}
	if err := c.bind(ctx, tx, &p, n, in); err != nil {
		return none, err
	}
	if p.QoSPolicy, err = c.useQoS(ctx, tx, in.QoSPolicy, nil); err != nil {
		return none, err
	}
	if err := c.mayPromise(ctx, tx, cmp.Or(p.QoSPolicy, n.QoSPolicy), n, p); err != nil {
		return none, err
	}
	p.NetworkQoS = n.QoSPolicy
	return c.insertPort(ctx, tx, p, in.MAC.Or(""), in.FixedIPs)
}

// insertPort gives a new port its MAC address and addresses and writes it.
func (c *Control) insertPort(ctx context.Context, tx *write, p network.Port, mac string, fixed network.Opt[[]network.FixedIPInput]) (network.Port, error) {
	if p.DeviceOwner != network.OwnerDHCP { // which is ours, though it counts as theirs
		if err := c.takeQuota(ctx, tx, p.ProjectID, "port", 1); err != nil {
			return p, err
		}
	}
	var err error
	if p.MAC, err = c.portMAC(ctx, tx, p.NetworkID, mac); err != nil {
		return p, err
	}
	subnets, err := c.store.SubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return p, err
	}
	w := wish{portID: p.ID, networkID: p.NetworkID, mac: p.MAC, owner: p.DeviceOwner, fixed: fixed}
	if p.FixedIPs, err = c.addresses(ctx, tx, w, subnets); err != nil {
		return p, err
	}
	p.FixedIPs, p.VIFDetails = orNone(p.FixedIPs), store.VIFDetails(p.VIFType)
	if err := c.store.InsertPort(ctx, tx.Tx, p); err != nil {
		return p, err
	}
	if cmp.Or(p.QoSPolicy, p.NetworkQoS) != nil { // what it takes of its host
		if p, err = c.store.Port(ctx, tx, store.Everything, p.ID); err != nil {
			return p, err
		}
	}
	return p, tx.port(tx, ctx, c, p)
}

// portMAC checks the MAC address that a request names, or makes one.
func (c *Control) portMAC(ctx context.Context, tx *write, networkID, mac string) (string, error) {
	if mac == "" {
		return c.newMAC(ctx, tx, networkID)
	}
	mac, err := checkMAC("mac_address", mac)
	if err != nil {
		return "", err
	}
	taken, err := c.store.MACTaken(ctx, tx, networkID, mac)
	if err == nil && taken {
		err = fault.Conflictf("Unable to complete operation for network %s. The mac address %s is in use.", networkID, mac).WithCode("MacAddressInUse")
	}
	return mac, err
}

// enforceFixed checks the rules about single addresses.
func enforceFixed(ctx context.Context, rule string, target auth.Target, fixed network.Opt[[]network.FixedIPInput]) error {
	for _, f := range fixed.V {
		if f.IP != nil {
			if err := denied(policy.Enforce(ctx, rule+":fixed_ips:ip_address", target)); err != nil {
				return err
			}
		}
		if f.SubnetID != nil {
			if err := denied(policy.Enforce(ctx, rule+":fixed_ips:subnet_id", target)); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayOwn refuses device owners that mean a part of this service: who could give
// them to a port would put it into another's router, or past the filters.
func mayOwn(ctx context.Context, rule, owner string) error {
	switch owner {
	case network.OwnerDHCP, network.OwnerRouterInterface, network.OwnerRouterGateway, network.OwnerFloatingIP:
	default:
		return nil
	}
	if policy.Allows(ctx, "context_is_admin", nil) || policy.Allows(ctx, "service_api", nil) {
		return nil
	}
	return fault.Forbiddenf("Policy doesn't allow %s:device_owner to be performed: %s is a device owner of the network service itself.", rule, owner).
		WithCode("PolicyNotAuthorized")
}

// UpdatePort changes a port.
func (c *Control) UpdatePort(ctx context.Context, id string, in network.PortInput, m network.Match) (network.Port, error) {
	var p network.Port
	err := c.withClaim(ctx, id, in, func(r *reclaiming) error {
		var err error
		p, err = c.updatePort(ctx, id, in, m, r)
		return err
	})
	if err != nil {
		return p, err
	}
	return c.showPorts(ctx, []network.Port{p})[0], nil
}

func (c *Control) updatePort(ctx context.Context, id string, in network.PortInput, m network.Match, claim *reclaiming) (p network.Port, err error) {
	err = c.write(ctx, func(tx *write) error {
		var err error
		if p, err = c.store.Port(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		n, err := c.store.Network(ctx, tx, store.Everything, p.NetworkID)
		if err != nil {
			return err
		}
		target := onNetwork(p.ProjectID, n)
		if err := enforce(ctx, "update_port", target, in); err != nil {
			return err
		}
		if err := enforceFixed(ctx, "update_port", target, in.FixedIPs); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		if err := claim.follow(&p); err != nil {
			return err
		}
		if err := c.changePort(ctx, tx, &p, n, in); err != nil {
			return err
		}
		p, err = c.store.Port(ctx, tx, store.Everything, id)
		return err
	})
	return p, err
}

func (c *Control) changePort(ctx context.Context, tx *write, p *network.Port, n network.Network, in network.PortInput) error {
	was := *p
	binding := *p.Binding
	p.Binding = &binding
	if err := tx.port(tx, ctx, c, was); err != nil {
		return err
	}
	p.Name, p.Description, p.AdminUp = in.Name.Or(p.Name), in.Description.Or(p.Description), in.AdminUp.Or(p.AdminUp)
	if in.DeviceID.Set {
		p.DeviceID = in.DeviceID.Or("")
	}
	if in.DeviceOwner.Set && in.DeviceOwner.Or("") != p.DeviceOwner {
		p.DeviceOwner = in.DeviceOwner.Or("")
		if err := mayOwn(ctx, "update_port", p.DeviceOwner); err != nil {
			return err
		}
	}
	if network.IsRouterPort(was.DeviceOwner) && (p.DeviceOwner != was.DeviceOwner || p.DeviceID != was.DeviceID) {
		return fault.Conflictf("Port %s cannot be updated directly: it is an interface of router %s.", p.ID, was.DeviceID).WithCode("ServicePortInUse")
	}
	p.PortSecurity = in.PortSecurity.Or(p.PortSecurity)
	if err := c.setPortGroups(ctx, tx, p, in); err != nil {
		return err
	}
	if err := c.setPortExtras(p, in); err != nil {
		return err
	}
	if err := c.changeMAC(ctx, tx, p, in.MAC); err != nil {
		return err
	}
	if err := c.bind(ctx, tx, p, n, in); err != nil {
		return err
	}
	if err := c.changeQoS(ctx, tx, p, n, in); err != nil {
		return err
	}
	moved := in.FixedIPs.Set && !in.FixedIPs.Null
	if moved {
		if err := c.readdress(ctx, tx, p, in.FixedIPs); err != nil {
			return err
		}
	}
	if err := c.store.UpdatePort(ctx, tx.Tx, *p, moved, true, c.now()); err != nil {
		return err
	}
	if moved {
		if err := c.changed(ctx, tx, *p); err != nil {
			return err
		}
	}
	return tx.port(tx, ctx, c, *p)
}

func (c *Control) changeQoS(ctx context.Context, tx *write, p *network.Port, n network.Network, in network.PortInput) error {
	var err error
	if p.QoSPolicy, err = c.useQoS(ctx, tx, in.QoSPolicy, p.QoSPolicy); err != nil || !in.QoSPolicy.Set && !in.VNICType.Set {
		return err
	}
	return c.mayPromise(ctx, tx, cmp.Or(p.QoSPolicy, n.QoSPolicy), n, *p)
}

func (c *Control) changeMAC(ctx context.Context, tx *write, p *network.Port, in network.Opt[string]) error {
	mac := in.Or("")
	if mac == "" || mac == p.MAC {
		return nil
	}
	if p.Host != "" && p.VIFType != network.VIFUnbound && p.VIFType != network.VIFFailed {
		return fault.Conflictf("Unable to complete operation on port %s, port is already bound, port type: %s, old_mac %s, new_mac %s.",
			p.ID, p.VIFType, p.MAC, mac).WithCode("PortBound")
	}
	var err error
	p.MAC, err = c.portMAC(ctx, tx, p.NetworkID, mac)
	return err
}

// readdress gives a port other addresses; floating IPs of those that go are
// taken off.
func (c *Control) readdress(ctx context.Context, tx *write, p *network.Port, fixed network.Opt[[]network.FixedIPInput]) error {
	subnets, err := c.store.SubnetsOf(ctx, tx, p.NetworkID)
	if err != nil {
		return err
	}
	was := p.FixedIPs
	w := wish{portID: p.ID, networkID: p.NetworkID, mac: p.MAC, owner: p.DeviceOwner, fixed: fixed, had: was}
	if p.FixedIPs, err = c.addresses(ctx, tx, w, subnets); err != nil {
		return err
	}
	left := map[string]bool{}
	for _, f := range p.FixedIPs {
		left[f.IP] = true
	}
	for _, f := range was {
		if !left[f.IP] {
			if err := c.takeOffFloating(ctx, tx, `t.port_id = ? AND t.fixed_ip = ?`, p.ID, f.IP); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeletePort removes a port that no router or floating IP needs.
func (c *Control) DeletePort(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		p, err := c.store.Port(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		n, err := c.store.Network(ctx, tx, store.Everything, p.NetworkID)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_port", onNetwork(p.ProjectID, n), nil); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		if err := c.needed(ctx, tx, p); err != nil {
			return err
		}
		return c.removePort(ctx, tx, p)
	})
}

// needed refuses to delete a port by itself that is a part of something else.
func (c *Control) needed(ctx context.Context, tx *write, p network.Port) error {
	var table, what string
	switch p.DeviceOwner {
	case network.OwnerRouterInterface, network.OwnerRouterGateway:
		table, what = "routers", "has device owner "+p.DeviceOwner
	case network.OwnerFloatingIP:
		table, what = "floating_ips", "is associated with a floating IP"
	default:
		return nil
	}
	there, err := c.store.Exists(ctx, tx, table, p.DeviceID)
	if err == nil && there {
		err = fault.Conflictf("Port %s cannot be deleted directly via the port API: %s.", p.ID, what).WithCode("ServicePortInUse")
	}
	return err
}

// removePort deletes a port, and tells compute if a server had it.
func (c *Control) removePort(ctx context.Context, tx *write, p network.Port) error {
	if err := tx.port(tx, ctx, c, p); err != nil {
		return err
	}
	if err := c.takeOffFloating(ctx, tx, `t.port_id = ?`, p.ID); err != nil {
		return err
	}
	if err := c.store.DeletePort(ctx, tx.Tx, p.ID); err != nil {
		return err
	}
	if p.Host == "" {
		return nil
	}
	return c.event(ctx, tx, p, network.EventDeleted)
}
