package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var (
	registeredLimitColumns = map[string]string{"id": "id", "service_id": "service_id", "region_id": "region_id", "resource_name": "resource_name"}
	limitColumns           = map[string]string{"id": "id", "service_id": "service_id", "region_id": "region_id", "resource_name": "resource_name",
		"project_id": "project_id", "domain_id": "domain_id"}
)

// RegisteredLimit returns a registered limit.
func RegisteredLimit(ctx context.Context, q db.Querier, id string) (identity.RegisteredLimit, error) {
	return pick[identity.RegisteredLimit](ctx, q, "registered_limits", id)
}

// RegisteredLimits lists registered limits.
func RegisteredLimits(ctx context.Context, q db.Querier, query identity.Query) ([]identity.RegisteredLimit, error) {
	return list[identity.RegisteredLimit](ctx, q, "registered_limits", registeredLimitColumns, query, clause{})
}

// AddRegisteredLimits writes new registered limits.
func AddRegisteredLimits(ctx context.Context, tx *db.Tx, l []identity.RegisteredLimit) error {
	return db.Insert(ctx, tx, "registered_limits", l...)
}

// UpdateRegisteredLimit writes a changed registered limit.
func UpdateRegisteredLimit(ctx context.Context, tx *db.Tx, l identity.RegisteredLimit) error {
	return update(ctx, tx, "registered_limits", l)
}

// DeleteRegisteredLimit removes a registered limit.
func DeleteRegisteredLimit(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "registered_limits", id)
}

// Limit returns a limit.
func Limit(ctx context.Context, q db.Querier, id string) (identity.Limit, error) {
	return pick[identity.Limit](ctx, q, "limits", id)
}

// Limits lists limits.
func Limits(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Limit, error) {
	return list[identity.Limit](ctx, q, "limits", limitColumns, query, clause{})
}

// AddLimits writes new limits.
func AddLimits(ctx context.Context, tx *db.Tx, l []identity.Limit) error {
	return db.Insert(ctx, tx, "limits", l...)
}

// UpdateLimit writes a changed limit.
func UpdateLimit(ctx context.Context, tx *db.Tx, l identity.Limit) error {
	return update(ctx, tx, "limits", l)
}

// DeleteLimit removes a limit.
func DeleteLimit(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "limits", id)
}
