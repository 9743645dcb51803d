package control

import (
	"context"
	"fmt"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// filterEndpoints keeps of the endpoints of a catalog those that are associated
// with a project; of a project without any, all or none as the option says.
func (c *Control) filterEndpoints(ctx context.Context, projectID string, all []identity.Endpoint) ([]identity.Endpoint, error) {
	ids, groups, err := store.EndpointsOfProject(ctx, c.db, projectID)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 && len(groups) == 0 && c.options.EndpointFilter.ReturnAll {
		return all, nil
	}
	single := map[string]bool{}
	for _, id := range ids {
		single[id] = true
	}
	var kept []identity.Endpoint
	for _, e := range all {
		in := single[e.ID]
		for _, g := range groups {
			in = in || selects(g, e)
		}
		if in {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// selects reports whether a group's filters fit an endpoint.
func selects(g identity.EndpointGroup, e identity.Endpoint) bool {
	have := map[string]any{"service_id": e.ServiceID, "region_id": e.RegionID, "interface": e.Interface, "enabled": e.Enabled}
	for name, want := range g.Filters {
		if fmt.Sprint(have[name]) != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// checkFilters refuses filters that no endpoint has.
func checkFilters(filters identity.Attributes) error {
	if len(filters) == 0 {
		return fault.Invalidf("Invalid input for field 'filters': at least one is needed.")
	}
	for name, v := range filters {
		switch name {
		case "service_id", "region_id", "enabled":
		case "interface":
			if v != identity.Public && v != identity.Internal && v != identity.Admin {
				return fault.Invalidf("Invalid input for field 'interface': %v is not one of public, internal, admin.", v)
			}
		default:
			return fault.Invalidf("Invalid input for field 'filters': endpoints cannot be filtered by '%s'.", clip(name))
		}
	}
	return nil
}

// EndpointGroups lists endpoint groups.
func (c *Control) EndpointGroups(ctx context.Context, q identity.Query) ([]identity.EndpointGroup, error) {
	if err := c.may(ctx, "identity:list_endpoint_groups", nil); err != nil {
		return nil, err
	}
	return store.EndpointGroups(ctx, c.db, q)
}

// EndpointGroup returns an endpoint group.
func (c *Control) EndpointGroup(ctx context.Context, id string) (identity.EndpointGroup, error) {
	g, err := store.EndpointGroup(ctx, c.db, id)
	return g, c.seen(ctx, found(err, "Endpoint Group", id), "identity:get_endpoint_group", nil)
}

// CreateEndpointGroup makes an endpoint group.
func (c *Control) CreateEndpointGroup(ctx context.Context, g identity.EndpointGroup) (identity.EndpointGroup, error) {
	err := c.may(ctx, "identity:create_endpoint_group", nil)
	if err != nil {
		return g, err
	}
	if err := checkFilters(g.Filters); err != nil {
		return g, err
	}
	if g.ID, err = c.newID(); err != nil {
		return g, err
	}
	return g, c.changing(ctx, func(tx *db.Tx) error { return store.AddEndpointGroup(ctx, tx, g) })
}

// UpdateEndpointGroup changes an endpoint group; nil leaves things as they are.
func (c *Control) UpdateEndpointGroup(ctx context.Context, id string, name, description *string, filters identity.Attributes) (identity.EndpointGroup, error) {
	var g identity.EndpointGroup
	if err := c.may(ctx, "identity:update_endpoint_group", nil); err != nil {
		return g, err
	}
	if filters != nil {
		if err := checkFilters(filters); err != nil {
			return g, err
		}
	}
	return g, c.changing(ctx, func(tx *db.Tx) (err error) {
		if g, err = store.EndpointGroup(ctx, tx, id); err != nil {
			return found(err, "Endpoint Group", id)
		}
		g.Name = value(name, g.Name)
		if description != nil {
			g.Description = description
		}
		if filters != nil {
			g.Filters = filters
		}
		return store.UpdateEndpointGroup(ctx, tx, g)
	})
}

// DeleteEndpointGroup removes an endpoint group.
func (c *Control) DeleteEndpointGroup(ctx context.Context, id string) error {
	if err := c.may(ctx, "identity:delete_endpoint_group", nil); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return found(store.DeleteEndpointGroup(ctx, tx, id), "Endpoint Group", id)
	})
}

// GroupEndpoints lists the endpoints that a group selects.
func (c *Control) GroupEndpoints(ctx context.Context, id string) ([]identity.Endpoint, error) {
	if err := c.may(ctx, "identity:list_endpoints_associated_with_endpoint_group", nil); err != nil {
		return nil, err
	}
	g, err := store.EndpointGroup(ctx, c.db, id)
	if err != nil {
		return nil, found(err, "Endpoint Group", id)
	}
	all, err := store.Endpoints(ctx, c.db, identity.Query{})
	var kept []identity.Endpoint
	for _, e := range all {
		if selects(g, e) {
			kept = append(kept, e)
		}
	}
	return kept, err
}

// Association is what a project may be shown: an endpoint, or a group of them.
type Association struct {
	ProjectID string
	ID        string
	IsGroup   bool
}

func (a Association) rule(verb string) string {
	switch {
	case a.IsGroup && verb == "check":
		return "identity:get_endpoint_group_in_project"
	case a.IsGroup && verb == "add":
		return "identity:add_endpoint_group_to_project"
	case a.IsGroup:
		return "identity:remove_endpoint_group_from_project"
	case verb == "check":
		return "identity:check_endpoint_in_project"
	case verb == "add":
		return "identity:add_endpoint_to_project"
	}
	return "identity:remove_endpoint_from_project"
}

// both checks the rule, and that both sides exist.
func (c *Control) both(ctx context.Context, a Association, verb string) error {
	if err := c.may(ctx, a.rule(verb), nil); err != nil {
		return err
	}
	if _, err := store.ProjectHead(ctx, c.db, a.ProjectID); err != nil {
		return found(err, "project", a.ProjectID)
	}
	if a.IsGroup {
		_, err := store.EndpointGroup(ctx, c.db, a.ID)
		return found(err, "Endpoint Group", a.ID)
	}
	_, err := store.Endpoint(ctx, c.db, a.ID)
	return found(err, "endpoint", a.ID)
}

// Associate shows an endpoint, or a group of them, to a project.
func (c *Control) Associate(ctx context.Context, a Association) error {
	if err := c.both(ctx, a, "add"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error { return store.AddProjectEndpoint(ctx, tx, a.ProjectID, a.ID, a.IsGroup) })
}

// CheckAssociation is fault.NotFound where there is no such association.
func (c *Control) CheckAssociation(ctx context.Context, a Association) error {
	if err := c.both(ctx, a, "check"); err != nil {
		return err
	}
	has, err := store.HasProjectEndpoint(ctx, c.db, a.ProjectID, a.ID, a.IsGroup)
	if err == nil && !has {
		err = fault.NotFoundf("Endpoint %s not found in project %s", a.ID, a.ProjectID)
	}
	return err
}

// Dissociate ends an association.
func (c *Control) Dissociate(ctx context.Context, a Association) error {
	if err := c.both(ctx, a, "remove"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		err := store.DeleteProjectEndpoint(ctx, tx, a.ProjectID, a.ID, a.IsGroup)
		return found(err, "endpoint association of project "+a.ProjectID, a.ID)
	})
}

// ProjectEndpoints lists the endpoints that a project is shown by association.
func (c *Control) ProjectEndpoints(ctx context.Context, projectID string) ([]identity.Endpoint, error) {
	if err := c.may(ctx, "identity:list_endpoints_for_project", nil); err != nil {
		return nil, err
	}
	if _, err := store.ProjectHead(ctx, c.db, projectID); err != nil {
		return nil, found(err, "project", projectID)
	}
	ids, groups, err := store.EndpointsOfProject(ctx, c.db, projectID)
	if err != nil || len(ids)+len(groups) == 0 {
		return nil, err
	}
	all, err := store.Endpoints(ctx, c.db, identity.Query{})
	if err != nil {
		return nil, err
	}
	return c.filterEndpoints(ctx, projectID, all)
}

// ProjectEndpointGroups lists the endpoint groups that a project is shown.
func (c *Control) ProjectEndpointGroups(ctx context.Context, projectID string) ([]identity.EndpointGroup, error) {
	if err := c.may(ctx, "identity:list_endpoint_groups_for_project", nil); err != nil {
		return nil, err
	}
	if _, err := store.ProjectHead(ctx, c.db, projectID); err != nil {
		return nil, found(err, "project", projectID)
	}
	_, groups, err := store.EndpointsOfProject(ctx, c.db, projectID)
	return groups, err
}

// AssociatedProjects lists the projects that are shown an endpoint or a group.
func (c *Control) AssociatedProjects(ctx context.Context, id string, isGroup bool) ([]identity.Project, error) {
	rule := "identity:list_projects_for_endpoint"
	if isGroup {
		rule = "identity:list_projects_associated_with_endpoint_group"
	}
	if err := c.may(ctx, rule, nil); err != nil {
		return nil, err
	}
	var err error
	if isGroup {
		_, err = store.EndpointGroup(ctx, c.db, id)
		err = found(err, "Endpoint Group", id)
	} else {
		_, err = store.Endpoint(ctx, c.db, id)
		err = found(err, "endpoint", id)
	}
	if err != nil {
		return nil, err
	}
	ids, err := store.ProjectsOfEndpoint(ctx, c.db, id, isGroup)
	if err != nil {
		return nil, err
	}
	return store.Projects(ctx, c.db, identity.Query{}, identity.TagQuery{}, ids)
}
