package control

import (
	"context"
	"maps"

	"kilonova/internal/fault"
	"kilonova/service/network"
)

// takeQuota makes sure that a project may have n more of a resource. The project
// stays locked until the transaction ends, so that counting and making are one.
func (c *Control) takeQuota(ctx context.Context, tx *write, project, resource string, n int) error {
	if project == "" {
		return nil
	}
	if !tx.locked[project] {
		if err := c.store.LockQuota(ctx, tx.Tx, project); err != nil {
			return err
		}
		note(&tx.locked, project)
	}
	own, err := c.store.QuotasOf(ctx, tx, project)
	if err != nil {
		return err
	}
	limit, ok := own[resource]
	if !ok {
		limit = c.options.Quotas.limits()[resource]
	}
	if limit < 0 {
		return nil
	}
	used, err := c.store.Used(ctx, tx, project, resource)
	if err != nil {
		return err
	}
	if used+n > limit {
		return fault.Conflictf("Quota exceeded for resources: ['%s'].", resource).WithCode("OverQuota")
	}
	return nil
}

// Quotas lists the limits of all projects that have some of their own, complete.
func (c *Control) Quotas(ctx context.Context) ([]network.Quotas, error) {
	if err := denied(policy.Enforce(ctx, "update_quota", nil)); err != nil {
		return nil, err
	}
	list, err := c.store.Quotas(ctx, c.store)
	for i := range list {
		list[i].Limits = c.complete(list[i].Limits)
	}
	return list, err
}

// complete adds the default limits to those of a project's own.
func (c *Control) complete(own network.Limits) network.Limits {
	all := c.options.Quotas.limits()
	maps.Copy(all, own)
	return all
}

// DefaultQuota returns the limits of projects without their own.
func (c *Control) DefaultQuota(ctx context.Context, project string) (network.Limits, error) {
	return c.options.Quotas.limits(), denied(policy.Enforce(ctx, "get_quota", owned(project)))
}

// Quota returns the limits of a project.
func (c *Control) Quota(ctx context.Context, project string) (network.Limits, error) {
	if err := denied(policy.Enforce(ctx, "get_quota", owned(project))); err != nil {
		return nil, err
	}
	own, err := c.store.QuotasOf(ctx, c.store, project)
	return c.complete(own), err
}

// QuotaUsage returns the limits of a project and what it uses of them.
func (c *Control) QuotaUsage(ctx context.Context, project string) (map[string]network.Usage, error) {
	limits, err := c.Quota(ctx, project)
	if err != nil {
		return nil, err
	}
	usage := map[string]network.Usage{}
	for _, resource := range quotaResources {
		used, err := c.store.Used(ctx, c.store, project, resource)
		if err != nil {
			return nil, err
		}
		usage[resource] = network.Usage{Limit: limits[resource], Used: used}
	}
	return usage, nil
}

// maxQuota is the largest limit.
const maxQuota = 1<<31 - 1

// SetQuota gives a project limits of its own. With check, a limit below what is
// used is refused.
func (c *Control) SetQuota(ctx context.Context, project string, in network.Limits, check bool) (network.Limits, error) {
	if err := denied(policy.Enforce(ctx, "update_quota", owned(project))); err != nil {
		return nil, err
	}
	defaults := c.options.Quotas.limits()
	for resource, limit := range in {
		if _, ok := defaults[resource]; !ok {
			return nil, fault.Invalidf("Unrecognized attribute(s) '%.64s'", resource).WithCode("HTTPBadRequest")
		}
		if limit < -1 || limit > maxQuota {
			return nil, invalid(resource, "Quota limit %d is not between -1 and %d", limit, maxQuota)
		}
	}
	var own network.Limits
	err := c.write(ctx, func(tx *write) error {
		if err := c.store.LockQuota(ctx, tx.Tx, project); err != nil {
			return err
		}
		for resource, limit := range in {
			if check && limit >= 0 {
				used, err := c.store.Used(ctx, tx, project, resource)
				if err != nil {
					return err
				}
				if used > limit {
					return fault.Invalidf("Quota limit %d of %s is less than the %d in use.", limit, resource, used).WithCode("QuotaLimitTooLow")
				}
			}
			if err := c.store.SetQuota(ctx, tx.Tx, project, resource, limit); err != nil {
				return err
			}
		}
		var err error
		own, err = c.store.QuotasOf(ctx, tx, project)
		return err
	})
	return c.complete(own), err
}

// DeleteQuota has a project go by the default limits again.
func (c *Control) DeleteQuota(ctx context.Context, project string) error {
	if err := denied(policy.Enforce(ctx, "delete_quota", owned(project))); err != nil {
		return err
	}
	return c.write(ctx, func(tx *write) error {
		found, err := c.store.DeleteQuotas(ctx, tx.Tx, project)
		if err == nil && !found {
			err = fault.NotFoundf("Quota for tenant %.64s could not be found.", project).WithCode("TenantQuotaNotFound")
		}
		return err
	})
}
