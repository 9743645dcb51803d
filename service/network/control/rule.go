package control

import (
	"context"
	"net/netip"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// Rules lists the security group rules that the caller sees.
func (c *Control) Rules(ctx context.Context, q network.Query) ([]network.Rule, error) {
	if !c.reads(ctx, "get_security_group_rule") {
		return nil, nil
	}
	if err := c.ensureDefault(ctx); err != nil {
		return nil, err
	}
	return c.store.Rules(ctx, c.store, c.scope(ctx), q)
}

// Rule returns a security group rule that the caller sees.
func (c *Control) Rule(ctx context.Context, id string) (network.Rule, error) {
	return c.store.Rule(ctx, c.store, c.scope(ctx), id)
}

// CreateRules makes rules, all or none. All are of one group, as upstream wants.
func (c *Control) CreateRules(ctx context.Context, inputs []network.RuleInput) ([]network.Rule, error) {
	var made []network.Rule
	err := c.write(ctx, func(tx *write) error {
		made = nil
		for _, in := range inputs {
			if in.GroupID.V != inputs[0].GroupID.V {
				return fault.Invalidf("Only allowed to update rules for one security profile at a time.").WithCode("SecurityGroupNotSingleGroupRules")
			}
			r, err := c.createRule(ctx, tx, in)
			if err != nil {
				return err
			}
			made = append(made, r)
		}
		return nil
	})
	return made, err
}

func (c *Control) createRule(ctx context.Context, tx *write, in network.RuleInput) (network.Rule, error) {
	none := network.Rule{}
	project := c.project(ctx, in.OwnerInput)
	if err := enforce(ctx, "create_security_group_rule", owned(project), in); err != nil {
		return none, err
	}
	r, err := checkRule(in)
	if err != nil {
		return none, err
	}
	g, err := c.store.Group(ctx, tx, c.scope(ctx), in.GroupID.V)
	if err != nil {
		return none, err
	}
	if r.RemoteGroup != nil {
		if _, err := c.store.Group(ctx, tx, c.scope(ctx), *r.RemoteGroup); err != nil {
			return none, err
		}
	}
	if err := c.takeQuota(ctx, tx, project, "security_group_rule", 1); err != nil {
		return none, err
	}
	for _, other := range g.Rules {
		if sameRule(other, r) {
			return none, fault.Conflictf("Security group rule already exists. Rule id is %s.", other.ID).WithCode("SecurityGroupRuleExists")
		}
	}
	r.Standard = store.NewStandard(newID(), project, in.Description.Or(""), c.now())
	r.NormalizedCIDR = r.RemotePrefix
	tx.rules(g.ID)
	if err := c.store.InsertRules(ctx, tx.Tx, []network.Rule{r}); err != nil {
		return none, err
	}
	return r, c.store.Touch(ctx, tx.Tx, "security_groups", g.ID, c.now())
}

// checkRule reads a rule and refuses what is none.
func checkRule(in network.RuleInput) (network.Rule, error) {
	r := network.Rule{GroupID: in.GroupID.V, Direction: in.Direction.V, EtherType: in.EtherType.Or("IPv4")}
	if r.Direction != "ingress" && r.Direction != "egress" {
		return r, invalid("direction", "'%.64s' is not in ['ingress', 'egress']", r.Direction)
	}
	switch strings.ToLower(r.EtherType) {
	case "ipv4":
		r.EtherType = "IPv4"
	case "ipv6":
		r.EtherType = "IPv6"
	default:
		return r, fault.Invalidf("Security group rule for ethertype '%.64s' not supported. Allowed values are ['IPv4', 'IPv6'].", r.EtherType).
			WithCode("SecurityGroupRuleInvalidEtherType")
	}
	protocol := strings.ToLower(string(in.Protocol.Or("")))
	number, ok := protocolNumber(protocol)
	if !ok {
		return r, fault.Invalidf("Security group rule protocol %.64s not supported. Only protocol values and integer representations [0 to 255] are supported.", protocol).
			WithCode("SecurityGroupRuleInvalidProtocol")
	}
	if protocol != "" && protocol != "any" {
		r.Protocol = &protocol
	}
	if strings.HasPrefix(protocol, "ipv6-") && r.EtherType == "IPv4" {
		return r, fault.Invalidf("Invalid ethertype %s for protocol %s.", r.EtherType, protocol).WithCode("SecurityGroupEthertypeConflictWithProtocol")
	}
	if err := checkRulePorts(&r, in, number); err != nil {
		return r, err
	}
	return r, checkRemote(&r, in)
}

func checkRulePorts(r *network.Rule, in network.RuleInput, protocol int) error {
	if in.PortMin.Set && !in.PortMin.Null {
		r.PortMin = &in.PortMin.V
	}
	if in.PortMax.Set && !in.PortMax.Null {
		r.PortMax = &in.PortMax.V
	}
	if r.PortMin == nil && r.PortMax == nil {
		return nil
	}
	if r.Protocol == nil {
		return fault.Invalidf("Must also specify protocol if port range is given.").WithCode("SecurityGroupProtocolRequiredWithPorts")
	}
	for name, p := range map[string]*int{"port_range_min": r.PortMin, "port_range_max": r.PortMax} {
		if p != nil && (*p < 0 || *p > 65535) {
			return fault.Invalidf("Invalid value for port %d. It is not between 0 and 65535 (%s).", *p, name).WithCode("SecurityGroupInvalidPortValue")
		}
	}
	switch {
	case isICMP(protocol):
		for field, p := range map[string]*int{"type": r.PortMin, "code": r.PortMax} {
			if p != nil && *p > 255 {
				return fault.Invalidf("Invalid value for ICMP %s: %d. It must be between 0 and 255.", field, *p).WithCode("SecurityGroupInvalidIcmpValue")
			}
		}
		if r.PortMin == nil {
			return fault.Invalidf("ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", *r.PortMax).
				WithCode("SecurityGroupMissingIcmpType")
		}
	case hasPorts(protocol):
		if r.PortMin == nil || r.PortMax == nil || *r.PortMin > *r.PortMax || *r.PortMin == 0 {
			return fault.Invalidf("For TCP/UDP protocols, port_range_min must be <= port_range_max, and both be at least 1.").WithCode("SecurityGroupInvalidPortRange")
		}
	default:
		return fault.Invalidf("Invalid port range for protocol %s: it has no ports.", *r.Protocol).WithCode("SecurityGroupInvalidProtocolForPort")
	}
	return nil
}

// isICMP reports whether a rule's ports are ICMP type and code.
func isICMP(protocol int) bool { return protocol == 1 || protocol == 58 }

// hasPorts reports whether packets of a protocol have ports: TCP, UDP, DCCP, SCTP
// and UDP-Lite.
func hasPorts(protocol int) bool {
	switch protocol {
	case 6, 17, 33, 132, 136:
		return true
	}
	return false
}

func checkRemote(r *network.Rule, in network.RuleInput) error {
	prefix, group := in.RemotePrefix.Or(""), in.RemoteGroup.Or("")
	if prefix != "" && group != "" {
		return fault.Invalidf("Only remote_ip_prefix or remote_group_id may be provided.").WithCode("SecurityGroupRemoteGroupAndRemoteIpPrefix")
	}
	if group != "" {
		r.RemoteGroup = &group
	}
	if prefix == "" {
		return nil
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		a, ok := parseIP(prefix)
		if !ok {
			return invalid("remote_ip_prefix", "'%.64s' is not a valid IP subnet", prefix)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4() != (r.EtherType == "IPv4") || p.Addr().Is4In6() {
		return fault.Invalidf("Conflicting value ethertype %s for CIDR %s.", r.EtherType, prefix).WithCode("SecurityGroupRuleParameterConflict")
	}
	text := p.Masked().String()
	r.RemotePrefix = &text
	return nil
}

// sameRule reports whether two rules allow the same; "tcp" and "6" are one.
func sameRule(a, b network.Rule) bool {
	pa, _ := protocolNumber(deref(a.Protocol))
	pb, _ := protocolNumber(deref(b.Protocol))
	return a.Direction == b.Direction && a.EtherType == b.EtherType && pa == pb && equal(a.PortMin, b.PortMin) && equal(a.PortMax, b.PortMax) &&
		everywhere(a.RemotePrefix) == everywhere(b.RemotePrefix) && deref(a.RemoteGroup) == deref(b.RemoteGroup)
}

// everywhere is "" for prefixes that are no restriction.
func everywhere(p *string) string {
	if s := deref(p); s != "0.0.0.0/0" && s != "::/0" {
		return s
	}
	return ""
}

func equal(a, b *int) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// DeleteRule removes a rule.
func (c *Control) DeleteRule(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		r, err := c.store.Rule(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_security_group_rule", owned(r.ProjectID), nil); err != nil {
			return err
		}
		if err := matches(m, r.Standard); err != nil {
			return err
		}
		tx.rules(r.GroupID)
		if err := c.store.DeleteRule(ctx, tx.Tx, id); err != nil {
			return err
		}
		return c.store.Touch(ctx, tx.Tx, "security_groups", r.GroupID, c.now())
	})
}
