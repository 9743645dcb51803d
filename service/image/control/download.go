package control

import (
	"context"
	"errors"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/blob"
)

// Open returns an image with its data, which the caller closes; nil data: there
// is none yet. prefer names stores to try first.
func (c *Control) Open(ctx context.Context, id string, prefer []string) (*image.Image, blob.Reader, error) {
	s, err := c.see(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	if s.Status == image.Deactivated && !auth.From(ctx).IsAdmin() {
		return nil, nil, fault.Forbiddenf("The requested image has been deactivated. Image data download is forbidden.")
	}
	if err := policy.Enforce(ctx, "download_image", s.target); err != nil {
		return nil, nil, err
	}
	for _, p := range prefer {
		if c.backend(p) == nil {
			return nil, nil, fault.Invalidf("Store '%.64s' is not configured.", p)
		}
	}
	if s.Status != image.Active && s.Status != image.Deactivated {
		return s.Image, nil, nil
	}
	if len(prefer) == 0 {
		if data := c.fromCache(ctx, s.Image); data != nil {
			return s.Image, data, nil
		}
	}
	data, err := c.read(ctx, s.Image, prefer)
	return s.Image, data, err
}

// open reads what lies at a location.
func open(ctx context.Context, b *Backend, l image.Location) (blob.Reader, error) {
	if l.Key != "" {
		return b.Blobs.Open(ctx, l.Key)
	}
	f, ok := b.Blobs.(blob.Foreign)
	if !ok {
		return nil, errors.New("store " + b.ID + " reads only what it keeps itself")
	}
	return f.OpenURL(ctx, l.URL)
}

// read opens the first of an image's locations that can be read: those that are
// preferred, then those in the heaviest stores.
func (c *Control) read(ctx context.Context, i *image.Image, prefer []string) (blob.Reader, error) {
	locations := slices.Clone(i.Locations)
	rank := func(l image.Location) int {
		if at := slices.Index(prefer, l.Store); at >= 0 {
			return at - len(prefer)
		}
		return 0
	}
	weight := func(l image.Location) int {
		if b := c.backend(l.Store); b != nil {
			return b.Weight
		}
		return 0
	}
	slices.SortStableFunc(locations, func(a, b image.Location) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return weight(b) - weight(a)
	})
	var failed error
	for _, l := range locations {
		b := c.backend(l.Store)
		if b == nil {
			failed = errors.Join(failed, errors.New("store "+l.Store+" is not configured"))
			continue
		}
		r, err := open(ctx, b, l)
		if err == nil {
			return r, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, fault.Wrap(failed, fault.Unavailable, "The data of image %s cannot be read from any of its stores now.", i.ID)
}
