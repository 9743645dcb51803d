package control

import (
	"context"
	"errors"

	"kilonova/internal/fault"
	"kilonova/service/placement"
)

// Inventories returns a provider and its inventories, by class.
func (c *Control) Inventories(ctx context.Context, uuid string) (placement.Provider, []placement.Inventory, error) {
	return c.store.Inventories(ctx, uuid)
}

// Inventory returns a provider and one of its inventories.
func (c *Control) Inventory(ctx context.Context, uuid, class string) (placement.Provider, placement.Inventory, error) {
	p, list, err := c.store.Inventories(ctx, uuid)
	if err != nil {
		return p, placement.Inventory{}, err
	}
	for _, i := range list {
		if i.Class == class {
			return p, i, nil
		}
	}
	return p, placement.Inventory{}, fault.NotFoundf("No inventory of class %.255s for %s", class, uuid)
}

// sound refuses inventories that can give out nothing; unless mayBeFull, also
// those that have all of it reserved.
func sound(uuid string, mayBeFull bool, list ...placement.Inventory) error {
	for _, i := range list {
		switch capacity := i.Capacity(); {
		case capacity < 0 && mayBeFull:
			return fault.Invalidf("Invalid inventory for '%s' on resource provider '%s'. The reserved value is greater than total.", i.Class, uuid)
		case capacity <= 0 && !mayBeFull:
			return fault.Invalidf("Invalid inventory for '%s' on resource provider '%s'. The reserved value is greater than or equal to total.", i.Class, uuid)
		}
	}
	return nil
}

// soundAt is sound for a change that is based on a generation: where that has passed,
// this is what the caller has to hear of, who may not have meant what is there now.
func (c *Control) soundAt(ctx context.Context, uuid string, base int64, mayBeFull bool, list ...placement.Inventory) error {
	err := sound(uuid, mayBeFull, list...)
	if err == nil {
		return nil
	}
	p, lost := c.store.Provider(ctx, uuid)
	if lost != nil {
		return lost
	}
	if p.Generation != base {
		return placement.Conflicting("resource provider generation conflict")
	}
	return rephrase(err, fault.Invalid, "Unable to update inventory for resource provider %s", uuid)
}

// SetInventories replaces all inventories of a provider, whose generation is
// base. mayBeFull, since version 1.26, allows to reserve all of something.
func (c *Control) SetInventories(ctx context.Context, uuid string, base int64, mayBeFull bool, list []placement.Inventory) (placement.Provider, error) {
	if err := c.soundAt(ctx, uuid, base, mayBeFull, list...); err != nil {
		return placement.Provider{}, err
	}
	p, err := c.store.SetInventories(ctx, c.now(), uuid, &base, list)
	return p, setFailure(uuid, err)
}

func setFailure(uuid string, err error) error {
	switch {
	case isUnknownClass(err):
		return rephrase(err, fault.Invalid, "Unknown resource class in inventory for resource provider %s", uuid)
	case fault.Is(err, fault.Conflict):
		return rephrase(err, fault.Conflict, "update conflict")
	}
	return err
}

// ClearInventories removes all inventories of a provider.
func (c *Control) ClearInventories(ctx context.Context, uuid string) error {
	_, err := c.store.SetInventories(ctx, c.now(), uuid, nil, nil)
	return err
}

// AddInventory adds an inventory of a class that the provider does not have yet.
func (c *Control) AddInventory(ctx context.Context, uuid string, mayBeFull bool, i placement.Inventory) (placement.Provider, error) {
	err := sound(uuid, mayBeFull, i)
	var p placement.Provider
	if err == nil {
		p, err = c.store.AddInventory(ctx, c.now(), uuid, i)
	}
	switch {
	case isUnknownClass(err), fault.Is(err, fault.Invalid):
		err = rephrase(err, fault.Invalid, "Unable to create inventory for resource provider %s", uuid)
	case fault.Is(err, fault.Conflict):
		err = rephrase(err, fault.Conflict, "Update conflict")
	}
	return p, err
}

// UpdateInventory overwrites one inventory of a provider whose generation is base.
func (c *Control) UpdateInventory(ctx context.Context, uuid string, base int64, mayBeFull bool, i placement.Inventory) (placement.Provider, error) {
	if err := c.soundAt(ctx, uuid, base, mayBeFull, i); err != nil {
		return placement.Provider{}, err
	}
	p, err := c.store.UpdateInventory(ctx, c.now(), uuid, base, i)
	if unknown, ok := errors.AsType[placement.UnknownClass](err); ok { // it is in the path: what the path names is not there
		return p, placement.NoSuchClass(string(unknown))
	}
	return p, setFailure(uuid, err)
}

// DeleteInventory removes one inventory that nobody uses.
func (c *Control) DeleteInventory(ctx context.Context, uuid, class string) error {
	err := c.store.DeleteInventory(ctx, c.now(), uuid, class)
	if fault.Is(err, fault.Conflict) {
		// The code is that of a race, for whatever reason: clients go by it.
		err = placement.Conflicting("Unable to delete inventory of class %.255s: %w", class, err)
	}
	return err
}
