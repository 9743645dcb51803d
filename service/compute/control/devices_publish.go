package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// lastOffer is what Placement was told last of a host; the zero value where that is
// not known.
func lastOffer(h *compute.Host) offer {
	var last offer
	if json.Unmarshal([]byte(h.Published), &last) != nil || last.Node != h.NodeID {
		return offer{} // an older text, or nothing
	}
	return last
}

// refuseDevices refuses a report of a host whose devices cannot become what it says,
// since some of them are in use, or Placement knows them. Until its configuration is
// mended the host counts as down: its agent would not start, were it upstream's.
func refuseDevices(h *compute.Host, r *compute.Resources, holds map[string]compute.Hold) error {
	if !r.PCIInPlacement {
		if last := lastOffer(h); len(last.Devices) > 0 {
			return fault.Invalidf("Host %s has [pci] report_in_placement = false, and Placement knows %d of its devices already (%s). It cannot be taken back: set it to true.", h.Name, len(last.Devices), last.Devices[0].Name)
		}
		return nil
	}
	if err := compute.CheckDevices(r.PCI); err != nil {
		return fault.New(fault.Invalid, "Host %s: %w", h.Name, err)
	}
	for server, hold := range holds {
		for _, held := range hold.Devices {
			parent := parentOf(h.Resources.PCI, held)
			for i := range r.PCI {
				switch d := &r.PCI[i]; {
				case d.Root() == "":
				case d.Parent == held.Address || d.Address == parent:
					return fault.Invalidf("Host %s offers PCI device %s, and server %s has %s, which is part of the same card: only either can be given away. Restore [pci] device_spec, or have the server go first.", h.Name, d.Address, holder(server), held.Address)
				case d.Address == held.Address && held.Class != "" && held.Class != classOf(d):
					return fault.Invalidf("Host %s offers PCI device %s as %s, and server %s has it as %s. Restore [pci] device_spec, or have the server go first.", h.Name, d.Address, classOf(d), holder(server), held.Class)
				}
			}
		}
	}
	return nil
}

// holder is the server in the name of a hold.
func holder(name string) string {
	id, _, _ := strings.Cut(name, "/")
	return id
}

// deviceOffers are the providers that stand for a host's devices. Those that are held
// stay, though nobody offers them any more.
func deviceOffers(h *compute.Host, holds map[string]compute.Hold, last []compute.DeviceProvider, owned bool) []compute.DeviceProvider {
	if !h.Resources.PCIInPlacement {
		return nil
	}
	var all []compute.DeviceProvider
	at := map[string]int{}
	offered := map[string]bool{}
	onceOnly := map[string]bool{}
	for i := range h.Resources.PCI {
		d := &h.Resources.PCI[i]
		root := d.Root()
		if root == "" {
			continue
		}
		id := deviceProvider(h.NodeID, root)
		offered[d.Address] = true
		if _, known := at[id]; !known {
			traits := append(traitsOfDevice(d), compute.TraitDevice)
			if owned {
				traits = append(traits, compute.TraitOwner)
			}
			slices.Sort(traits)
			at[id] = len(all)
			all = append(all, compute.DeviceProvider{ID: id, Name: h.Name + "_" + strings.ToUpper(root), Class: classOf(d), Traits: slices.Compact(traits)})
		}
		all[at[id]].Total++
		onceOnly[id] = d.OneTime
	}
	for _, hold := range holds {
		for _, d := range hold.Devices {
			i, known := at[d.Provider]
			if !offered[d.Address] && d.Provider != "" {
				if k := slices.IndexFunc(last, func(p compute.DeviceProvider) bool { return p.ID == d.Provider }); !known && k >= 0 {
					i, known = len(all), true
					at[d.Provider] = i
					all = append(all, last[k])
					all[i].Total = 0
				}
				if known {
					all[i].Total++
				}
			}
			if known && onceOnly[d.Provider] {
				all[i].Back = true
			}
		}
	}
	slices.SortFunc(all, func(a, b compute.DeviceProvider) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// publishDevices tells Placement of a host's devices, and of who has which.
func (c *Control) publishDevices(ctx context.Context, h *compute.Host, all []compute.DeviceProvider, holds map[string]compute.Hold) error {
	if err := c.DeviceProviders.PublishDevices(ctx, h.NodeID, all); err != nil {
		return err
	}
	for server, hold := range holds {
		if strings.Contains(server, "/") || len(hold.Devices) == 0 {
			continue
		}
		if err := c.healDevices(ctx, h, server, hold); err != nil {
			return err
		}
	}
	return nil
}

// takeDevices has Placement forget a host's devices, before it forgets the host. Should
// the host stay after all, its next report tells of them again.
func (c *Control) takeDevices(ctx context.Context, h *compute.Host) error {
	last := lastOffer(h)
	if len(last.Devices) == 0 {
		return nil
	}
	last.Taken = true
	text, err := json.Marshal(last)
	if err != nil {
		return err
	}
	if err := c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.SetPublished(ctx, tx, h.Seq, string(text)) }); err != nil {
		return err
	}
	return c.DeviceProviders.PublishDevices(ctx, h.NodeID, nil)
}

