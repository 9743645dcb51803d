package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// SecurityGroups lists the security groups that the caller sees.
func (c *Control) SecurityGroups(ctx context.Context, q network.Query) ([]network.SecurityGroup, error) {
	if !c.reads(ctx, "get_security_group") {
		return nil, nil
	}
	if err := c.ensureDefault(ctx); err != nil {
		return nil, err
	}
	return c.store.Groups(ctx, c.store, c.scope(ctx), q)
}

// SecurityGroup returns a security group that the caller sees.
func (c *Control) SecurityGroup(ctx context.Context, id string) (network.SecurityGroup, error) {
	return c.store.Group(ctx, c.store, c.scope(ctx), id)
}

// ensureDefault makes the default group of the caller's project if it is not
// there yet: it is made when somebody first looks or needs it.
func (c *Control) ensureDefault(ctx context.Context) error {
	caller := auth.From(ctx)
	if caller == nil || caller.ProjectID == "" {
		return nil
	}
	if id, err := c.store.DefaultGroupID(ctx, c.store, caller.ProjectID); err != nil || id != "" {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		_, err := c.defaultGroup(ctx, tx, caller.ProjectID)
		return err
	})
}

// defaultGroup returns the default group of a project, and makes it if need be.
// Its rules are upstream's: out to everywhere, in from its own members.
func (c *Control) defaultGroup(ctx context.Context, tx *write, projectID string) (string, error) {
	if projectID == "" {
		return "", nil
	}
	id, err := c.store.DefaultGroupID(ctx, tx, projectID)
	if err != nil || id != "" {
		return id, err
	}
	g := c.newGroup(projectID, network.DefaultGroup, "Default security group", true)
	for _, etherType := range []string{"IPv4", "IPv6"} {
		g.Rules = append(g.Rules, network.Rule{Standard: store.NewStandard(newID(), projectID, "", c.now()), GroupID: g.ID,
			Direction: "ingress", EtherType: etherType, RemoteGroup: &g.ID})
	}
	g.Default = true
	return g.ID, c.store.InsertGroup(ctx, tx.Tx, g)
}

// newGroup is a group with the rules that every new one has: out to everywhere.
func (c *Control) newGroup(projectID, name, description string, stateful bool) network.SecurityGroup {
	g := network.SecurityGroup{Standard: store.NewStandard(newID(), projectID, description, c.now()), Name: name, Stateful: stateful}
	for _, etherType := range []string{"IPv4", "IPv6"} {
		g.Rules = append(g.Rules, network.Rule{Standard: store.NewStandard(newID(), projectID, "", c.now()), GroupID: g.ID,
			Direction: "egress", EtherType: etherType})
	}
	return g
}

// CreateSecurityGroups makes security groups, all or none.
func (c *Control) CreateSecurityGroups(ctx context.Context, inputs []network.SecurityGroupInput) ([]network.SecurityGroup, error) {
	var made []network.SecurityGroup
	err := c.write(ctx, func(tx *write) error {
		made = nil
		for _, in := range inputs {
			project := c.project(ctx, in.OwnerInput)
			if err := enforce(ctx, "create_security_group", owned(project), in); err != nil {
				return err
			}
			if in.Name.Or("") == network.DefaultGroup {
				return fault.Conflictf("Default security group already exists.").WithCode("SecurityGroupDefaultAlreadyExists")
			}
			if _, err := c.defaultGroup(ctx, tx, project); err != nil {
				return err
			}
			if err := c.takeQuota(ctx, tx, project, "security_group", 1); err != nil {
				return err
			}
			g := c.newGroup(project, in.Name.Or(""), in.Description.Or(""), in.Stateful.Or(true))
			if err := c.takeQuota(ctx, tx, project, "security_group_rule", len(g.Rules)); err != nil {
				return err
			}
			if err := c.store.InsertGroup(ctx, tx.Tx, g); err != nil {
				return err
			}
			made = append(made, g)
		}
		return nil
	})
	return made, err
}

// UpdateSecurityGroup changes a security group.
func (c *Control) UpdateSecurityGroup(ctx context.Context, id string, in network.SecurityGroupInput, m network.Match) (network.SecurityGroup, error) {
	var g network.SecurityGroup
	err := c.write(ctx, func(tx *write) error {
		var err error
		if g, err = c.store.Group(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		if err := enforce(ctx, "update_security_group", owned(g.ProjectID), in); err != nil {
			return err
		}
		if err := matches(m, g.Standard); err != nil {
			return err
		}
		if g.Default && in.Name.Set && in.Name.V != g.Name {
			return fault.Conflictf("Updating default security group not allowed.").WithCode("SecurityGroupCannotUpdateDefault")
		}
		if !g.Default && in.Name.Set && in.Name.V == network.DefaultGroup {
			return fault.Conflictf("Default security group already exists.").WithCode("SecurityGroupDefaultAlreadyExists")
		}
		if in.Stateful.Set && in.Stateful.V != g.Stateful {
			used, err := c.store.GroupInUse(ctx, tx, id)
			if err != nil {
				return err
			}
			if used {
				return groupInUse(id)
			}
		}
		g.Name, g.Description, g.Stateful = in.Name.Or(g.Name), in.Description.Or(g.Description), in.Stateful.Or(g.Stateful)
		tx.rules(id)
		if err := c.store.UpdateGroup(ctx, tx.Tx, g, c.now()); err != nil {
			return err
		}
		g, err = c.store.Group(ctx, tx, store.Everything, id)
		return err
	})
	return g, err
}

func groupInUse(id string) error {
	return fault.Conflictf("Security Group %s in use.", id).WithCode("SecurityGroupInUse")
}

// DeleteSecurityGroup removes a security group that no port has.
func (c *Control) DeleteSecurityGroup(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		g, err := c.store.Group(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_security_group", owned(g.ProjectID), nil); err != nil {
			return err
		}
		if err := matches(m, g.Standard); err != nil {
			return err
		}
		used, err := c.store.GroupInUse(ctx, tx, id)
		if err != nil {
			return err
		}
		if used {
			return groupInUse(id)
		}
		if g.Default && !policy.Allows(ctx, "context_is_admin", nil) {
			return fault.Conflictf("Insufficient rights for removing default security group.").WithCode("SecurityGroupCannotRemoveDefault")
		}
		// Rules of other groups that speak of it go with it.
		speakers, err := db.Select[string](ctx, tx, `SELECT DISTINCT group_id FROM security_group_rules WHERE remote_group = ?`, id)
		if err != nil {
			return err
		}
		tx.rules(speakers...)
		return c.store.DeleteGroup(ctx, tx.Tx, id)
	})
}
