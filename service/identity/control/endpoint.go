package control

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Endpoints lists endpoints.
func (c *Control) Endpoints(ctx context.Context, q identity.Query) ([]identity.Endpoint, error) {
	if err := c.may(ctx, "identity:list_endpoints", nil); err != nil {
		return nil, err
	}
	return store.Endpoints(ctx, c.db, q)
}

// Endpoint returns an endpoint.
func (c *Control) Endpoint(ctx context.Context, id string) (identity.Endpoint, error) {
	e, err := store.Endpoint(ctx, c.db, id)
	return e, c.seen(ctx, found(err, "endpoint", id), "identity:get_endpoint", nil)
}

// CreateEndpoint makes an endpoint of a service; a region that does not exist
// yet comes into being.
func (c *Control) CreateEndpoint(ctx context.Context, change identity.EndpointChange) (identity.Endpoint, error) {
	e := identity.Endpoint{Enabled: true}
	err := c.may(ctx, "identity:create_endpoint", nil)
	if err != nil {
		return e, err
	}
	if e.ID, err = c.newID(); err != nil {
		return e, err
	}
	return e, c.changing(ctx, func(tx *db.Tx) error {
		if err := c.changeEndpoint(ctx, tx, &e, change); err != nil {
			return err
		}
		return store.AddEndpoint(ctx, tx, e)
	})
}

// changeEndpoint applies a change, after a check of what it refers to.
func (c *Control) changeEndpoint(ctx context.Context, tx *db.Tx, e *identity.Endpoint, change identity.EndpointChange) error {
	e.ServiceID, e.Interface = value(change.ServiceID, e.ServiceID), value(change.Interface, e.Interface)
	e.RegionID, e.URL = value(change.RegionID, e.RegionID), value(change.URL, e.URL)
	e.Enabled, e.Extra = value(change.Enabled, e.Enabled), e.Extra.Merge(change.Extra)
	if change.URL != nil {
		if err := checkURL(e.URL); err != nil {
			return err
		}
	}
	if _, err := store.Service(ctx, tx, e.ServiceID); errors.Is(err, db.ErrNoRow) {
		return fault.Invalidf("Could not find service: %s.", clip(e.ServiceID))
	} else if err != nil {
		return err
	}
	if e.RegionID == "" {
		return nil
	}
	_, err := store.Region(ctx, tx, e.RegionID)
	if errors.Is(err, db.ErrNoRow) {
		err = store.AddRegion(ctx, tx, identity.Region{ID: e.RegionID})
	}
	return err
}

// UpdateEndpoint changes an endpoint.
func (c *Control) UpdateEndpoint(ctx context.Context, id string, change identity.EndpointChange) (identity.Endpoint, error) {
	var e identity.Endpoint
	if err := c.may(ctx, "identity:update_endpoint", nil); err != nil {
		return e, err
	}
	return e, c.changing(ctx, func(tx *db.Tx) (err error) {
		if e, err = store.Endpoint(ctx, tx, id); err != nil {
			return found(err, "endpoint", id)
		}
		if err := c.changeEndpoint(ctx, tx, &e, change); err != nil {
			return err
		}
		return store.UpdateEndpoint(ctx, tx, e)
	})
}

// DeleteEndpoint removes an endpoint.
func (c *Control) DeleteEndpoint(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_endpoint", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteEndpoint(ctx, tx, id), "endpoint", id) })
}

// urlNames are what an endpoint's URL may ask for.
var urlNames = []string{"project_id", "tenant_id", "user_id"}

// checkURL refuses URLs that could never be filled in.
func checkURL(url string) error {
	bad := fault.Invalidf("Cannot create an endpoint with an invalid URL: %s.", clip(url))
	if url == "" || len(url) > identity.MaxURL {
		return bad
	}
	rest := url
	for {
		i := strings.Index(rest, "%(")
		j := strings.Index(rest, "$(")
		if i < 0 || j >= 0 && j < i {
			i = j
		}
		if i < 0 {
			return nil
		}
		name, after, ok := strings.Cut(rest[i+2:], ")")
		if !ok || !slices.Contains(urlNames, name) || !strings.HasPrefix(after, "s") {
			return bad
		}
		rest = after[1:]
	}
}
