package remote

import (
	"context"
	"net/url"

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
		Groups []struct {
			securityGroup
			Rules []securityGroupRule `json:"security_group_rules"`
		} `json:"security_groups"`
	}
	if err := n.get(ctx, true, "security-groups", query, &out); err != nil {
		return nil, err
	}
	var all []compute.SecurityGroup
	for _, g := range out.Groups {
		group := compute.SecurityGroup{SecurityGroupRef: compute.SecurityGroupRef(g.securityGroup)}
		for _, r := range g.Rules {
			if r.Direction == "ingress" {
				group.Rules = append(group.Rules, r.rule())
			}
		}
		all = append(all, group)
	}
	return all, nil
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
