package control

import (
	"context"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// maySecurityGroups asks the policy; rule is the last part of its name.
func (c *Control) maySecurityGroups(ctx context.Context, rule string) error {
	return c.Policy.Enforce(ctx, "os_compute_api:os-security-groups:"+rule, auth.Own(ctx))
}

// CreateSecurityGroup makes a group at the network service, for clients from before
// version 2.36. What follows changes and removes one likewise.
func (c *Control) CreateSecurityGroup(ctx context.Context, name, description string) (compute.SecurityGroup, error) {
	if err := c.maySecurityGroups(ctx, "create"); err != nil {
		return compute.SecurityGroup{}, err
	}
	return c.OldNetworks.CreateGroup(ctx, name, description)
}

// UpdateSecurityGroup renames one.
func (c *Control) UpdateSecurityGroup(ctx context.Context, id, name, description string) (compute.SecurityGroup, error) {
	if err := c.maySecurityGroups(ctx, "update"); err != nil {
		return compute.SecurityGroup{}, err
	}
	return c.OldNetworks.UpdateGroup(ctx, id, name, description)
}

// DeleteSecurityGroup removes one that no port uses.
func (c *Control) DeleteSecurityGroup(ctx context.Context, id string) error {
	if err := c.maySecurityGroups(ctx, "delete"); err != nil {
		return err
	}
	return c.OldNetworks.DeleteGroup(ctx, id)
}

// CreateSecurityGroupRule lets something into a group. A rule from another group
// may leave out its ports; one from addresses says all.
func (c *Control) CreateSecurityGroupRule(ctx context.Context, r compute.NewRule) (rule compute.SecurityGroupRule, source compute.SecurityGroup, err error) {
	if err = c.maySecurityGroups(ctx, "rule:create"); err != nil {
		return rule, source, err
	}
	if _, err = c.OldNetworks.Group(ctx, r.GroupID); err != nil {
		return rule, source, err
	}
	if r.Source != "" {
		if source, err = c.OldNetworks.Group(ctx, r.Source); err != nil {
			return rule, source, err
		}
	}
	if r, err = checkRule(r); err != nil {
		return rule, source, err
	}
	rule, err = c.OldNetworks.CreateRule(ctx, r)
	return rule, source, err
}

// checkRule holds a rule to what compute's own security groups once asked of it.
func checkRule(r compute.NewRule) (compute.NewRule, error) {
	protocol := strings.ToUpper(r.Protocol)
	if r.Source != "" && r.FromPort == nil && r.ToPort == nil {
		switch protocol {
		case "ICMP":
			r.FromPort, r.ToPort = ptr(-1), ptr(-1)
		case "TCP", "UDP":
			r.FromPort, r.ToPort = ptr(1), ptr(65535)
		}
	}
	if protocol == "" || r.FromPort == nil || r.ToPort == nil {
		if r.Source == "" {
			return r, fault.Invalidf("Not enough parameters to build a valid rule.")
		}
		r.Protocol, r.FromPort, r.ToPort = "", nil, nil
		return r, nil
	}
	from, to := *r.FromPort, *r.ToPort
	switch protocol {
	case "TCP", "UDP":
		if from > to {
			return r, fault.Invalidf("Invalid port range %d:%d. Former value cannot be greater than the later", from, to)
		}
		if from < 1 || to > 65535 {
			return r, fault.Invalidf("Invalid port range %d:%d. Valid %s ports should be between 1-65535", from, to, protocol)
		}
	case "ICMP":
		if from < -1 || from > 255 || to < -1 || to > 255 {
			return r, fault.Invalidf("Invalid port range %d:%d. For ICMP, the type:code must be valid", from, to)
		}
	default:
		return r, fault.Invalidf("Invalid IP protocol %.64s.", r.Protocol)
	}
	return r, nil
}

// DeleteSecurityGroupRule lets something in no longer.
func (c *Control) DeleteSecurityGroupRule(ctx context.Context, id string) error {
	if err := c.maySecurityGroups(ctx, "rule:delete"); err != nil {
		return err
	}
	return c.OldNetworks.DeleteRule(ctx, id)
}
