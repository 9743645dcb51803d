package control

import (
	"context"
	"maps"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// defaults returns the quotas of a project for which nothing has been set. What the
// network service limits today has no limit here, but a place to be remembered for
// clients that still set it.
func (q Quota) defaults() map[string]int {
	return map[string]int{"instances": q.Instances, "cores": q.Cores, "ram": q.RAM, "metadata_items": q.MetadataItems,
		"injected_files": q.InjectedFiles, "injected_file_content_bytes": q.InjectedFileBytes, "injected_file_path_bytes": q.InjectedPathBytes,
		"key_pairs": q.KeyPairs, "server_groups": q.ServerGroups, "server_group_members": q.ServerGroupMembers,
		"fixed_ips": -1, "floating_ips": -1, "security_groups": -1, "security_group_rules": -1}
}

// QuotaUse is a limit with what is taken of it.
type QuotaUse struct{ Limit, InUse int }

// limits returns a project's quotas: what was set for the user in it, else for
// the project, else the defaults.
func (c *Control) limits(ctx context.Context, q db.Querier, projectID, userID string) (map[string]int, error) {
	limits, err := c.defaultLimits(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, user := range []string{"", userID} {
		set, err := c.Store.Quotas(ctx, q, projectID, user)
		if err != nil {
			return nil, err
		}
		for resource, limit := range set {
			limits[resource] = limit
		}
		if userID == "" {
			break
		}
	}
	return limits, nil
}

// defaultClass is the class whose limits are those of all projects for which
// nothing else was set.
const defaultClass = "default"

func (c *Control) defaultLimits(ctx context.Context, q db.Querier) (map[string]int, error) {
	return c.classLimits(ctx, q, defaultClass)
}

func (c *Control) classLimits(ctx context.Context, q db.Querier, class string) (map[string]int, error) {
	limits := c.Options.Quota.defaults()
	set, err := c.Store.ClassQuotas(ctx, q, class)
	maps.Copy(limits, set)
	return limits, err
}

// ClassQuotas returns the limits of a class.
func (c *Control) ClassQuotas(ctx context.Context, class string) (map[string]QuotaUse, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-class-sets:show", nil); err != nil {
		return nil, err
	}
	limits, err := c.classLimits(ctx, c.Store.DB, class)
	return withoutUse(limits), err
}

func withoutUse(limits map[string]int) map[string]QuotaUse {
	all := map[string]QuotaUse{}
	for resource, limit := range limits {
		all[resource] = QuotaUse{Limit: limit}
	}
	return all
}

// SetClassQuotas sets limits of a class.
func (c *Control) SetClassQuotas(ctx context.Context, class string, limits map[string]int) (map[string]QuotaUse, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-class-sets:update", nil); err != nil {
		return nil, err
	}
	err := c.Store.Tx(ctx, func(tx *db.Tx) error {
		for _, resource := range slices.Sorted(maps.Keys(limits)) {
			if err := c.Store.SetClassQuota(ctx, tx, class, resource, limits[resource]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	now, err := c.classLimits(ctx, c.Store.DB, class)
	return withoutUse(now), err
}

// takeQuota checks, in the transaction that makes the servers, that the project
// may have them. Those who want of the same quota wait for one another.
func (c *Control) takeQuota(ctx context.Context, tx *db.Tx, caller *auth.Caller, servers []*compute.Server) error {
	if err := c.Store.QuotaTurn(ctx, tx, caller.ProjectID); err != nil {
		return err
	}
	wants := Quantity{len(servers), len(servers) * servers[0].Flavor.VCPUs, len(servers) * servers[0].Flavor.MemoryMB}
	used, err := c.Store.Usage(ctx, tx, caller.ProjectID)
	if err != nil {
		return err
	}
	limits, err := c.limits(ctx, tx, caller.ProjectID, "")
	if err != nil {
		return err
	}
	if err := wants.within(limits, used); err != nil {
		return err
	}
	own, err := c.Store.Quotas(ctx, tx, caller.ProjectID, caller.UserID)
	if err != nil || len(own) == 0 {
		return err
	}
	if used, err = c.Store.UserUsage(ctx, tx, caller.ProjectID, caller.UserID); err != nil {
		return err
	}
	return wants.within(own, used)
}

// Quantity is how much is asked for of what quotas count.
type Quantity struct{ Servers, VCPUs, MemoryMB int }

// within checks that limits allow a quantity beyond what is used; what has no
// limit is allowed.
func (q Quantity) within(limits map[string]int, used store.Usage) error {
	for _, w := range []struct {
		resource   string
		wants, has int
	}{{"instances", q.Servers, used.Servers}, {"cores", q.VCPUs, used.VCPUs}, {"ram", q.MemoryMB, used.MemoryMB}} {
		if limit, ok := limits[w.resource]; ok && limit >= 0 && w.has+w.wants > limit {
			return overQuota(w.resource, w.wants, w.has, limit)
		}
	}
	return nil
}

func overQuota(resource string, wants, has, limit int) error {
	return fault.New(fault.OverLimit, "Quota exceeded for %s: Requested %d, but already used %d of %d %s", resource, wants, has, limit, resource)
}

// Quotas returns a project's quotas with what is in use.
func (c *Control) Quotas(ctx context.Context, projectID, userID string) (map[string]QuotaUse, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-sets:show", auth.Target{"project_id": projectID}); err != nil {
		return nil, err
	}
	return c.quotaUse(ctx, projectID, userID)
}

func (c *Control) quotaUse(ctx context.Context, projectID, userID string) (map[string]QuotaUse, error) {
	limits, err := c.limits(ctx, c.Store.DB, projectID, userID)
	if err != nil {
		return nil, err
	}
	used, err := c.Store.Usage(ctx, c.Store.DB, projectID)
	if userID != "" {
		used, err = c.Store.UserUsage(ctx, c.Store.DB, projectID, userID)
	}
	if err != nil {
		return nil, err
	}
	all := map[string]QuotaUse{}
	for resource, limit := range limits {
		all[resource] = QuotaUse{Limit: limit}
	}
	groups, err := c.Store.CountGroups(ctx, c.Store.DB, projectID)
	if err != nil {
		return nil, err
	}
	for resource, n := range map[string]int{"instances": used.Servers, "cores": used.VCPUs, "ram": used.MemoryMB, "server_groups": groups} {
		all[resource] = QuotaUse{all[resource].Limit, n}
	}
	return all, nil
}

// DefaultQuotas returns what a project has for which nothing was set.
func (c *Control) DefaultQuotas(ctx context.Context, projectID string) (map[string]QuotaUse, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-sets:defaults", auth.Target{"project_id": projectID}); err != nil {
		return nil, err
	}
	limits, err := c.defaultLimits(ctx, c.Store.DB)
	return withoutUse(limits), err
}

// SetQuotas sets limits of a project, or of a user in it. A limit below what is
// in use is refused unless force is given.
func (c *Control) SetQuotas(ctx context.Context, projectID, userID string, limits map[string]int, force bool) (map[string]QuotaUse, error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-sets:update", auth.Target{"project_id": projectID}); err != nil {
		return nil, err
	}
	now, err := c.quotaUse(ctx, projectID, userID)
	if err != nil {
		return nil, err
	}
	var whole map[string]int // what the project has, for a user of it
	if userID != "" {
		if whole, err = c.limits(ctx, c.Store.DB, projectID, ""); err != nil {
			return nil, err
		}
	}
	for resource, limit := range limits {
		if limit < -1 {
			return nil, fault.Invalidf("Quota limit %d for %s must be -1 or greater.", limit, resource)
		}
		if u := now[resource]; !force && limit >= 0 && u.InUse > limit {
			return nil, fault.Invalidf("Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, resource, u.InUse)
		}
		if most, limited := whole[resource]; limited && !force && most >= 0 && (limit < 0 || limit > most) {
			return nil, fault.Invalidf("Quota limit %d for %s must be less than or equal to %d.", limit, resource, most)
		}
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.SetQuotas(ctx, tx, projectID, userID, limits) })
	if err != nil {
		return nil, err
	}
	return c.quotaUse(ctx, projectID, userID)
}

// ResetQuotas brings a project, or a user in it, back to the defaults.
func (c *Control) ResetQuotas(ctx context.Context, projectID, userID string) error {
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-quota-sets:delete", auth.Target{"project_id": projectID}); err != nil {
		return err
	}
	return c.Store.Tx(ctx, func(tx *db.Tx) error { return c.Store.DeleteQuotas(ctx, tx, projectID, userID) })
}

// Limits is what the limits API tells a project.
func (c *Control) Limits(ctx context.Context, projectID string) (map[string]QuotaUse, error) {
	rule := "os_compute_api:limits"
	if caller := auth.From(ctx); caller != nil && projectID != caller.ProjectID {
		rule = "os_compute_api:limits:other_project"
	}
	if err := c.Policy.Enforce(ctx, rule, auth.Target{"project_id": projectID}); err != nil {
		return nil, err
	}
	return c.quotaUse(ctx, projectID, "")
}
