package control

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
	"kilonova/service/compute/store"
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

// TestHostsBeyondTheLimit: a host that counts is asked about, however late Placement
// would name it among all that have room.
func TestHostsBeyondTheLimit(t *testing.T) {
	group := func(policy string, members int) func(t *testing.T, c *Control, s *compute.Server) {
		return func(t *testing.T, c *Control, s *compute.Server) {
			g := &compute.ServerGroup{ID: newID(), Policy: policy, CreatedAt: epoch}
			mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertGroup(t.Context(), tx, g) })
			for i := range members { // on the first hosts, or one on the last
				at := fmt.Sprintf("h%05d", i)
				if members == 1 {
					at = "h00019"
				}
				m := member(t, c, g, i)
				if err := noteHost(t, c, m, at); err != nil {
					t.Fatal(err)
				}
				mustTx(t, c, func(tx *db.Tx) error { // nothing is being done there
					_, err := c.Store.UpdateServer(t.Context(), tx, m.ID, store.ServerPatch{State: ptr(compute.Active), Task: ptr(compute.NoTask)}, store.Expect{}, epoch)
					return err
				})
			}
			s.Hints = map[string]any{"group": g.ID}
			mustTx(t, c, func(tx *db.Tx) error { return c.Store.AddMembers(t.Context(), tx, g.ID, []*compute.Server{s}) })
		}
	}
	last := func(state *buildState) { state.Requested.Host = "h00019" }
	none := func(*buildState) {}
	for _, tt := range []struct {
		name  string
		ready func(t *testing.T, c *Control, s *compute.Server)
		state func(*buildState)
		vcpus int
		want  string // a host, or part of a refusal
	}{
		{"asked for", nil, last, 1, "h00019"},
		{"asked for, and full", nil, last, 11, "Of 20 hosts 19 are not the requested destination, and the other has no room for 11 VCPU"},
		{"asked for, and not there", nil, func(state *buildState) { state.Requested.Host = "nowhere" }, 1, "RequestedDestination refused 7"},
		{"affinity", group(compute.Affinity, 1), none, 1, "h00019"},
		{"soft affinity", group(compute.SoftAffinity, 1), none, 1, "h00019"},
		{"anti-affinity", group(compute.AntiAffinity, 7), none, 1, "h00007"},
		{"the first of a group", group(compute.Affinity, 0), none, 1, "h00000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := fleetOf(t, 20, 10, func(o *Options) { o.Scheduler.Scheduler.MaxPlacementResults = 7 })
			s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: tt.vcpus, MemoryMB: 64}}
			if tt.ready != nil {
				tt.ready(t, c, s)
			}
			var state buildState
			tt.state(&state)
			d, err := c.decide(t.Context(), s, &state, newView(0))
			switch {
			case err != nil && !strings.Contains(err.Error(), tt.want):
				t.Errorf("%v", err)
			case err == nil && d.choices[0].Name != tt.want:
				t.Errorf("on %s: %s", d.choices[0].Name, d.explanation.String())
			}
			counted := 0
			for _, r := range d.explanation.Filters[0].Reasons {
				counted += r.Hosts
			}
			if step := d.explanation.Filters[0]; step.Filter == "Placement" && step.In != 20 || counted != step.In-step.Out {
				t.Errorf("not every host is accounted for: %s", d.explanation.String())
			}
		})
	}
}

// TestNeverTried: options by which no server could ever be built are none.
func TestNeverTried(t *testing.T) {
	for _, spoil := range []func(o *schedule.SchedulerOptions){
		func(o *schedule.SchedulerOptions) { o.MaxAttempts = -1 },
		func(o *schedule.SchedulerOptions) { o.MaxPlacementResults = 0 },
	} {
		c := Config{Options: Defaults(), Now: time.Now}
		spoil(&c.Options.Scheduler.Scheduler)
		if _, err := New(c); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "max_placement_results") {
			t.Errorf("%v", err)
		}
	}
}