// healDevices has a server's claim have the devices that it holds: they were given to
// it before Placement knew them. One that moves has two claims, which nobody else must
// touch: it is looked at again when it has arrived.
func (c *Control) healDevices(ctx context.Context, h *compute.Host, server string, hold compute.Hold) error {
	known := providedBy(h, hold)
	amounts := amountsOf(known)
	if len(amounts) == 0 {
		return nil
	}
	held, err := c.Placement.Holdings(ctx, server)
	if err != nil {
		return err
	}
	if claims(held, amounts) && slices.Equal(known.Devices, hold.Devices) {
		return nil
	}
	s, err := c.Store.Server(ctx, c.Store.DB, server)
	if err != nil {
		return err
	}
	if s.Task != compute.NoTask || s.State == compute.Resized || s.Host != h.Name {
		if done, err := c.claimedAside(ctx, server, amounts); done || err != nil || claims(held, amounts) {
			return err
		}
		return onItsWay(server, h)
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.NodeTurn(ctx, tx, h.NodeID); err != nil {
			return err
		}
		now, err := c.Store.Hold(ctx, tx, server, h.Name)
		if err != nil || !slices.Equal(now.Devices, hold.Devices) {
			return err
		}
		now.Devices = known.Devices
		return c.Store.PutHold(ctx, tx, server, h.Name, now)
	})
	if err != nil {
		return err
	}
	c.Log.Info("the claim of a server gets its devices", "server", server, "host", h.Name, "devices", len(known.Devices))
	if err := c.Placement.Reclaim(ctx, server, amounts); err != nil || len(held) == 0 {
		return err
	}
	if held, err = c.Placement.Holdings(ctx, server); err == nil && !claims(held, amounts) { // it has begun to move meanwhile
		err = onItsWay(server, h)
	}
	return err
}

func onItsWay(server string, h *compute.Host) error {
	return fault.New(fault.Unavailable, "Server %s is on its way: which devices of host %s it has Placement is told afterwards.", server, h.Name)
}

// claimedAside reports whether a migration of a server holds these amounts: those of
// the host that it leaves.
func (c *Control) claimedAside(ctx context.Context, server string, amounts map[string]map[string]int) (bool, error) {
	open, err := c.Store.Migrations(ctx, c.Store.DB, compute.MigrationQuery{ServerID: server, Statuses: compute.OpenMigrations})
	if err != nil {
		return false, err
	}
	for _, m := range open {
		if held, err := c.Placement.Holdings(ctx, m.ID); err != nil || claims(held, amounts) {
			return true, err
		}
	}
	return false, nil
}

// providedBy is a hold with the providers that stand for its devices now.
func providedBy(h *compute.Host, hold compute.Hold) compute.Hold {
	hold.Devices = slices.Clone(hold.Devices)
	for i := range hold.Devices {
		held := &hold.Devices[i]
		k := slices.IndexFunc(h.Resources.PCI, func(d compute.PCIDevice) bool { return d.Address == held.Address })
		if k < 0 || held.Provider != "" {
			continue
		}
		if d := &h.Resources.PCI[k]; d.Root() != "" {
			held.Provider, held.Class, held.Parent, held.OneTime = deviceProvider(h.NodeID, d.Root()), classOf(d), d.Parent, d.OneTime
		}
	}
	return hold
}

// amountsOf is what a hold's devices are in a claim: by provider and class.
func amountsOf(hold compute.Hold) map[string]map[string]int {
	amounts := map[string]map[string]int{}
	for _, d := range hold.Devices {
		if d.Provider == "" {
			continue
		}
		if amounts[d.Provider] == nil {
			amounts[d.Provider] = map[string]int{}
		}
		amounts[d.Provider][d.Class]++
	}
	return amounts
}

// claims reports whether what is held has these amounts, neither more nor less.
func claims(held []compute.Holding, amounts map[string]map[string]int) bool {
	for provider, classes := range amounts {
		i := slices.IndexFunc(held, func(h compute.Holding) bool { return h.ProviderID == provider })
		if i < 0 || fmt.Sprint(held[i].Resources) != fmt.Sprint(classes) {
			return false
		}
	}
	return true
}

// countDevices has Placement know what a server has got of a host's devices, before its
// guest has them: those that are for one time only are kept back for good, and while
// they are not yet asked for there its claim gets them now. It may be called again.
func (c *Control) countDevices(ctx context.Context, s *compute.Server, hold *compute.Hold) error {
	if hold == nil {
		return nil
	}
	amounts := amountsOf(*hold)
	if len(amounts) == 0 {
		return nil
	}
	if !c.Options.Scheduler.Filter.PCIInPlacement {
		if err := c.Placement.Reclaim(ctx, s.ID, amounts); err != nil {
			return err
		}
	}
	for _, d := range hold.Devices {
		if d.OneTime && d.Provider != "" {
			if err := c.DeviceProviders.KeepBack(ctx, d.Provider); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsOn returns what servers hold of a host that tells Placement of its devices;
// nothing of others.
func (c *Control) holdsOn(ctx context.Context, h *compute.Host, r *compute.Resources) (map[string]compute.Hold, error) {
	if !r.PCIInPlacement {
		return nil, nil
	}
	holds, err := c.Store.Holds(ctx, c.Store.DB, h.Name)
	return holds[h.Name], err
}
