package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/store"
)

// Get returns an image that the caller may see.
func (c *Control) Get(ctx context.Context, id string) (*image.Image, error) {
	s, err := c.see(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.Image, nil
}

// List is what the caller wants of a list.
type List struct {
	Where        []image.Condition
	Properties   [][2]string
	Tags         []string
	Visibility   string
	MemberStatus image.MemberStatus // "" all
	Sort         []image.Order
	Marker       string // an image's id; "" the beginning
	Limit        int    // 0 gives none
}

// List returns the images that the caller may see and asks for.
func (c *Control) List(ctx context.Context, l List) ([]image.Image, error) {
	caller := auth.From(ctx)
	if caller == nil {
		return nil, fault.Forbiddenf("Nobody may list images without saying who it is.")
	}
	if err := policy.Enforce(ctx, "get_images", auth.Own(ctx)); err != nil {
		return nil, err
	}
	q := store.Query{Everything: caller.IsAdmin(), Viewer: caller.ProjectID, MemberStatus: l.MemberStatus, Visibility: l.Visibility,
		Where: l.Where, Properties: l.Properties, Tags: l.Tags, Sort: l.Sort, Limit: l.Limit}
	if l.Marker != "" {
		marker, err := c.see(ctx, l.Marker)
		if fault.Is(err, fault.NotFound) {
			return nil, fault.Invalidf("The marker %.64s is no image.", l.Marker)
		}
		if err != nil {
			return nil, err
		}
		q.Marker = marker.Image
	}
	return c.store.List(ctx, q)
}
