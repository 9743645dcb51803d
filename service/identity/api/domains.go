package api

import (
	"context"
	"net/http"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

func (a *api) listDomains(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "id", "name", "enabled")
	if err != nil {
		return nil, err
	}
	list, err := a.c.Domains(ctx, q)
	return collection(r, "domains", list, q, domainView, projectID), err
}

func (a *api) showDomain(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	d, err := a.c.Domain(ctx, r.Path("domain_id"))
	return one(r, "domain", &d, domainView, http.StatusOK), err
}

func (a *api) createDomain(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[projectBody](r, "domain")
	if err != nil {
		return nil, err
	}
	id := ""
	if given, ok := extra["explicit_domain_id"]; ok {
		if id, _ = given.(string); !rest.IsUUID(id) || len(id) != 32 {
			return nil, fault.Invalidf("Domain ID does not conform to required UUID format.")
		}
		delete(extra, "explicit_domain_id")
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	d, err := a.c.CreateDomain(ctx, id, change)
	return one(r, "domain", &d, domainView, http.StatusCreated), err
}

func (a *api) updateDomain(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[projectBody](r, "domain", r.Path("domain_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	d, err := a.c.UpdateDomain(ctx, r.Path("domain_id"), change)
	return one(r, "domain", &d, domainView, http.StatusOK), err
}

func (a *api) deleteDomain(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteDomain(ctx, r.Path("domain_id"))
}
