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

// Change is one operation of a patch.
type Change struct {
	Op    string // add, remove or replace
	Path  []string
	Value any // numbers as json.Number
	// New: add must not replace. The oldest form of patches is like that.
	New bool
}

// Update changes an image, all of it or nothing.
func (c *Control) Update(ctx context.Context, id string, changes []Change) (*image.Image, error) {
	s, err := c.see(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, ch := range changes {
		if err := c.permit(ctx, s, ch); err != nil {
			return nil, err
		}
	}
	if len(changes) == 0 {
		return s.Image, nil
	}
	visited, err := c.visits(ctx, s.Image, changes)
	if err != nil {
		return nil, err
	}
	var next *image.Image
	err = c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		copied := *was
		next = &copied
		next.Properties, next.Tags = maps.Clone(was.Properties), slices.Clone(was.Tags)
		for _, ch := range changes {
			var err error
			if ch.Path[0] == "locations" {
				err = c.changeLocations(next, ch, visited)
			} else {
				err = c.change(next, ch)
			}
			if err != nil {
				return err
			}
		}
		if err := c.checkQuotas(was, next); err != nil {
			return err
		}
		next.UpdatedAt = c.stampNow()
		if err := c.saveLocations(ctx, tx, was, next); err != nil {
			return err
		}
		return c.store.Save(ctx, tx, was, next)
	})
	return next, err
}

// permit checks that the caller may make a change at all.
func (c *Control) permit(ctx context.Context, s *seen, ch Change) error {
	name := ch.Path[0]
	if name == "locations" {
		return c.permitLocations(ctx, s, ch)
	}
	if err := settable(name); err != nil {
		return err
	}
	if len(ch.Path) != 1 {
		return fault.Invalidf("Invalid JSON pointer for this resource: '/%.64s/…'", name)
	}
	if name == "visibility" && ch.Op != "remove" {
		v, err := oneOf(name, ch.Value, image.Visibilities)
		if err != nil {
			return err
		}
		if err := mayShow(ctx, v, s.target); err != nil {
			return err
		}
	}
	if err := policy.Enforce(ctx, "modify_image", s.target); err != nil {
		return err
	}
	if name == "owner" && ch.Op != "remove" && !auth.From(ctx).IsAdmin() {
		return fault.Forbiddenf("Owner can't be updated by non admin.")
	}
	return nil
}

func (c *Control) change(i *image.Image, ch Change) error {
	name := ch.Path[0]
	_, has := i.Properties[name]
	has = has || isBase(name)
	switch ch.Op {
	case "add":
		if has && ch.New {
			return fault.Conflictf("Property %s already present.", name)
		}
		return c.set(i, name, ch.Value)
	case "replace":
		if !has {
			return fault.Conflictf("Property %s does not exist.", name)
		}
		return c.set(i, name, ch.Value)
	default:
		if isBase(name) {
			return fault.Forbiddenf("Property %s may not be removed.", name)
		}
		if !has {
			return fault.Conflictf("Property %s does not exist.", name)
		}
		delete(i.Properties, name)
		return nil
	}
}

// AddTag gives an image a tag; it may have it already.
func (c *Control) AddTag(ctx context.Context, id, tag string) error {
	if _, err := text("tags", tag, 255); err != nil {
		return err
	}
	return c.changeTags(ctx, id, func(all []string) ([]string, error) {
		if at, found := slices.BinarySearch(all, tag); !found {
			return slices.Insert(all, at, tag), nil
		}
		return all, nil
	})
}

// RemoveTag takes a tag from an image, which must have it.
func (c *Control) RemoveTag(ctx context.Context, id, tag string) error {
	return c.changeTags(ctx, id, func(all []string) ([]string, error) {
		at := slices.Index(all, tag)
		if at < 0 {
			return nil, fault.NotFoundf("Image %s has no tag %.255s.", id, tag)
		}
		return slices.Delete(all, at, at+1), nil
	})
}

func (c *Control) changeTags(ctx context.Context, id string, change func([]string) ([]string, error)) error {
	if _, err := c.seeFor(ctx, id, "modify_image"); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, id)
		if err != nil {
			return err
		}
		next := *was
		sorted := slices.Sorted(slices.Values(was.Tags))
		if next.Tags, err = change(sorted); err != nil {
			return err
		}
		if err := c.checkQuotas(was, &next); err != nil {
			return err
		}
		next.UpdatedAt = c.stampNow()
		return c.store.Save(ctx, tx, was, &next)
	})
}

// Deactivate keeps an image's data from everybody but administrators. It may be
// deactivated already.
func (c *Control) Deactivate(ctx context.Context, id string) error {
	return c.toggle(ctx, id, "deactivate", image.Active, image.Deactivated)
}

// Reactivate undoes Deactivate.
func (c *Control) Reactivate(ctx context.Context, id string) error {
	return c.toggle(ctx, id, "reactivate", image.Deactivated, image.Active)
}

func (c *Control) toggle(ctx context.Context, id, verb string, from, to image.Status) error {
	if _, err := c.seeFor(ctx, id, verb); err != nil {
		return err
	}
	return c.store.Tx(ctx, func(tx *db.Tx) error {
		was, err := c.store.Lock(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case was.Status == to:
			return nil
		case was.Status != from:
			return fault.Forbiddenf("Not allowed to %s image in status '%s'", verb, was.Status)
		}
		next := *was
		next.Status, next.UpdatedAt = to, c.stampNow()
		return c.store.Save(ctx, tx, was, &next)
	})
}
