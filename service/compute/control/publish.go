package control

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"kilonova/service/compute"
)

// offer is all that Placement is told of a host. Its text is kept with the host,
// so that Placement is told again only when something has changed.
type offer struct {
	Node       string                       `json:"node"`
	Inventory  map[string]compute.Inventory `json:"inventory"`
	Traits     []string                     `json:"traits"`
	Aggregates []string                     `json:"aggregates"`
	Devices    []compute.DeviceProvider     `json:"devices,omitempty"`
	// Taken: Devices may have gone from Placement, and are to be told again.
	Taken bool `json:"taken,omitempty"`
}

// publish tells Placement what a host has and in which aggregates it is, if that
// is not what it was told last, and reports whether it was told. It notes the
// text in h; writing it is the caller's business: what is not written is told
// again. The host is in none of the aggregates gone any more.
func (c *Control) publish(ctx context.Context, h *compute.Host, gone ...string) (bool, error) {
	f, err := c.Fleet(ctx)
	if err != nil {
		return false, err
	}
	o := offer{Node: h.NodeID, Inventory: c.inventoryOf(h.Resources), Traits: c.traitsOf(h), Aggregates: f.aggregatesOf(h.Name)}
	if owned, err := c.ownership.known(ctx, c); err != nil {
		return false, err
	} else if owned {
		o.Traits = append(o.Traits, compute.TraitOwner)
		slices.Sort(o.Traits)
	}
	holds, err := c.holdsOn(ctx, h, &h.Resources)
	if err != nil {
		return false, err
	}
	last := lastOffer(h)
	o.Devices = deviceOffers(h, holds, last.Devices, slices.Contains(o.Traits, compute.TraitOwner))
	text, err := json.Marshal(o)
	if err != nil || string(text) == h.Published && len(gone) == 0 {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.Placement.Publish(ctx, h.NodeID, h.Name, o.Inventory, o.Traits); err != nil {
		return false, err
	}
	if len(o.Devices)+len(last.Devices) > 0 && (last.Taken || !reflect.DeepEqual(o.Devices, last.Devices)) {
		if err := c.publishDevices(ctx, h, o.Devices, holds); err != nil {
			return false, err
		}
	}
	gone = slices.DeleteFunc(slices.Concat(last.Aggregates, gone), func(id string) bool { return slices.Contains(o.Aggregates, id) })
	if len(o.Aggregates)+len(gone) > 0 {
		if err := c.Placement.Join(ctx, h.NodeID, o.Aggregates, gone); err != nil {
			return false, err
		}
	}
	h.Published = string(text)
	return true, nil
}

// ownership is whether Placement knows compute.TraitOwner, which older ones do not.
type ownership struct {
	mu    sync.Mutex
	knows bool
	asked time.Time
}

// ownershipPause is how long an older Placement is not asked again: it may be
// another one by then.
const ownershipPause = time.Minute

func (o *ownership) known(ctx context.Context, c *Control) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := c.Now()
	if o.knows || !o.asked.IsZero() && now.Sub(o.asked) < ownershipPause {
		return o.knows, nil
	}
	knows, err := c.Placement.KnowsTrait(ctx, compute.TraitOwner)
	if err == nil {
		o.knows, o.asked = knows, now
	}
	return knows, err
}
