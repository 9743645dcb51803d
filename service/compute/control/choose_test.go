package control

import (
	"context"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// TestRefusedByAClockAhead: who is refused although the hosts were read before the
// server was asked for, by the clock of whoever wrote it, is refused by hosts read once
// more, and not read again and again until that clock is reached.
func TestRefusedByAClockAhead(t *testing.T) {
	c, r := fleetOf(t, 1, 1, nil)
	s := &compute.Server{ID: newID(), CreatedAt: time.Now().Add(time.Hour), Flavor: compute.Flavor{VCPUs: 2, MemoryMB: 64}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	d, err := c.decide(ctx, s, &buildState{}, newView(0))
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "Of 1 hosts none has room for 2 VCPU") || len(d.choices) != 0 {
		t.Errorf("%.300v", err)
	}
	if r.asked != 2 {
		t.Errorf("Placement was asked %d times", r.asked)
	}
}
