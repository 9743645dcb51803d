package control

import (
	"context"
	"slices"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// maxPromise is the largest amount of a rule, as Placement's largest integer.
const maxPromise = 1<<31 - 1

// ruleDirections are the directions that rules of a kind may have.
var ruleDirections = map[string][]string{
	network.MinimumBandwidth:  {network.Ingress, network.Egress},
	network.MinimumPacketRate: {network.Ingress, network.Egress, network.AnyDirection},
}

// QoSRuleTypes lists the kinds of rules that there are here. Who makes them true is
// for those who may know of agents.
func (c *Control) QoSRuleTypes(ctx context.Context) ([]network.QoSRuleType, error) {
	if err := denied(policy.Enforce(ctx, "get_rule_type", nil)); err != nil {
		return nil, err
	}
	var all []network.QoSRuleType
	for _, kind := range []struct{ name, amount string }{{network.MinimumBandwidth, "min_kbps"}, {network.MinimumPacketRate, "min_kpps"}} {
		all = append(all, network.QoSRuleType{Type: kind.name, Drivers: []network.QoSRuleDriver{{Name: "placement", Parameters: []network.QoSRuleParameter{
			{Name: kind.amount, Type: "range", Values: map[string]int{"start": 0, "end": maxPromise}},
			{Name: "direction", Type: "choices", Values: ruleDirections[kind.name]}}}}})
	}
	return all, nil
}

// QoSRuleType shows one kind of rules to an administrator.
func (c *Control) QoSRuleType(ctx context.Context, name string) (network.QoSRuleType, error) {
	if err := denied(policy.Enforce(ctx, "context_is_admin", nil)); err != nil {
		return network.QoSRuleType{}, err
	}
	all, err := c.QoSRuleTypes(ctx)
	for _, t := range all {
		if t.Type == name {
			return t, nil
		}
	}
	if err == nil {
		err = fault.NotFoundf("Rule type %.64s could not be found.", name).WithCode("QosRuleTypeNotFound")
	}
	return network.QoSRuleType{}, err
}

// QoSRules lists the rules of a kind in a policy that the caller sees.
func (c *Control) QoSRules(ctx context.Context, policyID, kind string) ([]network.QoSRule, error) {
	p, err := c.QoSPolicy(ctx, policyID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(p.Rules, func(r network.QoSRule) bool { return r.Kind != kind }), nil
}

// QoSRule returns a rule of a policy that the caller sees. policyID may be "": the
// rule's own.
func (c *Control) QoSRule(ctx context.Context, policyID, kind, id string) (network.QoSRule, error) {
	if policyID == "" {
		var err error
		if policyID, err = c.store.PolicyOfRule(ctx, c.store, kind, id); err != nil {
			return network.QoSRule{}, err
		}
	}
	p, err := c.QoSPolicy(ctx, policyID)
	if err != nil {
		return network.QoSRule{}, err
	}
	return ruleOf(p, kind, id)
}

func ruleOf(p network.QoSPolicy, kind, id string) (network.QoSRule, error) {
	for _, r := range p.Rules {
		if r.ID == id && r.Kind == kind {
			return r, nil
		}
	}
	return network.QoSRule{}, fault.NotFoundf("QoS rule %.64s for policy %s could not be found.", id, p.ID).WithCode("QosRuleNotFound")
}

// CreateQoSRule adds a rule to a policy.
func (c *Control) CreateQoSRule(ctx context.Context, policyID, kind string, in network.QoSRuleInput) (network.QoSRule, error) {
	rule := network.QoSRule{ID: newID(), PolicyID: policyID, Kind: kind, Direction: network.Egress}
	err := c.changeRules(ctx, "create_policy_"+kind+"_rule", policyID, in, func(tx *write, p network.QoSPolicy) error {
		if kind == network.MinimumBandwidth && !in.Kbps.Set || kind == network.MinimumPacketRate && !in.Kpps.Set {
			return badInput("a %s rule needs an amount", kind)
		}
		return c.putRule(ctx, tx, p, &rule, in)
	})
	return rule, err
}

// UpdateQoSRule changes a rule. policyID may be "": the rule's own.
func (c *Control) UpdateQoSRule(ctx context.Context, policyID, kind, id string, in network.QoSRuleInput) (network.QoSRule, error) {
	var rule network.QoSRule
	policyID, err := c.policyOf(ctx, policyID, kind, id)
	if err != nil {
		return rule, err
	}
	err = c.changeRules(ctx, "update_policy_"+kind+"_rule", policyID, in, func(tx *write, p network.QoSPolicy) error {
		var err error
		if rule, err = ruleOf(p, kind, id); err != nil {
			return err
		}
		return c.putRule(ctx, tx, p, &rule, in)
	})
	return rule, err
}

// DeleteQoSRule removes a rule. policyID may be "": the rule's own.
func (c *Control) DeleteQoSRule(ctx context.Context, policyID, kind, id string) error {
	policyID, err := c.policyOf(ctx, policyID, kind, id)
	if err != nil {
		return err
	}
	return c.changeRules(ctx, "delete_policy_"+kind+"_rule", policyID, nil, func(tx *write, p network.QoSPolicy) error {
		if _, err := ruleOf(p, kind, id); err != nil {
			return err
		}
		return c.store.DeleteQoSRule(ctx, tx.Tx, id)
	})
}

func (c *Control) policyOf(ctx context.Context, policyID, kind, id string) (string, error) {
	if policyID != "" {
		return policyID, nil
	}
	return c.store.PolicyOfRule(ctx, c.store, kind, id)
}

// changeRules changes the rules of a policy, which no server's port may have: what
// that takes of its host was claimed by the rules as they were.
func (c *Control) changeRules(ctx context.Context, rule, policyID string, in any, change func(*write, network.QoSPolicy) error) error {
	return c.write(ctx, func(tx *write) error {
		p, err := c.store.QoSPolicy(ctx, tx, c.scope(ctx), policyID)
		if err != nil {
			return err
		}
		if err := enforce(ctx, rule, owned(p.ProjectID), in); err != nil {
			return err
		}
		// Those who give the policy to a port meanwhile wait for this lock, too.
		if err := c.store.Lock(ctx, tx.Tx, "qos_policies", policyID); err != nil {
			return err
		}
		ports, err := c.store.PortsWithQoS(ctx, tx, policyID)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(ports, func(port network.Port) bool { return network.IsServerPort(port.DeviceOwner) }); i >= 0 {
			return fault.New(fault.Unsupported, "Cannot update QoS policies/rules backed by resources tracked in Placement: port %s of server %s has policy %s.",
				ports[i].ID, ports[i].DeviceID, policyID).WithCode("HTTPNotImplemented")
		}
		if err := change(tx, p); err != nil {
			return err
		}
		if err := c.store.Touch(ctx, tx.Tx, "qos_policies", policyID, c.now()); err != nil {
			return err
		}
		return c.stillPromises(ctx, tx, policyID, ports)
	})
}

// putRule writes a rule as a request has it.
func (c *Control) putRule(ctx context.Context, tx *write, p network.QoSPolicy, rule *network.QoSRule, in network.QoSRuleInput) error {
	name, amount, other := "min_kbps", in.Kbps, in.Kpps
	if rule.Kind == network.MinimumPacketRate {
		name, amount, other = "min_kpps", in.Kpps, in.Kbps
	}
	rule.Direction = in.Direction.Or(rule.Direction)
	value := amount.Or(rule.Amount())
	switch {
	case other.Set:
		return invalid("rule", "a %s rule has no other amount than %s", rule.Kind, name)
	case !slices.Contains(ruleDirections[rule.Kind], rule.Direction):
		return invalid("direction", "'%.64s' is not in %v", rule.Direction, ruleDirections[rule.Kind])
	case value < 0 || value > maxPromise:
		return invalid(name, "'%d' is not between 0 and %d", value, maxPromise)
	}
	for _, r := range p.Rules {
		oriented := r.Direction != network.AnyDirection && rule.Direction != network.AnyDirection
		if r.ID != rule.ID && r.Kind == rule.Kind && (r.Direction == rule.Direction || !oriented) {
			return fault.Conflictf("Rule %s conflicts with rule %s which already exists in QoS Policy %s.", rule.Kind, r.ID, p.ID).WithCode("QoSRulesConflict")
		}
	}
	if rule.Kind == network.MinimumBandwidth {
		rule.Kbps = &value
	} else {
		rule.Kpps = &value
	}
	return c.store.PutQoSRule(ctx, tx.Tx, *rule)
}

// stillPromises refuses rules that the networks and ports of a policy cannot have.
func (c *Control) stillPromises(ctx context.Context, tx *write, policyID string, ports []network.Port) error {
	nets, err := c.store.Networks(ctx, tx, store.Everything, network.Query{Filters: map[string][]string{"qos_policy_id": {policyID}}})
	if err != nil {
		return err
	}
	byID := map[string]network.Network{}
	for _, n := range nets {
		byID[n.ID] = n
		if err := c.mayPromise(ctx, tx, &policyID, n); err != nil {
			return err
		}
	}
	for _, p := range ports {
		n, known := byID[p.NetworkID]
		if !known {
			if n, err = c.store.Network(ctx, tx, store.Everything, p.NetworkID); err != nil {
				return err
			}
			byID[n.ID] = n
		}
		if !network.IsServicePort(p.DeviceOwner) {
			if err := c.mayPromise(ctx, tx, &policyID, n, p); err != nil {
				return err
			}
		}
	}
	return nil
}
