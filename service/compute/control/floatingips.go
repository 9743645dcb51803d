package control

import (
	"context"
	"net/netip"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// AssociateFloatingIP leads a floating IP of the caller's to a server: to its
// address fixed or, if that is not given, to its first of IPv4.
func (c *Control) AssociateFloatingIP(ctx context.Context, serverID, address, fixed string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-floating-ips:add", serverID)
	if err != nil {
		return err
	}
	port, to, err := addressOf(s, fixed)
	if err != nil {
		return err
	}
	f, err := c.floatingIP(ctx, address)
	if err != nil {
		return err
	}
	if err := c.OldNetworks.Associate(ctx, f.ID, port, to); err != nil {
		if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "%w", err)
		}
		return err
	}
	if f.ServerID != "" && f.ServerID != s.ID { // it led elsewhere before
		if other, err := c.Store.Server(ctx, c.Store.DB, f.ServerID); err == nil {
			if err := c.refreshPorts(ctx, other); err != nil {
				return err
			}
		}
	}
	return c.refreshPorts(ctx, s)
}

// addressOf finds the port of a server that has an address.
func addressOf(s *compute.Server, fixed string) (portID string, address netip.Addr, err error) {
	if len(s.Networks) == 0 {
		return "", address, fault.Invalidf("No fixed IPs associated to instance")
	}
	for _, n := range s.Networks {
		for _, ip := range n.FixedIPs {
			if fixed == ip.Address.String() || fixed == "" && ip.Address.Is4() {
				return n.PortID, ip.Address, nil
			}
		}
	}
	if fixed != "" {
		return "", address, fault.Invalidf("Specified fixed address not assigned to instance")
	}
	return "", address, fault.Invalidf("Instance %s has no fixed IPv4 addresses to associate.", s.ID)
}

func (c *Control) floatingIP(ctx context.Context, address string) (compute.FloatingIP, error) {
	all, err := c.OldNetworks.FloatingIPs(ctx, auth.From(ctx).ProjectID)
	if err != nil {
		return compute.FloatingIP{}, err
	}
	for _, f := range all {
		if f.Address.String() == address {
			return f, nil
		}
	}
	return compute.FloatingIP{}, fault.NotFoundf("floating IP not found")
}

// refreshPorts asks the network service anew what a server's ports are like.
func (c *Control) refreshPorts(ctx context.Context, s *compute.Server) error {
	return c.readPorts(ctx, s, func(*db.Tx) error { return nil })
}

// DisassociateFloatingIP ends that a floating IP leads to a server.
func (c *Control) DisassociateFloatingIP(ctx context.Context, serverID, address string) error {
	s, err := c.ownServer(ctx, "os_compute_api:os-floating-ips:remove", serverID)
	if err != nil {
		return err
	}
	f, err := c.floatingIP(ctx, address)
	if err != nil {
		return err
	}
	if f.ServerID != s.ID {
		return fault.Conflictf("Floating IP %s is not associated with instance %s.", address, serverID)
	}
	if err := c.OldNetworks.Associate(ctx, f.ID, "", netip.Addr{}); err != nil {
		return err
	}
	return c.refreshPorts(ctx, s)
}

// ReleaseFloatingIP gives a floating IP back to its pool.
func (c *Control) ReleaseFloatingIP(ctx context.Context, id string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-floating-ips:delete", auth.Own(ctx)); err != nil {
		return err
	}
	f, err := c.OldNetworks.FloatingIP(ctx, id)
	if err != nil {
		return err
	}
	if err := c.OldNetworks.ReleaseFloatingIP(ctx, id); err != nil {
		return err
	}
	s, err := c.Store.Server(ctx, c.Store.DB, f.ServerID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.refreshPorts(ctx, s)
}

// AddFixedIP gives a server's port on a network a further address.
func (c *Control) AddFixedIP(ctx context.Context, serverID, networkID string) error {
	s, err := c.changeable(ctx, "os_compute_api:os-multinic:add", serverID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(s.Networks, func(n compute.Interface) bool { return n.NetworkID == networkID })
	if i < 0 {
		return fault.Invalidf("Network could not be found for instance %s: it has no port on %.64s.", serverID, networkID)
	}
	if err := c.OldNetworks.AddFixedIP(ctx, s.Networks[i].PortID); err != nil {
		return err
	}
	return c.refreshPorts(ctx, s)
}

// RemoveFixedIP takes an address from a server.
func (c *Control) RemoveFixedIP(ctx context.Context, serverID, address string) error {
	s, err := c.changeable(ctx, "os_compute_api:os-multinic:remove", serverID)
	if err != nil {
		return err
	}
	port, ip, err := addressOf(s, address)
	if err != nil || address == "" {
		return fault.Invalidf("Fixed IP %s is not an address of instance %s.", address, serverID)
	}
	if err := c.OldNetworks.RemoveFixedIP(ctx, port, ip); err != nil {
		return err
	}
	return c.refreshPorts(ctx, s)
}
