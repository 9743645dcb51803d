package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var credentialColumns = map[string]string{"id": "id", "user_id": "user_id", "project_id": "project_id", "type": "type"}

// Credential returns a credential, its blob as it is kept.
func Credential(ctx context.Context, q db.Querier, id string) (identity.Credential, error) {
	return pick[identity.Credential](ctx, q, "credentials", id)
}

// Credentials lists credentials, their blobs as they are kept.
func Credentials(ctx context.Context, q db.Querier, query identity.Query) ([]identity.Credential, error) {
	return list[identity.Credential](ctx, q, "credentials", credentialColumns, query, clause{})
}

// AddCredential writes a new credential.
func AddCredential(ctx context.Context, tx *db.Tx, c identity.Credential) error {
	return db.Insert(ctx, tx, "credentials", c)
}

// UpdateCredential writes a changed credential.
func UpdateCredential(ctx context.Context, tx *db.Tx, c identity.Credential) error {
	return update(ctx, tx, "credentials", c)
}

// DeleteCredential removes a credential.
func DeleteCredential(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "credentials", id)
}
