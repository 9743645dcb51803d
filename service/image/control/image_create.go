package control

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

// Create registers an image without data. fields are the members of the request,
// numbers as json.Number; all that is not one of an image's own is a property.
func (c *Control) Create(ctx context.Context, fields map[string]any) (*image.Image, error) {
	caller := auth.From(ctx)
	if caller == nil {
		return nil, fault.Forbiddenf("Nobody may create images without saying who it is.")
	}
	now := c.stampNow()
	i := &image.Image{Owner: caller.ProjectID, Visibility: image.Shared, Properties: map[string]string{}, CreatedAt: now, UpdatedAt: now}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var err error
		if name == "id" {
			i.ID, err = checkID(fields[name])
		} else if err = settable(name); err == nil {
			err = c.set(i, name, fields[name])
		}
		if err != nil {
			return nil, err
		}
	}
	target := auth.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility)}
	if !policy.Allows(ctx, "add_image", target) && i.Owner != caller.ProjectID {
		return nil, fault.Forbiddenf("You are not permitted to create images owned by '%s'", i.Owner)
	}
	if err := policy.Enforce(ctx, "add_image", target); err != nil {
		return nil, err
	}
	if err := mayShow(ctx, i.Visibility, target); err != nil {
		return nil, err
	}
	if err := c.checkQuotas(&image.Image{}, i); err != nil {
		return nil, err
	}
	if i.ID == "" {
		i.ID = c.newID()
	}
	i.Status = image.Queued
	limits, err := c.unified(ctx, i.Owner)
	if err != nil {
		return nil, err
	}
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.within(ctx, tx, i.Owner, limits, wish{image.CountTotal: 1}); err != nil {
			return err
		}
		return c.store.Insert(ctx, tx, i)
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}
