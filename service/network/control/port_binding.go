package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// A port is in use on one host at most; that binding is a part of the port. It
// may have further ones on other hosts, of which one takes over when its server
// has been carried there while it ran.

// boundPort reads a port of a server for somebody who may do rule with its
// bindings, and all of these, the one in use first.
func (c *Control) boundPort(ctx context.Context, q db.Querier, rule, portID string) (p network.Port, n network.Network, all []network.PortBinding, err error) {
	if p, err = c.store.Port(ctx, q, c.scope(ctx), portID); err != nil {
		return p, n, nil, err
	}
	if n, err = c.store.Network(ctx, q, store.Everything, p.NetworkID); err != nil {
		return p, n, nil, err
	}
	if err := denied(policy.Enforce(ctx, rule, onNetwork(p.ProjectID, n))); err != nil {
		return p, n, nil, err
	}
	if !network.IsServerPort(p.DeviceOwner) {
		return p, n, nil, badRequest("port", "Invalid port %s. Operation only valid on compute and shared filesystem ports", portID)
	}
	if p.Host != "" {
		all = append(all, bindingInUse(p))
	}
	others, err := c.store.Bindings(ctx, q, portID)
	return p, n, append(all, others...), err
}

func bindingInUse(p network.Port) network.PortBinding {
	return network.PortBinding{Host: p.Host, VIFType: p.VIFType, VIFDetails: store.VIFDetails(p.VIFType), VNICType: p.VNICType, Profile: p.Profile, Status: network.Active}
}

func bindingOn(all []network.PortBinding, portID, host string) (network.PortBinding, error) {
	for _, b := range all {
		if b.Host == host {
			return b, nil
		}
	}
	return network.PortBinding{}, fault.NotFoundf("Binding for port %s for host %.255s could not be found.", portID, host).WithCode("PortBindingNotFound")
}

// PortBindings lists the bindings of a port.
func (c *Control) PortBindings(ctx context.Context, portID string, q network.Query) ([]network.PortBinding, error) {
	_, _, all, err := c.boundPort(ctx, c.store, "get_port_binding", portID)
	if err != nil {
		return nil, err
	}
	for name, wanted := range q.Filters {
		of := map[string]func(network.PortBinding) string{"host": func(b network.PortBinding) string { return b.Host }, "status": func(b network.PortBinding) string { return b.Status },
			"vif_type": func(b network.PortBinding) string { return b.VIFType }, "vnic_type": func(b network.PortBinding) string { return b.VNICType }}[name]
		if of == nil {
			return nil, fault.Invalidf("['%.64s'] is invalid attribute for filtering", name).WithCode("HTTPBadRequest")
		}
		all = slices.DeleteFunc(all, func(b network.PortBinding) bool { return !slices.Contains(wanted, of(b)) })
	}
	return all, nil
}

// PortBinding returns the binding of a port to a host.
func (c *Control) PortBinding(ctx context.Context, portID, host string) (network.PortBinding, error) {
	_, _, all, err := c.boundPort(ctx, c.store, "get_port_binding", portID)
	if err != nil {
		return network.PortBinding{}, err
	}
	return bindingOn(all, portID, host)
}

// CreatePortBinding binds a port to a further host, where it is not in use yet,
// or, if it is in use nowhere, to its first one.
func (c *Control) CreatePortBinding(ctx context.Context, portID string, in network.PortBindingInput) (b network.PortBinding, err error) {
	host := strings.TrimSpace(in.Host.Or(""))
	if host == "" {
		return b, invalid("host", "a binding names the host that it is to")
	}
	err = c.write(ctx, func(tx *write) error {
		p, n, all, err := c.boundPort(ctx, tx, "create_port_binding", portID)
		if err != nil {
			return err
		}
		if _, missing := bindingOn(all, portID, host); missing == nil {
			return fault.Conflictf("Binding for port %s on host %s already exists.", portID, host).WithCode("PortBindingAlreadyExists")
		}
		if len(all) >= maxBindings {
			return fault.Conflictf("Port %s has %d bindings, and a further one, to host %s, is too many.", portID, len(all), host).WithCode("PortBindingError")
		}
		if p.Host != "" {
			b, err = c.bindAside(ctx, tx, p, n, network.PortBinding{Host: host, VNICType: network.VNICNormal}, in)
			return err
		}
		b, err = c.bindInUse(ctx, tx, &p, n, host, in)
		return err
	})
	return b, err
}

// maxBindings bounds the bindings of a port: where it is, where it goes, and what
// moves that were cut off may have left.
const maxBindings = 16

