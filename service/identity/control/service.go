package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Services lists services.
func (c *Control) Services(ctx context.Context, q identity.Query) ([]identity.Service, error) {
	if err := c.may(ctx, "identity:list_services", nil); err != nil {
		return nil, err
	}
	return store.Services(ctx, c.db, q)
}

// Service returns a service.
func (c *Control) Service(ctx context.Context, id string) (identity.Service, error) {
	s, err := store.Service(ctx, c.db, id)
	return s, c.seen(ctx, found(err, "service", id), "identity:get_service", nil)
}

// CreateService makes a service; its type is required.
func (c *Control) CreateService(ctx context.Context, change identity.ServiceChange) (identity.Service, error) {
	s := identity.Service{Type: value(change.Type, ""), Name: value(change.Name, ""), Enabled: value(change.Enabled, true), Extra: change.Extra}
	err := c.may(ctx, "identity:create_service", nil)
	if err != nil {
		return s, err
	}
	if s.ID, err = c.newID(); err != nil {
		return s, err
	}
	return s, c.changing(ctx, func(tx *db.Tx) error { return store.AddService(ctx, tx, s) })
}

// UpdateService changes a service.
func (c *Control) UpdateService(ctx context.Context, id string, change identity.ServiceChange) (identity.Service, error) {
	var s identity.Service
	if err := c.may(ctx, "identity:update_service", nil); err != nil {
		return s, err
	}
	return s, c.changing(ctx, func(tx *db.Tx) (err error) {
		if s, err = store.Service(ctx, tx, id); err != nil {
			return found(err, "service", id)
		}
		s.Type, s.Name, s.Enabled = value(change.Type, s.Type), value(change.Name, s.Name), value(change.Enabled, s.Enabled)
		s.Extra = s.Extra.Merge(change.Extra)
		return store.UpdateService(ctx, tx, s)
	})
}

// DeleteService removes a service with its endpoints.
func (c *Control) DeleteService(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_service", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return found(store.DeleteService(ctx, tx, id), "service", id) })
}
