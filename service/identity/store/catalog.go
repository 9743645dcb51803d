package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var (
	regionColumns   = map[string]string{"id": "id", "parent_region_id": "parent_id", "description": "description"}
	serviceColumns  = map[string]string{"id": "id", "name": "name", "type": "type", "enabled": "enabled"}
	endpointColumns = map[string]string{"id": "id", "service_id": "service_id", "region_id": "region_id", "region": "region_id", "interface": "interface", "enabled": "enabled", "url": "url"}
)

// Region returns a region.
func Region(ctx context.Context, q db.Querier, id string) (identity.Region, error) {
	return pick[identity.Region](ctx, q, "regions", id)
}

// Regions lists regions.
func Regions(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Region, error) {
	return list[identity.Region](ctx, q, "regions", regionColumns, query, clause{})
}

// AddRegion writes a new region.
func AddRegion(ctx context.Context, tx *db.Tx, r identity.Region) error {
	return db.Insert(ctx, tx, "regions", r)
}

// UpdateRegion writes a changed region.
func UpdateRegion(ctx context.Context, tx *db.Tx, r identity.Region) error {
	return update(ctx, tx, "regions", r)
}

// DeleteRegion removes a region; those below it must be gone before.
func DeleteRegion(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM policy_associations WHERE region_id = ?`, id); err != nil {
		return err
	}
	return remove(ctx, tx, "regions", id)
}

// Service returns a service.
func Service(ctx context.Context, q db.Querier, id string) (identity.Service, error) {
	return pick[identity.Service](ctx, q, "services", id)
}

// Services lists services.
func Services(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Service, error) {
	return list[identity.Service](ctx, q, "services", serviceColumns, query, clause{})
}

// AddService writes a new service.
func AddService(ctx context.Context, tx *db.Tx, s identity.Service) error {
	return db.Insert(ctx, tx, "services", s)
}

// UpdateService writes a changed service.
func UpdateService(ctx context.Context, tx *db.Tx, s identity.Service) error {
	return update(ctx, tx, "services", s)
}

// DeleteService removes a service with its endpoints and registered limits.
func DeleteService(ctx context.Context, tx *db.Tx, id string) error {
	for _, statement := range []string{
		`DELETE FROM policy_associations WHERE service_id = ?`,
		`DELETE FROM policy_associations WHERE endpoint_id IN (SELECT id FROM endpoints WHERE service_id = ?)`,
		`DELETE FROM limits WHERE service_id = ?`,
		`DELETE FROM registered_limits WHERE service_id = ?`,
	} {
		if _, err := tx.Exec(ctx, statement, id); err != nil {
			return err
		}
	}
	return remove(ctx, tx, "services", id)
}

// Endpoint returns an endpoint.
func Endpoint(ctx context.Context, q db.Querier, id string) (identity.Endpoint, error) {
	return pick[identity.Endpoint](ctx, q, "endpoints", id)
}

// Endpoints lists endpoints.
func Endpoints(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Endpoint, error) {
	return list[identity.Endpoint](ctx, q, "endpoints", endpointColumns, query, clause{})
}

// AddEndpoint writes a new endpoint.
func AddEndpoint(ctx context.Context, tx *db.Tx, e identity.Endpoint) error {
	return db.Insert(ctx, tx, "endpoints", e)
}

// UpdateEndpoint writes a changed endpoint.
func UpdateEndpoint(ctx context.Context, tx *db.Tx, e identity.Endpoint) error {
	return update(ctx, tx, "endpoints", e)
}

// DeleteEndpoint removes an endpoint.
func DeleteEndpoint(ctx context.Context, tx *db.Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM policy_associations WHERE endpoint_id = ?`, id); err != nil {
		return err
	}
	return remove(ctx, tx, "endpoints", id)
}

// EnabledEndpoints are those of the catalog: enabled, of enabled services.
func EnabledEndpoints(ctx context.Context, q db.Querier) ([]identity.Endpoint, error) {
	return db.Select[identity.Endpoint](ctx, q, `SELECT `+columns[identity.Endpoint]()+` FROM endpoints WHERE enabled = ? ORDER BY service_id, id`, true)
}
