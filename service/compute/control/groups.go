package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// NewGroup is what a caller asks for.
type NewGroup struct {
	Name, Policy string
	MaxPerHost   int // 0: not given
}

// CreateServerGroup makes a server group for the caller's project.
func (c *Control) CreateServerGroup(ctx context.Context, n NewGroup) (*compute.ServerGroup, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-server-groups:create", auth.Own(ctx)); err != nil {
		return nil, err
	}
	caller := auth.From(ctx)
	if caller.ProjectID == "" {
		return nil, fault.Invalidf("A server group belongs to a project, and the token is not scoped to one.")
	}
	g := &compute.ServerGroup{ID: newID(), Name: n.Name, ProjectID: caller.ProjectID, UserID: caller.UserID, Policy: n.Policy, MaxPerHost: n.MaxPerHost, CreatedAt: c.Now()}
	return g, c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.QuotaTurn(ctx, tx, caller.ProjectID); err != nil {
			return err
		}
		limits, err := c.limits(ctx, tx, caller.ProjectID, "")
		if err != nil {
			return err
		}
		has, err := c.Store.CountGroups(ctx, tx, caller.ProjectID)
		if err != nil {
			return err
		}
		if limit := limits["server_groups"]; limit >= 0 && has >= limit {
			return fault.New(fault.OverLimit, "Quota exceeded, too many server groups: project %s has %d of %d.", caller.ProjectID, has, limit)
		}
		if err := c.Store.InsertGroup(ctx, tx, g); err != nil {
			return err
		}
		return c.tellGroup(ctx, tx, "create", *g)
	})
}

// ServerGroup returns a group that the caller may see.
func (c *Control) ServerGroup(ctx context.Context, id string) (*compute.ServerGroup, error) {
	return c.ownGroup(ctx, "show", id)
}

func (c *Control) ownGroup(ctx context.Context, rule, id string) (*compute.ServerGroup, error) {
	g, err := c.Store.Group(ctx, c.Store.DB, id)
	if err != nil {
		return nil, err
	}
	return g, c.Policy.Enforce(ctx, "os_compute_api:os-server-groups:"+rule, auth.Target{"project_id": g.ProjectID, "user_id": g.UserID})
}

// ServerGroups lists the groups of the caller's project; with allProjects, for
// administrators, those of all.
func (c *Control) ServerGroups(ctx context.Context, allProjects bool, offset, limit int) ([]*compute.ServerGroup, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-server-groups:index", auth.Own(ctx)); err != nil {
		return nil, err
	}
	project := auth.From(ctx).ProjectID
	// Others who say all_projects get their own, without an error, as upstream's.
	if allProjects && c.Policy.Allows(ctx, "context_is_admin", nil) {
		if err := c.Policy.Enforce(ctx, "os_compute_api:os-server-groups:index:all_projects", auth.Own(ctx)); err != nil {
			return nil, err
		}
		project = ""
	} else if project == "" {
		return nil, nil
	}
	return c.Store.Groups(ctx, c.Store.DB, project, offset, limit)
}

// DeleteServerGroup removes a group. Its servers stay where they are, free of it.
func (c *Control) DeleteServerGroup(ctx context.Context, id string) error {
	g, err := c.ownGroup(ctx, "delete", id)
	if err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.Store.DeleteGroup(ctx, tx, id); err != nil {
			return err
		}
		return c.tellGroup(ctx, tx, "delete", *g)
	})
}

// hintedGroup finds the group that a hint names: one of the caller's project, for
// administrators any. "" is none.
func (c *Control) hintedGroup(ctx context.Context, hints map[string]any) (string, error) {
	hint, given := hints["group"]
	if list, is := hint.([]any); is && len(list) == 1 {
		hint = list[0]
	} else if is && len(list) == 0 {
		given = false
	}
	if !given || hint == "" {
		return "", nil
	}
	id, _ := hint.(string)
	if !rest.IsUUID(id) {
		return "", fault.Invalidf("Invalid input for field/attribute group. Value: %.64v. It is not a 'uuid'", hint)
	}
	g, err := c.Store.Group(ctx, c.Store.DB, id)
	if err != nil {
		return "", asInvalid(err)
	}
	if g.ProjectID != auth.From(ctx).ProjectID && !c.Policy.Allows(ctx, "context_is_admin", nil) {
		return "", fault.Invalidf("Instance group %s could not be found.", id)
	}
	return g.ID, nil
}

// groupTurn has those who join a group wait for one another; see
// store.GroupTurn. "" is no group.
func (c *Control) groupTurn(ctx context.Context, tx *db.Tx, groupID string) error {
	if groupID == "" {
		return nil
	}
	there, err := c.Store.GroupTurn(ctx, tx, groupID)
	if err == nil && !there {
		err = fault.Invalidf("Instance group %s could not be found.", groupID)
	}
	return err
}

// join puts new servers into a group, within the quota of its members.
func (c *Control) join(ctx context.Context, tx *db.Tx, groupID string, servers []*compute.Server) error {
	if groupID == "" {
		return nil
	}
	limits, err := c.limits(ctx, tx, servers[0].ProjectID, "")
	if err != nil {
		return err
	}
	has, err := c.Store.CountMembers(ctx, tx, groupID, servers[0].UserID)
	if err != nil {
		return err
	}
	if limit := limits["server_group_members"]; limit >= 0 && has+len(servers) > limit {
		return fault.New(fault.OverLimit, "Quota exceeded, too many servers in group: %d more, where %d of %d are in group %s.", len(servers), has, limit, groupID)
	}
	if err := c.Store.AddMembers(ctx, tx, groupID, servers); err != nil || c.notifier == nil {
		return err
	}
	g, err := c.Store.Group(ctx, tx, groupID)
	if err != nil {
		return err
	}
	for _, s := range servers { // whose rows come after this
		g.Members = append(g.Members, s.ID)
		if err := c.tellGroup(ctx, tx, "add_member", *g); err != nil {
			return err
		}
	}
	return nil
}

// GroupsOf says in which server group each of some servers is.
func (c *Control) GroupsOf(ctx context.Context, serverIDs []string) (map[string]string, error) {
	return c.Store.GroupsOf(ctx, c.Store.DB, serverIDs)
}
