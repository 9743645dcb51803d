package control

import (
	"testing"
	"time"
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
