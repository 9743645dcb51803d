package remote

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

type securityGroupRule struct {
	ID          string  `json:"id"`
	Direction   string  `json:"direction"`
	EtherType   string  `json:"ethertype"`
	Protocol    *string `json:"protocol"`
	From        *int    `json:"port_range_min"`
	To          *int    `json:"port_range_max"`
	RemoteGroup *string `json:"remote_group_id"`
	RemoteCIDR  *string `json:"remote_ip_prefix"`
}

// Groups implements compute.Networks.
func (n *Networks) Groups(ctx context.Context, projectID string) ([]compute.SecurityGroup, error) {
	query := url.Values{}
	if projectID != "" {
		query.Set("project_id", projectID)
	}
	var out struct {
		Groups []groupWithRules `json:"security_groups"`
	}
	if err := n.get(ctx, true, "security-groups", query, &out); err != nil {
		return nil, err
	}
	var all []compute.SecurityGroup
	for _, g := range out.Groups {
		all = append(all, g.group())
	}
	return all, nil
}

type groupWithRules struct {
	securityGroup
	Rules []securityGroupRule `json:"security_group_rules"`
}

func (g groupWithRules) group() compute.SecurityGroup {
	group := compute.SecurityGroup{SecurityGroupRef: compute.SecurityGroupRef(g.securityGroup)}
	for _, r := range g.Rules {
		if r.Direction == "ingress" {
			group.Rules = append(group.Rules, r.rule())
		}
	}
	return group
}

type groupBody struct {
	Group groupWithRules `json:"security_group"`
}

// Group implements compute.OldNetworks.
func (n *Networks) Group(ctx context.Context, id string) (compute.SecurityGroup, error) {
	var out groupBody
	err := n.get(ctx, true, "security-groups/"+url.PathEscape(id), nil, &out)
	return out.Group.group(), noGroup(err, id)
}

func noGroup(err error, id string) error {
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Security group %s not found.", id)
	}
	return err
}

// CreateGroup implements compute.OldNetworks.
func (n *Networks) CreateGroup(ctx context.Context, name, description string) (compute.SecurityGroup, error) {
	var out groupBody
	err := n.ask(ctx, http.MethodPost, "security-groups", object{"security_group": object{"name": name, "description": description}}, &out)
	return out.Group.group(), overQuota(err)
}

// overQuota says of a conflict that is a quota what it is.
func overQuota(err error) error {
	if fault.Is(err, fault.Conflict) && codeOf(err) == "OverQuota" {
		return fault.New(fault.OverLimit, "%w", err)
	}
	return err
}

func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return ""
}

// UpdateGroup implements compute.OldNetworks.
func (n *Networks) UpdateGroup(ctx context.Context, id, name, description string) (compute.SecurityGroup, error) {
	var out groupBody
	err := n.ask(ctx, http.MethodPut, "security-groups/"+url.PathEscape(id), object{"security_group": object{"name": name, "description": description}}, &out)
	return out.Group.group(), noGroup(err, id)
}

// DeleteGroup implements compute.OldNetworks.
func (n *Networks) DeleteGroup(ctx context.Context, id string) error {
	err := n.ask(ctx, http.MethodDelete, "security-groups/"+url.PathEscape(id), nil, nil)
	if fault.Is(err, fault.Conflict) { // in use: upstream's old face says 400
		return fault.New(fault.Invalid, "%w", err)
	}
	return noGroup(err, id)
}

// CreateRule implements compute.OldNetworks.
func (n *Networks) CreateRule(ctx context.Context, r compute.NewRule) (compute.SecurityGroupRule, error) {
	rule := object{"security_group_id": r.GroupID, "direction": "ingress", "ethertype": "IPv4"}
	if r.Protocol != "" {
		rule["protocol"] = strings.ToLower(r.Protocol)
	}
	for name, port := range map[string]*int{"port_range_min": r.FromPort, "port_range_max": r.ToPort} {
		if port != nil && *port != -1 {
			rule[name] = *port
		}
	}
	if r.Source != "" {
		rule["remote_group_id"] = r.Source
	} else if r.CIDR != "" {
		rule["remote_ip_prefix"] = r.CIDR
		if strings.Contains(r.CIDR, ":") {
			rule["ethertype"] = "IPv6"
		}
	}
	var out struct {
		Rule securityGroupRule `json:"security_group_rule"`
	}
	err := overQuota(n.ask(ctx, http.MethodPost, "security-group-rules", object{"security_group_rule": rule}, &out))
	if fault.Is(err, fault.Conflict) {
		return compute.SecurityGroupRule{}, fault.Invalidf("This rule already exists in group %s", r.GroupID)
	}
	return out.Rule.rule(), err
}

// DeleteRule implements compute.OldNetworks.
func (n *Networks) DeleteRule(ctx context.Context, id string) error {
	err := n.ask(ctx, http.MethodDelete, "security-group-rules/"+url.PathEscape(id), nil, nil)
	if fault.Is(err, fault.NotFound) {
		return fault.NotFoundf("Security group rule %s not found.", id)
	}
	return err
}

// rule puts a rule into the words of the time when compute had security groups
// of its own: there, no port meant all ports and no source meant everybody.
func (r securityGroupRule) rule() compute.SecurityGroupRule {
	rule := compute.SecurityGroupRule{ID: r.ID, FromPort: r.From, ToPort: r.To}
	if r.Protocol != nil {
		rule.Protocol = *r.Protocol
	}
	if rule.Protocol != "" && r.From == nil && r.To == nil {
		from, to := -1, -1
		if rule.Protocol == "tcp" || rule.Protocol == "udp" {
			from, to = 1, 65535
		}
		rule.FromPort, rule.ToPort = &from, &to
	}
	switch {
	case r.RemoteGroup != nil:
		rule.Source = *r.RemoteGroup
	case r.RemoteCIDR != nil:
		rule.CIDR = *r.RemoteCIDR
	case r.EtherType == "IPv6":
		rule.CIDR = "::/0"
	default:
		rule.CIDR = "0.0.0.0/0"
	}
	return rule
}
