package control

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

func TestAuditPeriodIsTheLastThatEnded(t *testing.T) {
	now := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	for _, x := range []struct{ unit, begin, end string }{
		{"month", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"month@15", "2026-01-15T00:00:00Z", "2026-02-15T00:00:00Z"},
		{"day", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"day@18", "2026-02-27T18:00:00Z", "2026-02-28T18:00:00Z"},
		{"hour", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z"},
		{"hour@45", "2026-03-01T08:45:00Z", "2026-03-01T09:45:00Z"},
		{"year", "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z"},
		{"year@6", "2024-06-01T00:00:00Z", "2025-06-01T00:00:00Z"},
	} {
		begin, end, err := AuditPeriod(x.unit, now)
		if err != nil || begin.Format(time.RFC3339) != x.begin || end.Format(time.RFC3339) != x.end {
			t.Errorf("%s: %s to %s, %v; want %s to %s", x.unit, begin, end, err, x.begin, x.end)
		}
	}
	for _, unit := range []string{"week", "day@x", ""} {
		if _, _, err := AuditPeriod(unit, now); err == nil {
			t.Errorf("%q is taken for a period", unit)
		}
	}
}

// TestAuditTellsOfEachHostsOwnServers: a server is told of once in a period, by
// the audit of its own host, and so also by the next audit of the same period not
// again.
func TestAuditTellsOfEachHostsOwnServers(t *testing.T) {
	c, _ := fleetOf(t, 3, 10, func(o *Options) {
		o.Messaging.Driver, o.UsageAudit, o.UsageAuditPeriod = "messagingv2", true, "hour"
	})
	now := time.Date(2026, 3, 1, 10, 30, 0, 0, time.UTC)
	c.Now = func() time.Time { return now }
	want := map[string]bool{}
	err := c.Store.Tx(t.Context(), func(tx *db.Tx) error {
		for i := range 7 {
			s := &compute.Server{ID: newID(), DisplayName: "s", ProjectID: "p", UserID: "u", State: compute.Active, Host: fmt.Sprintf("h%05d", i%2), CreatedAt: now.Add(-3 * time.Hour),
				UpdatedAt: now, LaunchedAt: now.Add(-2 * time.Hour), Flavor: compute.Flavor{Name: "f", VCPUs: 1, MemoryMB: 64}}
			want[s.ID] = true
			if err := c.Store.InsertServers(t.Context(), tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.audit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	told, err := c.Store.TakeNotifications(t.Context(), "me", now, now.Add(time.Minute), 100)
	if err != nil || len(told) != len(want) {
		t.Fatalf("%d servers were told of, not %d: %v", len(told), len(want), err)
	}
	for _, n := range told {
		id := ""
		for s := range want {
			if strings.Contains(n.Message, s) {
				id = s
			}
		}
		if id == "" {
			t.Errorf("told of twice, or of none: %s", n.Message)
		}
		delete(want, id)
	}
	found, err := c.Store.Audits(t.Context(), c.Store.DB, now.Truncate(time.Hour).Add(-time.Hour), now.Truncate(time.Hour))
	if err != nil || len(found) != 3 || found[0].Servers != 4 || found[1].Servers != 3 || found[2].Servers != 0 {
		t.Errorf("%+v, %v", found, err)
	}
}
