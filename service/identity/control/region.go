package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Regions lists regions.
func (c *Control) Regions(ctx context.Context, q identity.Query) ([]identity.Region, error) {
	if err := c.may(ctx, "identity:list_regions", nil); err != nil {
		return nil, err
	}
	return store.Regions(ctx, c.db, q)
}

// Region returns a region.
func (c *Control) Region(ctx context.Context, id string) (identity.Region, error) {
	r, err := store.Region(ctx, c.db, id)
	return r, c.seen(ctx, found(err, "region", id), "identity:get_region", nil)
}

// CreateRegion makes a region, with an id of the caller's choice or a new one.
func (c *Control) CreateRegion(ctx context.Context, change identity.RegionChange) (identity.Region, error) {
	r := identity.Region{Extra: change.Extra}
	if err := c.may(ctx, "identity:create_region", nil); err != nil {
		return r, err
	}
	var err error
	if r.ID = value(change.ID, ""); r.ID == "" {
		if r.ID, err = c.newID(); err != nil {
			return r, err
		}
	}
	r.ParentID, r.Description = value(change.ParentID, ""), value(change.Description, "")
	err = c.changing(ctx, func(tx *db.Tx) error {
		if err := c.checkParentRegion(ctx, tx, r); err != nil {
			return err
		}
		return store.AddRegion(ctx, tx, r)
	})
	return r, duplicate(err, "region", "Duplicate ID, %s", clip(r.ID))
}

// checkParentRegion refuses parents that do not exist or lie below the region.
func (c *Control) checkParentRegion(ctx context.Context, tx *db.Tx, r identity.Region) error {
	for id := r.ParentID; id != ""; {
		if id == r.ID {
			return fault.Invalidf("The specified parent region %s would create a circular region hierarchy.", r.ParentID)
		}
		parent, err := store.Region(ctx, tx, id)
		if err != nil {
			return found(err, "region", id)
		}
		id = parent.ParentID
	}
	return nil
}

// UpdateRegion changes a region.
func (c *Control) UpdateRegion(ctx context.Context, id string, change identity.RegionChange) (identity.Region, error) {
	var r identity.Region
	if err := c.may(ctx, "identity:update_region", nil); err != nil {
		return r, err
	}
	err := c.changing(ctx, func(tx *db.Tx) (err error) {
		if r, err = store.Region(ctx, tx, id); err != nil {
			return found(err, "region", id)
		}
		r.ParentID, r.Description = value(change.ParentID, r.ParentID), value(change.Description, r.Description)
		r.Extra = r.Extra.Merge(change.Extra)
		if err := c.checkParentRegion(ctx, tx, r); err != nil {
			return err
		}
		return store.UpdateRegion(ctx, tx, r)
	})
	return r, err
}

// DeleteRegion removes a region and those below it, if none has endpoints.
func (c *Control) DeleteRegion(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_region", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		if _, err := store.Region(ctx, tx, id); err != nil {
			return found(err, "region", id)
		}
		doomed := []string{id}
		for i := 0; i < len(doomed); i++ {
			used, err := store.Endpoints(ctx, tx, identity.Query{Limit: 1}.Where("region_id", doomed[i]))
			if err != nil {
				return err
			}
			if len(used) > 0 {
				return fault.Forbiddenf("Unable to delete region %s because it or its child regions have associated endpoints.", id)
			}
			children, err := store.Regions(ctx, tx, identity.Query{}.Where("parent_region_id", doomed[i]))
			if err != nil {
				return err
			}
			for _, r := range children {
				doomed = append(doomed, r.ID)
			}
		}
		for _, id := range doomed {
			if err := store.DeleteRegion(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
}
