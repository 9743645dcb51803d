package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// RBACPolicies lists the RBAC policies that the caller sees.
func (c *Control) RBACPolicies(ctx context.Context, q network.Query) ([]network.RBACPolicy, error) {
	if !c.reads(ctx, "get_rbac_policy") {
		return nil, nil
	}
	return c.store.RBACPolicies(ctx, c.store, c.scope(ctx), q)
}

// RBACPolicy returns an RBAC policy that the caller sees.
func (c *Control) RBACPolicy(ctx context.Context, id string) (network.RBACPolicy, error) {
	return c.store.RBACPolicy(ctx, c.store, c.scope(ctx), id)
}

func forTarget(project, target string) auth.Target {
	return auth.Target{"project_id": project, "target_tenant": target}
}

// CreateRBACPolicy lets others use a network.
func (c *Control) CreateRBACPolicy(ctx context.Context, in network.RBACPolicyInput) (network.RBACPolicy, error) {
	project := c.project(ctx, in.OwnerInput)
	p := network.RBACPolicy{ID: newID(), Owner: network.OwnedBy(project), ObjectType: in.ObjectType.V, ObjectID: in.ObjectID.V,
		Action: in.Action.V, Target: in.Target.V}
	if err := enforce(ctx, "create_rbac_policy", forTarget(project, p.Target), in); err != nil {
		return p, err
	}
	if p.ObjectType != "network" {
		return p, badRequest("rbac_policy", "Invalid object type '%.64s'. Valid types: network", p.ObjectType)
	}
	if p.Action != network.AccessShared && p.Action != network.AccessExternal {
		return p, badInput("Invalid action '%.64s' for object type 'network'. Valid actions: %s, %s", p.Action, network.AccessShared, network.AccessExternal)
	}
	err := c.write(ctx, func(tx *write) error {
		n, err := c.store.Network(ctx, tx, c.scope(ctx), p.ObjectID)
		if err != nil {
			return err
		}
		if err := denied(policy.Enforce(ctx, "update_network", owned(n.ProjectID))); err != nil {
			return err
		}
		if p.Action == network.AccessExternal {
			if err := denied(policy.Enforce(ctx, "update_network:router:external", owned(n.ProjectID))); err != nil {
				return err
			}
		}
		if err := c.takeQuota(ctx, tx, project, "rbac_policy", 1); err != nil {
			return err
		}
		return c.insertRBACPolicy(ctx, tx, p)
	})
	return p, err
}

func (c *Control) insertRBACPolicy(ctx context.Context, tx *write, p network.RBACPolicy) error {
	same, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM rbac_policies WHERE object_id = ? AND action = ? AND target = ?`, p.ObjectID, p.Action, p.Target)
	if err != nil {
		return err
	}
	if same > 0 {
		return fault.Conflictf("An RBAC policy for %s on %s %s for %s exists already.", p.Action, p.ObjectType, p.ObjectID, p.Target).WithCode("DuplicateRbacPolicy")
	}
	return c.store.InsertRBACPolicy(ctx, tx.Tx, p)
}

// UpdateRBACPolicy changes whom an RBAC policy is for.
func (c *Control) UpdateRBACPolicy(ctx context.Context, id string, in network.RBACPolicyInput) (network.RBACPolicy, error) {
	var p network.RBACPolicy
	err := c.write(ctx, func(tx *write) error {
		var err error
		if p, err = c.store.RBACPolicy(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		target := in.Target.Or(p.Target)
		if err := enforce(ctx, "update_rbac_policy", forTarget(p.ProjectID, target), in); err != nil {
			return err
		}
		if target == p.Target {
			return nil
		}
		if err := c.dropPolicy(ctx, tx, p); err != nil {
			return err
		}
		p.Target = target
		return c.insertRBACPolicy(ctx, tx, p)
	})
	return p, err
}

// DeleteRBACPolicy takes the use of a network away from those that do not use it.
func (c *Control) DeleteRBACPolicy(ctx context.Context, id string) error {
	return c.write(ctx, func(tx *write) error {
		p, err := c.store.RBACPolicy(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_rbac_policy", owned(p.ProjectID), nil); err != nil {
			return err
		}
		return c.dropPolicy(ctx, tx, p)
	})
}

func (c *Control) dropPolicy(ctx context.Context, tx *write, p network.RBACPolicy) error {
	n, err := c.store.Network(ctx, tx, store.Everything, p.ObjectID)
	if err != nil {
		return err
	}
	if p.Action == network.AccessShared {
		only := p.Target
		if only == "*" {
			only = ""
		}
		err = c.mayUnshare(ctx, tx, n, only)
	} else {
		err = c.mayMakeInternal(ctx, tx, n)
	}
	if err != nil {
		return fault.Conflictf("RBAC policy on object %s cannot be removed because other objects depend on it. Details: %s", p.ObjectID, err).WithCode("RbacPolicyInUse")
	}
	return c.store.DeleteRBACPolicy(ctx, tx.Tx, p.ID)
}
