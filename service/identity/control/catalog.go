package control

import (
	"context"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// catalog lists enabled services with their enabled endpoints for a scope.
// Endpoints whose URL needs a project are left out without one.
func (c *Control) catalog(ctx context.Context, userID, projectID string) ([]identity.CatalogEntry, error) {
	services, err := store.Services(ctx, c.db, identity.Query{}.Where("enabled", true))
	if err != nil {
		return nil, err
	}
	endpoints, err := store.EnabledEndpoints(ctx, c.db)
	if err != nil {
		return nil, err
	}
	if projectID != "" {
		if endpoints, err = c.filterEndpoints(ctx, projectID, endpoints); err != nil {
			return nil, err
		}
	}
	byService := map[string][]identity.Endpoint{}
	for _, e := range endpoints {
		url, ok := fillURL(e.URL, userID, projectID)
		if !ok {
			continue
		}
		e.URL = url
		byService[e.ServiceID] = append(byService[e.ServiceID], e)
	}
	catalog := make([]identity.CatalogEntry, len(services))
	for i, s := range services {
		catalog[i] = identity.CatalogEntry{Service: s, Endpoints: byService[s.ID]}
	}
	return catalog, nil
}

// fillURL puts the scope into an endpoint's URL; false when it asks for
// something that the scope does not have.
func fillURL(url, userID, projectID string) (string, bool) {
	if !strings.ContainsAny(url, "%$") {
		return url, true
	}
	for _, open := range []string{"%(", "$("} {
		for name, value := range map[string]string{"project_id": projectID, "tenant_id": projectID, "user_id": userID} {
			mark := open + name + ")s"
			if value == "" && strings.Contains(url, mark) {
				return "", false
			}
			url = strings.ReplaceAll(url, mark, value)
		}
	}
	return url, !strings.Contains(url, "%(") && !strings.Contains(url, "$(")
}

// Catalog is the catalog of the caller's scope.
func (c *Control) Catalog(ctx context.Context) ([]identity.CatalogEntry, error) {
	caller := auth.From(ctx)
	if err := c.may(ctx, "identity:get_auth_catalog", nil); err != nil {
		return nil, err
	}
	if caller.ProjectID == "" {
		return nil, fault.Forbiddenf("A project-scoped token is required to produce a service catalog.")
	}
	return c.catalog(ctx, caller.UserID, caller.ProjectID)
}
