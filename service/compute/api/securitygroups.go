package api

import (
	"context"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

type securityGroupView struct {
	ID          string                  `json:"id"`
	Name        string                  `json:"name"`
	Description string                  `json:"description"`
	TenantID    string                  `json:"tenant_id"`
	Rules       []securityGroupRuleView `json:"rules"`
}

type securityGroupRuleView struct {
	ID       string            `json:"id"`
	ParentID string            `json:"parent_group_id"`
	Protocol *string           `json:"ip_protocol"`
	FromPort *int              `json:"from_port"`
	ToPort   *int              `json:"to_port"`
	Group    map[string]string `json:"group"`    // name and tenant_id of the source, or nothing
	Range    map[string]string `json:"ip_range"` // cidr of the source, or nothing
}

// viewSecurityGroup shows one of all: the others give names to the groups that
// its rules are about. A rule about a group that the caller does not see is left
// out, as upstream does.
func viewSecurityGroup(g compute.SecurityGroup, all []compute.SecurityGroup) *securityGroupView {
	view := &securityGroupView{ID: g.ID, Name: g.Name, Description: g.Description, TenantID: g.ProjectID, Rules: []securityGroupRuleView{}}
	for _, rule := range g.Rules {
		v := securityGroupRuleView{ID: rule.ID, ParentID: g.ID, Protocol: orNull(rule.Protocol), FromPort: rule.FromPort, ToPort: rule.ToPort,
			Group: map[string]string{}, Range: map[string]string{}}
		if rule.Source == "" {
			v.Range["cidr"] = rule.CIDR
		}
		for _, source := range all {
			if rule.Source != "" && source.ID == rule.Source {
				v.Group["name"], v.Group["tenant_id"] = source.Name, source.ProjectID
			}
		}
		if len(v.Group)+len(v.Range) > 0 {
			view.Rules = append(view.Rules, v)
		}
	}
	return view
}

func (a *api) listSecurityGroups(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	allProjects := false
	if text := r.Query.Get("all_tenants"); text != "" {
		var err error
		if allProjects, err = rest.ParseBool(text); err != nil {
			return nil, fault.Invalidf("Invalid value for all_tenants: %.64s", text)
		}
	}
	offset, err := r.QueryInt("offset", 0)
	if err != nil {
		return nil, err
	}
	limit, err := r.QueryInt("limit", a.most)
	if err != nil {
		return nil, err
	}
	all, err := a.control.AllSecurityGroups(ctx, "get", allProjects)
	if err != nil {
		return nil, err
	}
	from := min(offset, len(all))
	if limit == 0 {
		limit = a.most
	}
	views := []*securityGroupView{}
	for _, g := range all[from : from+min(limit, a.most, len(all)-from)] {
		views = append(views, viewSecurityGroup(g, all))
	}
	return rest.OK(map[string]any{"security_groups": views}), nil
}

func (a *api) showSecurityGroup(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	all, err := a.control.AllSecurityGroups(ctx, "show", false)
	if err != nil {
		return nil, err
	}
	if !rest.IsUUID(r.Path("id")) {
		return nil, fault.Invalidf("Security group id should be uuid")
	}
	for _, g := range all {
		if g.ID == r.Path("id") {
			return rest.OK(map[string]any{"security_group": viewSecurityGroup(g, all)}), nil
		}
	}
	return nil, fault.NotFoundf("Security group %s not found.", r.Path("id"))
}
