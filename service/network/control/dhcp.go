package control

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// serveDHCP brings the DHCP server of a network to what its subnets want: none,
// one on some host, or the same with other addresses. Without a live agent the
// network waits for one.
func (c *Control) serveDHCP(ctx context.Context, tx *write, networkID string) error {
	return c.serveDHCPOn(ctx, tx, networkID, "")
}

// serveDHCPOn is serveDHCP with a host given, "" any.
func (c *Control) serveDHCPOn(ctx context.Context, tx *write, networkID, host string) error {
	subnets, err := c.store.SubnetsOf(ctx, tx, networkID)
	if err != nil {
		return err
	}
	served := slices.DeleteFunc(subnets, func(s network.Subnet) bool { return !s.EnableDHCP })
	bindings, err := c.store.DHCPBindings(ctx, tx, `t.network_id = ?`, networkID)
	if err != nil {
		return err
	}
	switch {
	case len(served) == 0 && host != "": // asked for by name: it waits there for subnets
		return c.store.BindDHCP(ctx, tx.Tx, store.DHCPBinding{NetworkID: networkID, Host: host})
	case len(served) == 0 && (len(bindings) == 0 || bindings[0].PortID == ""):
		return nil
	case len(served) == 0:
		return c.endDHCP(ctx, tx, bindings[0])
	case len(bindings) > 0 && bindings[0].PortID != "":
		return c.adjustDHCP(ctx, tx, bindings[0], served)
	case len(bindings) > 0:
		host = bindings[0].Host
	}
	n, err := c.store.Network(ctx, tx, store.Everything, networkID)
	if err != nil {
		return err
	}
	if host == "" {
		if host, err = c.choose(ctx, tx, network.AgentDHCP, "dhcp_bindings", physicalOf(n), n.ZoneHints); err != nil || host == "" {
			return err
		}
	}
	p := c.servicePort(networkID, n.ProjectID, dhcpDevice(host, networkID), network.OwnerDHCP)
	p.Host, p.VIFType = host, network.VIFBridge
	p, err = c.insertPort(ctx, tx, p, "", dhcpAddresses(served))
	if fault.Is(err, fault.Conflict) { // no address is left for it: whoever holds them knows them
		c.log.Warn("network: no address is left for DHCP", "network", networkID, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	tx.host(host)
	return c.store.BindDHCP(ctx, tx.Tx, store.DHCPBinding{NetworkID: networkID, Host: host, PortID: p.ID})
}

// dhcpDevice is the device id of a DHCP port, made as upstream makes it.
func dhcpDevice(host, networkID string) string {
	return "dhcp" + uuid.NewSHA1(uuid.NameSpaceDNS, []byte(host)).String() + "-" + networkID
}

func dhcpAddresses(served []network.Subnet) network.Opt[[]network.FixedIPInput] {
	var want []network.FixedIPInput
	for _, s := range served {
		want = append(want, network.FixedIPInput{SubnetID: &s.ID})
	}
	return network.Some(want)
}

// adjustDHCP gives a DHCP port an address of each subnet that it serves.
func (c *Control) adjustDHCP(ctx context.Context, tx *write, b store.DHCPBinding, served []network.Subnet) error {
	p, err := c.store.Port(ctx, tx, store.Everything, b.PortID)
	if err != nil {
		return err
	}
	tx.host(b.Host)
	same := len(served) == len(p.FixedIPs)
	for _, s := range served {
		same = same && slices.ContainsFunc(p.FixedIPs, func(f network.FixedIP) bool { return f.SubnetID == s.ID })
	}
	if same {
		return nil
	}
	err = c.readdress(ctx, tx, &p, dhcpAddresses(served))
	if fault.Is(err, fault.Conflict) {
		c.log.Warn("network: no address is left for DHCP", "network", b.NetworkID, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	return c.store.UpdatePort(ctx, tx.Tx, p, true, false, c.now())
}

// endDHCP removes the DHCP server of a network.
func (c *Control) endDHCP(ctx context.Context, tx *write, b store.DHCPBinding) error {
	tx.host(b.Host)
	if err := c.store.UnbindDHCP(ctx, tx.Tx, b.NetworkID); err != nil {
		return err
	}
	if b.PortID == "" {
		return nil
	}
	return c.store.DeletePort(ctx, tx.Tx, b.PortID)
}
