package control

import (
	"context"
	"slices"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// TestHoldsAreReadOfWhomTheyConcern: of ten thousand hosts most decisions concern
// what is held of none; and a list made for a server that wants no nodes of its own
// is not used for one that does, though they ask Placement the same.
func TestHoldsAreReadOfWhomTheyConcern(t *testing.T) {
	c, r := fleetOf(t, 1, 16, func(o *Options) {
		o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.CacheSeconds = "caching", 20
	})
	now := time.Now()
	c.Now = func() time.Time { return now }
	for _, name := range []string{"nodes", "devices"} {
		numaHost(t, c, name)
	}
	mustTx(t, c, func(tx *db.Tx) error {
		for _, name := range []string{"nodes", "devices"} {
			h, err := c.Store.Host(t.Context(), tx, compute.BinaryCompute, name)
			if err != nil {
				return err
			}
			h.LastSeen = now
			if name == "nodes" {
				h.Resources.PCI = nil
			}
			if err := c.Store.UpdateHost(t.Context(), tx, h); err != nil {
				return err
			}
			r.names, r.free[h.NodeID] = append(r.names, h.NodeID), 16
		}
		return nil
	})
	var read []string // hosts
	c.Store.DB.Trace = func(query string, args []any) {
		if !slices.Contains(args, any(true)) { // of holds that are exclusive
			return
		}
		for _, a := range args {
			if name, ok := a.(string); ok && !slices.Contains(read, name) {
				read = append(read, name)
			}
		}
	}
	v := newView(time.Minute)
	for _, x := range []struct {
		specs map[string]string
		want  []string
		lists int
	}{
		{nil, []string{"devices"}, 1},
		{map[string]string{"hw:numa_nodes": "1"}, []string{"devices", "nodes"}, 2},
		{nil, nil, 2},
	} {
		read = nil
		s := &compute.Server{ID: newID(), CreatedAt: now.Add(-time.Hour), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64, ExtraSpecs: x.specs}}
		if _, err := c.decide(t.Context(), s, &buildState{}, v); err != nil {
			t.Fatalf("%v: %v", x.specs, err)
		}
		slices.Sort(read)
		if !slices.Equal(read, x.want) || len(v.lists) != x.lists {
			t.Errorf("%v: holds are read of %v, and there are %d lists", x.specs, read, len(v.lists))
		}
	}
}

// TestGiftsAreNotForgotten: what a batch has given away counts also where its hosts
// could not be read at first.
func TestGiftsAreNotForgotten(t *testing.T) {
	c, r := fleetOf(t, 1, 10, nil)
	v, q := newView(0), question{Resources: map[string]int{"VCPU": 1}, Limit: 10}
	v.given = []gift{{r.names[0], map[string]int{"VCPU": 10}, &schedule.Request{}}}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := v.hosts(gone, c, q, needs{}); err == nil {
		t.Fatal("hosts were read for nobody")
	}
	if hosts, _, err := v.hosts(t.Context(), c, q, needs{}); err != nil || len(hosts) != 0 {
		t.Errorf("%d hosts have room where all is given away, %v", len(hosts), err)
	}
}
