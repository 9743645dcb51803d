package control

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"kilonova/service/network"
	"kilonova/service/network/store"
)

// providerSpace is the space of the ids of our providers: one host, agent and
// physical network have one id for ever (UUID of version 5).
var providerSpace = uuid.MustParse("5ad1e8cf-9c0e-4d57-9a3d-6a4f6bd1c5e2")

const (
	publishAgain   = time.Hour // Placement is told again that often, should it have lost something
	publishTimeout = 10 * time.Second
)

// providersOf is what a host can promise, as Placement is told: the agent with the
// packets that it processes, and below it each way to a physical network, by the
// names that upstream's agents give them.
func providersOf(host, root string, w network.Wires) []network.Provider {
	name := host + ":" + network.AgentL2
	agent := network.Provider{ID: providerID(name), Name: name, Parent: root, Traits: []string{network.VNICTrait(network.VNICNormal)}, Totals: map[string]int{}}
	count(agent.Totals, "NET_PACKET_RATE_KILOPACKET_PER_SEC", w.Packets)
	count(agent.Totals, "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC", w.PacketsIngress)
	count(agent.Totals, "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC", w.PacketsEgress)
	all := []network.Provider{agent}
	for _, b := range w.Bandwidths {
		way := network.Provider{ID: providerID(name + ":" + b.Physical), Name: name + ":" + b.Physical, Parent: agent.ID,
			Traits: []string{network.PhysicalTrait(b.Physical), network.VNICTrait(network.VNICNormal)}, Totals: map[string]int{}}
		count(way.Totals, "NET_BW_EGR_KILOBIT_PER_SEC", b.Egress)
		count(way.Totals, "NET_BW_IGR_KILOBIT_PER_SEC", b.Ingress)
		all = append(all, way)
	}
	return all
}

func providerID(name string) string { return uuid.NewSHA1(providerSpace, []byte(name)).String() }

func count(totals map[string]int, class string, n int) {
	if n > 0 {
		totals[class] = n
	}
}

// publishWires tells Placement what an agent's host can promise, if that is not what
// it was told last. The host's own provider is compute's to make: while it is not
// there this fails, and is tried again with the next beat.
func (c *Control) publishWires(ctx context.Context, in network.BeatRequest) error {
	agents, err := c.store.AgentsWhere(ctx, c.store, `t.host = ? AND t.type = ?`, in.Host, network.AgentL2)
	if err != nil || len(agents) == 0 {
		return err
	}
	a := agents[0]
	if c.placement == nil || in.Wires.Empty() && len(a.Published.V) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	var all []network.Provider
	if !in.Wires.Empty() {
		root := "" // as it was told last, if it was
		if len(a.Published.V) > 0 {
			root = a.Published.V[0].Parent
		}
		fresh := c.now().Sub(a.PublishedAt.Time) < publishAgain
		if all = providersOf(in.Host, root, in.Wires); fresh && slices.EqualFunc(all, a.Published.V, sameProvider) {
			return nil
		}
		node := in.Wires.Node
		if node == "" {
			node = in.Host
		}
		if root, err = c.placement.ProviderNamed(ctx, node); err != nil {
			return err
		}
		all = providersOf(in.Host, root, in.Wires)
		for _, p := range all {
			if err := c.placement.Publish(ctx, p); err != nil {
				return err
			}
		}
	}
	if err := c.withdrawWires(ctx, a, all); err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error { return c.store.NotePublished(ctx, tx.Tx, a.ID, all, c.now()) })
}

func sameProvider(a, b network.Provider) bool {
	same := a.ID == b.ID && a.Name == b.Name && a.Parent == b.Parent && slices.Equal(a.Traits, b.Traits) && len(a.Totals) == len(b.Totals)
	for class, n := range a.Totals {
		same = same && b.Totals[class] == n
	}
	return same
}

// withdrawWires removes what Placement was told of an agent's host and is not among
// what is there now, the lowest first.
func (c *Control) withdrawWires(ctx context.Context, a store.AgentRow, now []network.Provider) error {
	for _, p := range slices.Backward(a.Published.V) {
		if slices.ContainsFunc(now, func(x network.Provider) bool { return x.ID == p.ID }) {
			continue
		}
		if err := c.placement.Withdraw(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}
