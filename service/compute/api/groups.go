package api

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

func (a *api) serverGroups() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/os-server-groups", Handle: a.listServerGroups, Doc: "list server groups"},
		{Method: "POST", Path: "/os-server-groups", Handle: a.createServerGroup, Doc: "create server group"},
		{Method: "GET", Path: "/os-server-groups/{id}", Handle: a.showServerGroup, Doc: "show server group"},
		{Method: "DELETE", Path: "/os-server-groups/{id}", Handle: a.deleteServerGroup, Doc: "delete server group"},
	}
}

type groupView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Policies  []string   `json:"policies" mv:"-2.63"`
	Metadata  struct{}   `json:"metadata" mv:"-2.63"`
	Policy    string     `json:"policy" mv:"2.64-"`
	Rules     groupRules `json:"rules" mv:"2.64-"`
	Members   []string   `json:"members"`
	ProjectID string     `json:"project_id" mv:"2.13-"`
	UserID    string     `json:"user_id" mv:"2.13-"`
}

type groupRules struct {
	MaxServerPerHost *rest.Int `json:"max_server_per_host,omitempty" check:"range=1.."`
}

type groupBody struct {
	Group *groupView `json:"server_group"`
}

func viewGroup(g *compute.ServerGroup) *groupView {
	v := &groupView{ID: g.ID, Name: g.Name, Policies: []string{g.Policy}, Policy: g.Policy, Members: orNone(g.Members), ProjectID: g.ProjectID, UserID: g.UserID}
	if g.MaxPerHost > 0 {
		most := rest.Int(g.MaxPerHost)
		v.Rules.MaxServerPerHost = &most
	}
	return v
}

func (a *api) listServerGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	limit, err := r.QueryInt("limit", a.most)
	if err != nil {
		return nil, err
	}
	if limit == 0 || limit > a.most {
		limit = a.most
	}
	offset, err := r.QueryInt("offset", 0)
	if err != nil {
		return nil, err
	}
	groups, err := a.control.ServerGroups(ctx, r.Query.Has("all_projects"), offset, limit)
	if err != nil {
		return nil, err
	}
	return &rest.Response{Items: &rest.Items{Key: "server_groups", Each: func(yield func(any) error) error {
		for _, g := range groups {
			if err := yield(viewGroup(g)); err != nil {
				return err
			}
		}
		return nil
	}}}, nil
}

func (a *api) showServerGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	g, err := a.control.ServerGroup(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return rest.OK(&groupBody{viewGroup(g)}), nil
}

func (a *api) createServerGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Group struct {
			Name     string      `json:"name" check:"required len=1..255 name"`
			Policies []string    `json:"policies" mv:"-2.63" check:"len=1"`
			Policy   string      `json:"policy" mv:"2.64-" check:"enum=anti-affinity|affinity|soft-anti-affinity|soft-affinity"`
			Rules    *groupRules `json:"rules" mv:"2.64-"`
		} `json:"server_group" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Group
	n := control.NewGroup{Name: b.Name, Policy: b.Policy}
	if !r.Version.AtLeast("2.64") {
		if len(b.Policies) != 1 {
			return nil, fault.Invalidf("Invalid input for field/attribute server_group. 'policies' is a required property of one element.")
		}
		n.Policy = b.Policies[0]
		known := []string{compute.AntiAffinity, compute.Affinity, compute.SoftAntiAffinity, compute.SoftAffinity}
		if !r.Version.AtLeast("2.15") {
			known = known[:2]
		}
		if !slices.Contains(known, n.Policy) {
			return nil, fault.Invalidf("Invalid input for field/attribute 0. Value: %.64s. It is not one of %q", n.Policy, known)
		}
	} else if n.Policy == "" {
		return nil, fault.Invalidf("Invalid input for field/attribute server_group. 'policy' is a required property.")
	}
	if b.Rules != nil && b.Rules.MaxServerPerHost != nil {
		if n.Policy != compute.AntiAffinity {
			return nil, fault.Invalidf("Only anti-affinity policy supports rules.")
		}
		n.MaxPerHost = int(*b.Rules.MaxServerPerHost)
	}
	g, err := a.control.CreateServerGroup(ctx, n)
	if err != nil {
		return nil, err
	}
	return rest.OK(&groupBody{viewGroup(g)}), nil
}

func (a *api) deleteServerGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	return rest.NoContent(), a.control.DeleteServerGroup(ctx, r.Path("id"))
}
