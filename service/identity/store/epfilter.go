package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/identity"
)

var endpointGroupColumns = map[string]string{"id": "id", "name": "name"}

// EndpointGroup returns an endpoint group.
func EndpointGroup(ctx context.Context, q db.Querier, id string) (identity.EndpointGroup, error) {
	return pick[identity.EndpointGroup](ctx, q, "endpoint_groups", id)
}

// EndpointGroups lists endpoint groups.
func EndpointGroups(ctx context.Context, q db.Querier, query identity.Query) ([]identity.EndpointGroup, error) {
	return list[identity.EndpointGroup](ctx, q, "endpoint_groups", endpointGroupColumns, query, clause{})
}

// AddEndpointGroup writes a new endpoint group.
func AddEndpointGroup(ctx context.Context, tx *db.Tx, g identity.EndpointGroup) error {
	return db.Insert(ctx, tx, "endpoint_groups", g)
}

// UpdateEndpointGroup writes a changed endpoint group.
func UpdateEndpointGroup(ctx context.Context, tx *db.Tx, g identity.EndpointGroup) error {
	return update(ctx, tx, "endpoint_groups", g)
}

// DeleteEndpointGroup removes an endpoint group.
func DeleteEndpointGroup(ctx context.Context, tx *db.Tx, id string) error {
	return remove(ctx, tx, "endpoint_groups", id)
}

// association names the table and column of endpoints, or of groups of them,
// that projects are shown.
func association(isGroup bool) (table, column string) {
	if isGroup {
		return "project_endpoint_groups", "group_id"
	}
	return "project_endpoints", "endpoint_id"
}

// EndpointsOfProject returns the endpoints and the groups of them that a project
// is shown by association.
func EndpointsOfProject(ctx context.Context, q db.Querier, projectID string) ([]string, []identity.EndpointGroup, error) {
	ids, err := db.Select[string](ctx, q, `SELECT endpoint_id FROM project_endpoints WHERE project_id = ?`, projectID)
	if err != nil {
		return nil, nil, err
	}
	groups, err := db.Select[identity.EndpointGroup](ctx, q, `SELECT `+columns[identity.EndpointGroup]()+` FROM endpoint_groups
		WHERE id IN (SELECT group_id FROM project_endpoint_groups WHERE project_id = ?) ORDER BY id`, projectID)
	return ids, groups, err
}

// ProjectsOfEndpoint returns the ids of the projects that are shown an endpoint
// or a group.
func ProjectsOfEndpoint(ctx context.Context, q db.Querier, id string, isGroup bool) ([]string, error) {
	table, column := association(isGroup)
	ids, err := db.Select[string](ctx, q, `SELECT project_id FROM `+table+` WHERE `+column+` = ?`, id)
	if ids == nil {
		ids = []string{}
	}
	return ids, err
}

// HasProjectEndpoint reports whether a project is shown an endpoint or a group.
func HasProjectEndpoint(ctx context.Context, q db.Querier, projectID, id string, isGroup bool) (bool, error) {
	table, column := association(isGroup)
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM `+table+` WHERE project_id = ? AND `+column+` = ?`, projectID, id)
	return n > 0, err
}

// AddProjectEndpoint shows a project an endpoint or a group. It is no error when
// it is shown already.
func AddProjectEndpoint(ctx context.Context, tx *db.Tx, projectID, id string, isGroup bool) error {
	if has, err := HasProjectEndpoint(ctx, tx, projectID, id, isGroup); err != nil || has {
		return err
	}
	table, column := association(isGroup)
	_, err := tx.Exec(ctx, `INSERT INTO `+table+` (project_id, `+column+`) VALUES (?, ?)`, projectID, id)
	return db.Raced(err)
}

// DeleteProjectEndpoint ends that; db.ErrNoRow when it is not so.
func DeleteProjectEndpoint(ctx context.Context, tx *db.Tx, projectID, id string, isGroup bool) error {
	table, column := association(isGroup)
	return touch(tx.Exec(ctx, `DELETE FROM `+table+` WHERE project_id = ? AND `+column+` = ?`, projectID, id))
}
