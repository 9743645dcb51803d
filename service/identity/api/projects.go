package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/identity"
)

type projectBody struct {
	Name        rest.Opt[string]         `json:"name" check:"len=1..64"`
	DomainID    rest.Opt[string]         `json:"domain_id" check:"len=1..64 match=id"`
	ParentID    rest.Opt[string]         `json:"parent_id" check:"len=1..64 match=id"`
	Description rest.Opt[string]         `json:"description"`
	Enabled     rest.Opt[rest.Bool]      `json:"enabled"`
	IsDomain    rest.Opt[rest.Bool]      `json:"is_domain"`
	Tags        rest.Opt[[]string]       `json:"tags"`
	Options     rest.Opt[map[string]any] `json:"options"`
}

func (b projectBody) change(extra identity.Attributes, required bool) (identity.ProjectChange, error) {
	n, err := name("name", b.Name, required)
	change := identity.ProjectChange{Name: n, DomainID: nullable(b.DomainID), ParentID: nullable(b.ParentID), Description: text(b.Description),
		Enabled: flag(b.Enabled), IsDomain: flag(b.IsDomain), Options: b.Options.V, Extra: extra}
	if b.Tags.Set {
		change.Tags = &b.Tags.V
	}
	return change, err
}

func projectID(p *identity.Project) string { return p.ID }

func (a *api) listProjects(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	q, err := query(r, "id", "name", "domain_id", "parent_id", "enabled", "is_domain", "description")
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(q.Filters, func(f identity.Filter) bool { return f.Attribute == "is_domain" }) {
		q = q.Where("is_domain", false)
	}
	list := func(parameter string) []string {
		if v := r.Query.Get(parameter); v != "" {
			return strings.Split(v, ",")
		}
		return nil
	}
	t := identity.TagQuery{All: list("tags"), Any: list("tags-any"), NotAll: list("not-tags"), NotAny: list("not-tags-any")}
	projects, err := a.c.Projects(ctx, q, t)
	return collection(r, "projects", projects, q, projectView, projectID), err
}

func (a *api) showProject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	p, err := a.c.Project(ctx, r.Path("project_id"))
	if err != nil {
		return nil, err
	}
	v := projectView(r, &p)
	if err := a.addRelatives(ctx, r, p, v); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"project": v}), nil
}

// addRelatives adds the projects above and below that a query asks for.
func (a *api) addRelatives(ctx context.Context, r *rest.Request, p identity.Project, v map[string]any) error {
	for _, kind := range []string{"parents", "subtree"} {
		asList, asIDs := isSet(r, kind+"_as_list"), isSet(r, kind+"_as_ids")
		if asList && asIDs {
			return fault.Invalidf("Cannot use %s_as_list and %s_as_ids query params at the same time.", kind, kind)
		}
		var err error
		switch {
		case asList && kind == "parents":
			v[kind], err = wrapped(r, p, a.c.Parents, ctx)
		case asList:
			v[kind], err = wrapped(r, p, a.c.Children, ctx)
		case asIDs && kind == "parents":
			v[kind] = parentIDs(p)
		case asIDs:
			v[kind], err = a.subtreeIDs(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func wrapped(r *rest.Request, p identity.Project, list func(context.Context, identity.Project) ([]identity.Project, error), ctx context.Context) ([]any, error) {
	projects, err := list(ctx, p)
	views := make([]any, len(projects))
	for i := range projects {
		views[i] = map[string]any{"project": projectView(r, &projects[i])}
	}
	return views, err
}

// parentIDs nests the ids above p, the nearest outermost; null for none.
func parentIDs(p identity.Project) any {
	var nested any
	for _, id := range p.Ancestors() {
		nested = map[string]any{id: nested}
	}
	return nested
}

// subtreeIDs nests the ids below p; null where there are none.
func (a *api) subtreeIDs(ctx context.Context, p identity.Project) (any, error) {
	below, err := a.c.Subtree(ctx, p)
	children := map[string][]string{}
	for _, b := range below {
		children[b.ParentID] = append(children[b.ParentID], b.ID)
	}
	return nest(children, p.ID), err
}

func nest(children map[string][]string, id string) any {
	if len(children[id]) == 0 {
		return nil
	}
	m := map[string]any{}
	for _, child := range children[id] {
		m[child] = nest(children, child)
	}
	return m
}

func (a *api) createProject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := create[projectBody](r, "project")
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, true)
	if err != nil {
		return nil, err
	}
	p, err := a.c.CreateProject(ctx, change)
	return one(r, "project", &p, projectView, http.StatusCreated), err
}

func (a *api) updateProject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	b, extra, err := change[projectBody](r, "project", r.Path("project_id"))
	if err != nil {
		return nil, err
	}
	change, err := b.change(extra, false)
	if err != nil {
		return nil, err
	}
	p, err := a.c.UpdateProject(ctx, r.Path("project_id"), change)
	return one(r, "project", &p, projectView, http.StatusOK), err
}

func (a *api) deleteProject(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.DeleteProject(ctx, r.Path("project_id"))
}

func (a *api) listTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	list, err := a.c.Tags(ctx, r.Path("project_id"))
	return tagsResponse(r, list), err
}

func tagsResponse(r *rest.Request, list []string) *rest.Response {
	return rest.OK(map[string]any{"tags": tags(list), "links": map[string]any{"self": r.Link(r.URL.Path)}})
}

func (a *api) setTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var b struct {
		Tags *[]string `json:"tags"`
	}
	if err := r.Decode(&b); err != nil {
		return nil, err
	}
	if b.Tags == nil {
		return nil, fault.Invalidf("'tags' is a required property")
	}
	list, err := a.c.SetTags(ctx, r.Path("project_id"), *b.Tags)
	return tagsResponse(r, list), err
}

func (a *api) clearTags(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	_, err := a.c.SetTags(ctx, r.Path("project_id"), nil)
	return rest.NoContent(), err
}

func (a *api) checkTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.CheckTag(ctx, r.Path("project_id"), r.Path("tag"))
}

func (a *api) addTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	resp := &rest.Response{Status: http.StatusCreated}
	return resp.With("Location", r.Link(r.URL.Path)), a.c.AddTag(ctx, r.Path("project_id"), r.Path("tag"))
}

func (a *api) removeTag(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.c.RemoveTag(ctx, r.Path("project_id"), r.Path("tag"))
}
