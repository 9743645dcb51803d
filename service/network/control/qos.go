package control

import (
	"context"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// maxQoSPolicies bounds the QoS policies of a project; upstream has no quota.
const maxQoSPolicies = 1000

// QoSPolicies lists the QoS policies that the caller sees.
func (c *Control) QoSPolicies(ctx context.Context, q network.Query) ([]network.QoSPolicy, error) {
	if !c.reads(ctx, "get_policy") {
		return nil, nil
	}
	return c.store.QoSPolicies(ctx, c.store, c.scope(ctx), q)
}

// QoSPolicy returns a QoS policy that the caller sees.
func (c *Control) QoSPolicy(ctx context.Context, id string) (network.QoSPolicy, error) {
	return c.store.QoSPolicy(ctx, c.store, c.scope(ctx), id)
}

// CreateQoSPolicy makes a policy without rules.
func (c *Control) CreateQoSPolicy(ctx context.Context, in network.QoSPolicyInput) (network.QoSPolicy, error) {
	project := c.project(ctx, in.OwnerInput)
	p := network.QoSPolicy{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()), Name: in.Name.Or(""), Shared: in.Shared.Or(false),
		Default: in.Default.Or(false), Rules: []network.QoSRule{}}
	if err := enforce(ctx, "create_policy", owned(project), in); err != nil {
		return p, err
	}
	return p, c.write(ctx, func(tx *write) error {
		n, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM qos_policies WHERE project_id = ?`, project)
		if err != nil {
			return err
		}
		if n >= maxQoSPolicies {
			return fault.Conflictf("Quota exceeded for resources: ['qos_policy']: a project has %d of them at most.", maxQoSPolicies).WithCode("OverQuota")
		}
		if err := c.onlyDefault(ctx, tx, p); err != nil {
			return err
		}
		return c.store.InsertQoSPolicy(ctx, tx.Tx, p)
	})
}

// onlyDefault refuses a second default policy of a project.
func (c *Control) onlyDefault(ctx context.Context, tx *write, p network.QoSPolicy) error {
	if !p.Default {
		return nil
	}
	other, err := c.store.DefaultQoSPolicy(ctx, tx, p.ProjectID)
	if err == nil && other != "" && other != p.ID {
		err = fault.Conflictf("A default QoS policy exists for project %s: it is %s.", p.ProjectID, other).WithCode("QoSPolicyDefaultAlreadyExists")
	}
	return err
}

// UpdateQoSPolicy changes a policy itself.
func (c *Control) UpdateQoSPolicy(ctx context.Context, id string, in network.QoSPolicyInput, m network.Match) (network.QoSPolicy, error) {
	var p network.QoSPolicy
	err := c.write(ctx, func(tx *write) error {
		var err error
		if p, err = c.store.QoSPolicy(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		if err := enforce(ctx, "update_policy", owned(p.ProjectID), in); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		shared := p.Shared
		p.Name, p.Description, p.Shared, p.Default = in.Name.Or(p.Name), in.Description.Or(p.Description), in.Shared.Or(p.Shared), in.Default.Or(p.Default)
		if shared && !p.Shared {
			if err := c.mayHide(ctx, tx, p); err != nil {
				return err
			}
		}
		if err := c.onlyDefault(ctx, tx, p); err != nil {
			return err
		}
		if err := c.store.UpdateQoSPolicy(ctx, tx.Tx, p, c.now()); err != nil {
			return err
		}
		p, err = c.store.QoSPolicy(ctx, tx, store.Everything, id)
		return err
	})
	return p, err
}

// mayHide refuses to take a policy away from other projects that use it.
func (c *Control) mayHide(ctx context.Context, tx *write, p network.QoSPolicy) error {
	n, err := db.Get[int](ctx, tx, `SELECT (SELECT COUNT(*) FROM networks WHERE qos_policy = ? AND project_id <> ?) +
		(SELECT COUNT(*) FROM ports WHERE qos_policy = ? AND project_id <> ?)`, p.ID, p.ProjectID, p.ID, p.ProjectID)
	if err == nil && n > 0 {
		err = fault.Conflictf("Unable to reconfigure sharing settings for QoS policy %s. Multiple tenants are using it.", p.ID).WithCode("InvalidSharedSetting")
	}
	return err
}

// DeleteQoSPolicy removes a policy that no network and no port has.
func (c *Control) DeleteQoSPolicy(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		p, err := c.store.QoSPolicy(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_policy", owned(p.ProjectID), nil); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		if err := c.store.Lock(ctx, tx.Tx, "qos_policies", id); err != nil {
			return err
		}
		kind, user, err := c.store.QoSPolicyUser(ctx, tx, id)
		if err != nil {
			return err
		}
		if user != "" {
			return fault.Conflictf("QoS Policy %s is used by %s %s.", id, kind, user).WithCode("QosPolicyInUse")
		}
		return c.store.DeleteQoSPolicy(ctx, tx.Tx, id)
	})
}

// useQoS returns the policy that a network or port is to have, by what a request
// says and what it has; nil is none. It stays there until the transaction ends.
func (c *Control) useQoS(ctx context.Context, tx *write, in network.Opt[string], had *string) (*string, error) {
	if !in.Set {
		return had, nil
	}
	id := in.Or("")
	if id == "" {
		return nil, nil
	}
	if had != nil && *had == id {
		return had, nil
	}
	if _, err := c.store.QoSPolicy(ctx, tx, c.scope(ctx), id); err != nil {
		return nil, err
	}
	return &id, c.store.Lock(ctx, tx.Tx, "qos_policies", id)
}

// mayPromise refuses a policy whose rules cannot hold on a network, or for ports of
// its kind: bandwidth is counted where a physical network is reached.
func (c *Control) mayPromise(ctx context.Context, tx *write, policyID *string, n network.Network, ports ...network.Port) error {
	if policyID == nil {
		return nil
	}
	p, err := c.store.QoSPolicy(ctx, tx, store.Everything, *policyID)
	if err != nil {
		return err
	}
	for _, r := range p.Rules {
		if r.Kind == network.MinimumBandwidth && n.Physical == nil {
			return fault.Conflictf("Rule %s is not supported by network %s: it is on no physical network.", r.Kind, n.ID).WithCode("QosRuleNotSupportedByNetwork")
		}
		for _, port := range ports {
			if port.VNICType != network.VNICNormal {
				return fault.Conflictf("Rule %s is not supported by port %s: its VNIC type is %s.", r.Kind, port.ID, port.VNICType).WithCode("QosRuleNotSupported")
			}
		}
	}
	return nil
}
