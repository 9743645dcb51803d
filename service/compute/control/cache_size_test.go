package control

import (
	"runtime"
	"testing"

	"kilonova/service/compute"
)

// TestCachedHostsAreSmall: what is remembered of a host takes less than a kilobyte
// in the fleet, which all of compute reads, and less than that again in a list of
// the caching scheduler.
func TestCachedHostsAreSmall(t *testing.T) {
	const hosts, bound = 10_000, 1024
	c, _ := fleetOf(t, hosts, 1000, func(o *Options) {
		o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.MaxPlacementResults = "caching", hosts
	})
	s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64}}
	if _, err := c.decide(t.Context(), s, &buildState{}, newView(0)); err != nil { // statements and the like
		t.Fatal(err)
	}
	c.fleet.forget()
	empty := heap()
	if _, err := c.Fleet(t.Context()); err != nil {
		t.Fatal(err)
	}
	withFleet := heap()
	v := c.viewOfBatch()
	if _, err := c.decide(t.Context(), s, &buildState{}, v); err != nil {
		t.Fatal(err)
	}
	withList := heap()
	fleet, list := int64(withFleet-empty)/hosts, int64(withList-withFleet)/hosts
	t.Logf("%d bytes a host in the fleet, %d in the list", fleet, list)
	if fleet < 100 || fleet > bound || list < 100 || list > bound {
		t.Errorf("%d bytes a host in the fleet, %d in the list; the bound of each is %d", fleet, list, bound)
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(c)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
