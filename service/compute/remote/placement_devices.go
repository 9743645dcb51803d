package remote

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

var _ compute.DeviceProviders = (*Placement)(nil)

// PublishDevices implements compute.DeviceProviders.
func (p *Placement) PublishDevices(ctx context.Context, hostID string, all []compute.DeviceProvider) error {
	var now struct {
		Providers []provider `json:"resource_providers"`
	}
	if err := p.do(ctx, "GET", "/resource_providers?"+url.Values{"in_tree": {hostID}, "required": {compute.TraitDevice}}.Encode(), nil, &now); err != nil {
		return err
	}
	for _, d := range all {
		i := slices.IndexFunc(now.Providers, func(rp provider) bool { return rp.ID == d.ID })
		if i < 0 {
			if err := p.adoptDevice(ctx, hostID, d); err != nil {
				return err
			}
		} else {
			now.Providers = slices.Delete(now.Providers, i, i+1)
		}
		if err := errors.Join(p.deviceInventory(ctx, d), p.deviceTraits(ctx, d)); err != nil {
			return err
		}
	}
	var kept []error
	for _, rp := range now.Providers {
		if rp.ID == hostID {
			continue
		}
		if err := p.do(ctx, "DELETE", "/resource_providers/"+url.PathEscape(rp.ID), nil, nil); err != nil && !fault.Is(err, fault.NotFound) {
			kept = append(kept, fault.Wrap(err, fault.KindOf(err), "Resource provider %s of a PCI device that is gone is kept.", rp.Name))
		}
	}
	return errors.Join(kept...)
}

// adoptDevice makes a provider below a host's, if it is not there: who made it may
// have died before it had its traits.
func (p *Placement) adoptDevice(ctx context.Context, hostID string, d compute.DeviceProvider) error {
	made := p.do(ctx, "POST", "/resource_providers", object{"uuid": d.ID, "name": d.Name, "parent_provider_uuid": hostID}, nil)
	if !fault.Is(made, fault.Conflict) {
		return made
	}
	if err := p.do(ctx, "GET", "/resource_providers/"+url.PathEscape(d.ID), nil, nil); err != nil {
		return errors.Join(made, err) // its name is somebody else's
	}
	return nil
}

type inventories struct {
	Generation  int                          `json:"resource_provider_generation"`
	Inventories map[string]compute.Inventory `json:"inventories"`
}

func (p *Placement) deviceInventory(ctx context.Context, d compute.DeviceProvider) error {
	path := "/resource_providers/" + url.PathEscape(d.ID) + "/inventories"
	var now inventories
	if err := p.do(ctx, "GET", path, nil, &now); err != nil {
		return err
	}
	want := compute.Inventory{Total: d.Total, Reserved: min(now.Inventories[d.Class].Reserved, d.Total), MinUnit: 1, MaxUnit: d.Total, StepSize: 1, AllocationRatio: 1}
	if d.Back {
		want.Reserved = want.Total
	}
	if have, ok := now.Inventories[d.Class]; ok && have == want && len(now.Inventories) == 1 {
		return nil
	}
	if err := p.custom(ctx, "/resource_classes/", d.Class); err != nil {
		return err
	}
	now.Inventories = map[string]compute.Inventory{d.Class: want}
	return p.do(ctx, "PUT", path, now, nil)
}

func (p *Placement) deviceTraits(ctx context.Context, d compute.DeviceProvider) error {
	path := "/resource_providers/" + url.PathEscape(d.ID) + "/traits"
	var now struct {
		Generation int      `json:"resource_provider_generation"`
		Traits     []string `json:"traits"`
	}
	if err := p.do(ctx, "GET", path, nil, &now); err != nil {
		return err
	}
	slices.Sort(now.Traits)
	if slices.Equal(now.Traits, d.Traits) {
		return nil
	}
	for _, trait := range d.Traits {
		if err := p.custom(ctx, "/traits/", trait); err != nil {
			return err
		}
	}
	now.Traits = d.Traits
	return p.do(ctx, "PUT", path, now, nil)
}

// custom makes a resource class or a trait of an operator's own, if it is one.
func (p *Placement) custom(ctx context.Context, folder, name string) error {
	if !strings.HasPrefix(name, "CUSTOM_") {
		return nil
	}
	return p.do(ctx, "PUT", folder+url.PathEscape(name), nil, nil)
}

// KeepBack implements compute.DeviceProviders.
func (p *Placement) KeepBack(ctx context.Context, providerID string) error {
	path := "/resource_providers/" + url.PathEscape(providerID) + "/inventories"
	for range claims {
		var now inventories
		if err := p.do(ctx, "GET", path, nil, &now); err != nil {
			return err
		}
		changed := false
		for class, i := range now.Inventories {
			if changed = changed || i.Reserved != i.Total; i.Reserved != i.Total {
				i.Reserved = i.Total
				now.Inventories[class] = i
			}
		}
		if !changed {
			return nil
		}
		err := p.do(ctx, "PUT", path, now, nil)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != "placement.concurrent_update" {
			return err
		}
	}
	return fault.Conflictf("The inventory of resource provider %s was changed by others %d times.", providerID, claims)
}
