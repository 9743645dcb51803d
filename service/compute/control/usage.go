package control

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// UsedServers lists the servers that ran for some time between begin and end, by
// project and id: a project's, or with "" those of all for operators.
func (c *Control) UsedServers(ctx context.Context, projectID string, begin, end time.Time, marker string, limit int) ([]*compute.Server, error) {
	rule, target := "os_compute_api:os-simple-tenant-usage:list", auth.Target(nil)
	if projectID != "" {
		rule, target = "os_compute_api:os-simple-tenant-usage:show", auth.Target{"project_id": projectID}
	}
	if err := c.Policy.Enforce(ctx, rule, target); err != nil {
		return nil, err
	}
	return c.Store.UsedBetween(ctx, c.Store.DB, begin, end, projectID, marker, limit)
}

// AuditPeriod returns the last period of a unit that has ended before now: "hour",
// "day", "month" or "year", with an offset after "@" as upstream's
// instance_usage_audit_period has it.
func AuditPeriod(unit string, now time.Time) (begin, end time.Time, err error) {
	unit, text, _ := strings.Cut(unit, "@")
	offset := 0
	if text != "" {
		if offset, err = strconv.Atoi(text); err != nil {
			return begin, end, fault.Invalidf("instance_usage_audit_period: %q is no offset.", text)
		}
	}
	now = now.UTC()
	year, month, day := now.Date()
	var at func(back int) time.Time // the beginning of a period
	switch unit {
	case "year":
		at = func(back int) time.Time {
			return time.Date(year-back, time.Month(max(1, offset)), 1, 0, 0, 0, 0, time.UTC)
		}
	case "month":
		at = func(back int) time.Time {
			return time.Date(year, month-time.Month(back), max(1, offset), 0, 0, 0, 0, time.UTC)
		}
	case "day":
		at = func(back int) time.Time { return time.Date(year, month, day-back, offset, 0, 0, 0, time.UTC) }
	case "hour":
		at = func(back int) time.Time { return time.Date(year, month, day, now.Hour()-back, offset, 0, 0, time.UTC) }
	default:
		return begin, end, fault.Invalidf("instance_usage_audit_period: %q is none of hour, day, month and year.", unit)
	}
	back := 0
	if !at(0).Before(now) {
		back = 1
	}
	return at(back + 1), at(back), nil
}

// AuditLog is what the usage audit found for a period.
type AuditLog struct {
	Begin, End time.Time
	Done       []store.Audit
	NotRun     []string // hosts
}

// AuditLog returns that of the last period that ended before a time; show says
// that the caller has named the time.
func (c *Control) AuditLog(ctx context.Context, before time.Time, show bool) (*AuditLog, error) {
	rule := "list"
	if show {
		rule = "show"
	}
	if err := c.Policy.Enforce(ctx, "os_compute_api:os-instance-usage-audit-log:"+rule, nil); err != nil {
		return nil, err
	}
	begin, end, err := AuditPeriod(c.Options.UsageAuditPeriod, before)
	if err != nil {
		return nil, err
	}
	log := &AuditLog{Begin: begin, End: end}
	if log.Done, err = c.Store.Audits(ctx, c.Store.DB, begin, end); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, a := range log.Done {
		seen[a.Host] = true
	}
	hosts, err := c.Store.BareHosts(ctx, c.Store.DB, compute.BinaryCompute)
	for _, h := range hosts {
		if !seen[h.Name] {
			log.NotRun = append(log.NotRun, h.Name)
		}
	}
	return log, err
}

// audit counts, once a period and host, the servers that ran there.
func (c *Control) audit(ctx context.Context) error {
	if !c.Options.UsageAudit {
		return nil
	}
	begin, end, err := AuditPeriod(c.Options.UsageAuditPeriod, c.Now())
	if err != nil {
		return err
	}
	done, err := c.Store.Audits(ctx, c.Store.DB, begin, end)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, a := range done {
		seen[a.Host] = true
	}
	hosts, err := c.Store.BareHosts(ctx, c.Store.DB, compute.BinaryCompute)
	if err != nil {
		return err
	}
	var counts map[string]int
	for _, h := range hosts {
		if seen[h.Name] {
			continue
		}
		if counts == nil {
			if counts, err = c.Store.UsedOn(ctx, c.Store.DB, begin, end); err != nil {
				return err
			}
		}
		a := store.Audit{Host: h.Name, Servers: counts[h.Name], Message: fmt.Sprintf("Instance usage audit ran for host %.128s, %d instances.", h.Name, counts[h.Name])}
		if err := c.Store.Tx(ctx, func(tx *db.Tx) error {
			if err := c.Store.InsertAudit(ctx, tx, begin, end, a); err != nil {
				return err
			}
			return c.tellExisting(ctx, tx, h.Name, begin, end)
		}); err != nil {
			return err
		}
	}
	return nil
}