// UpdatePortBinding changes a binding of a port.
func (c *Control) UpdatePortBinding(ctx context.Context, portID, host string, in network.PortBindingInput) (b network.PortBinding, err error) {
	err = c.write(ctx, func(tx *write) error {
		p, n, all, err := c.boundPort(ctx, tx, "update_port_binding", portID)
		if err != nil {
			return err
		}
		if b, err = bindingOn(all, portID, host); err != nil {
			return err
		}
		if b.Status == network.Active {
			b, err = c.bindInUse(ctx, tx, &p, n, host, in)
		} else {
			b, err = c.bindAside(ctx, tx, p, n, b, in)
		}
		return err
	})
	return b, err
}

// bindInUse makes or changes the binding that a port uses.
func (c *Control) bindInUse(ctx context.Context, tx *write, p *network.Port, n network.Network, host string, in network.PortBindingInput) (network.PortBinding, error) {
	change := network.PortInput{Host: network.Some(host), VNICType: in.VNICType, Profile: in.Profile}
	if err := c.changePort(ctx, tx, p, n, change); err != nil {
		return network.PortBinding{}, err
	}
	if p.VIFType == network.VIFFailed {
		return network.PortBinding{}, unbindable(p.ID, host)
	}
	return bindingInUse(*p), nil
}

// bindAside makes or changes a binding that a port does not use.
func (c *Control) bindAside(ctx context.Context, tx *write, p network.Port, n network.Network, b network.PortBinding, in network.PortBindingInput) (network.PortBinding, error) {
	if err := checkVNIC("vnic_type", in.VNICType); err != nil {
		return b, err
	}
	b.VNICType, b.Profile, b.Status = in.VNICType.Or(b.VNICType), in.Profile.Or(b.Profile), network.Inactive
	if b.Profile == nil || in.Profile.Null {
		b.Profile = map[string]any{}
	}
	var err error
	if b.VIFType, err = c.vifType(ctx, tx, b.Host, b.VNICType, n); err != nil {
		return b, err
	}
	if b.VIFType == network.VIFFailed {
		return b, unbindable(p.ID, b.Host)
	}
	b.VIFDetails = store.VIFDetails(b.VIFType)
	return b, c.store.PutBinding(ctx, tx.Tx, p.ID, b)
}

func unbindable(portID, host string) error {
	return fault.Conflictf("Binding for port %s on host %s could not be created or updated: no agent that is alive there can wire it.", portID, host).WithCode("PortBindingError")
}

// ActivatePortBinding has a port use its binding to a host; the one in use until
// now stays aside.
func (c *Control) ActivatePortBinding(ctx context.Context, portID, host string) (b network.PortBinding, err error) {
	err = c.write(ctx, func(tx *write) error {
		p, _, all, err := c.boundPort(ctx, tx, "activate", portID)
		if err != nil {
			return err
		}
		if b, err = bindingOn(all, portID, host); err != nil {
			return err
		}
		if b.Status == network.Active {
			return fault.Conflictf("Binding for port %s on host %s is already active.", portID, host).WithCode("PortBindingAlreadyActive")
		}
		if err := tx.port(tx, ctx, c, p); err != nil {
			return err
		}
		if p.Host != "" {
			was := bindingInUse(p)
			was.VIFType = network.VIFUnbound
			if err := c.store.PutBinding(ctx, tx.Tx, portID, was); err != nil {
				return err
			}
		}
		if err := c.store.DropBinding(ctx, tx.Tx, portID, host); err != nil {
			return err
		}
		p.Binding = &network.Binding{Host: host, VIFType: b.VIFType, Profile: b.Profile}
		p.VNICType, p.Status, b.Status = b.VNICType, network.Down, network.Active
		if err := c.store.UpdatePort(ctx, tx.Tx, p, false, true, c.now()); err != nil {
			return err
		}
		return tx.port(tx, ctx, c, p)
	})
	return b, err
}

// DeletePortBinding takes a port from a host. If it is in use there, it is in use
// nowhere afterwards.
func (c *Control) DeletePortBinding(ctx context.Context, portID, host string) error {
	return c.write(ctx, func(tx *write) error {
		p, n, all, err := c.boundPort(ctx, tx, "delete_port_binding", portID)
		if err != nil {
			return err
		}
		b, err := bindingOn(all, portID, host)
		if err != nil {
			return err
		}
		if b.Status == network.Active {
			return c.changePort(ctx, tx, &p, n, network.PortInput{Host: network.Some("")})
		}
		return c.store.DropBinding(ctx, tx.Tx, portID, host)
	})
}
