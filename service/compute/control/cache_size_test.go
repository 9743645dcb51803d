package control

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// TestCachedHostsAreSmall: what is remembered of a host, in the fleet, which all of
// compute reads, and in a list of the caching scheduler, takes less than a kilobyte
// together. The hosts are like real ones: they have said all that libvirt has them
// say, and are in an aggregate that is a zone.
func TestCachedHostsAreSmall(t *testing.T) {
	const hosts, bound = 10_000, 1024
	now := time.Now() // stands still: writing so many hosts may take longer than they may be silent
	c, _ := fleetOf(t, hosts, 1000, func(o *Options) {
		o.Scheduler.Scheduler.Driver, o.Scheduler.Scheduler.MaxPlacementResults = "caching", hosts
	})
	c.Now = func() time.Time { return now }
	makeReal(t, c)
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
	d, err := c.decide(t.Context(), s, &buildState{}, v)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // with the second the list gets its index
		v.take(gift{d.choices[0].ProviderID, d.question.Resources, d.request}, s.ID, d.choices[0].Name)
	}
	withList := heap()
	fleet, list := int64(withFleet-empty)/hosts, int64(withList-withFleet)/hosts
	t.Logf("%d bytes a host in the fleet, %d in the list", fleet, list)
	if fleet < 100 || list < 100 || fleet+list >= bound {
		t.Errorf("%d bytes a host in the fleet, %d in the list; together they are to be less than %d", fleet, list, bound)
	}
	runtime.KeepAlive(v)
	runtime.KeepAlive(c)
}

// makeReal has the hosts of fleetOf say what real ones say.
func makeReal(t *testing.T, c *Control) {
	t.Helper()
	var features, traits, methods []string
	for i := range 90 {
		features = append(features, fmt.Sprint("feature", i))
	}
	for i := range 40 {
		traits = append(traits, fmt.Sprint("COMPUTE_CAPABILITY_", i))
	}
	for i := range 60 {
		methods = append(methods, fmt.Sprint("compute.method", i))
	}
	var cells []compute.NUMACell
	for id := range 2 {
		cell := compute.NUMACell{ID: id, MemoryMB: 128 << 10, Pages: []compute.PagePool{{SizeKB: 4, Total: 1 << 25}, {SizeKB: 2048, Total: 1 << 10}}}
		for cpu := range 32 {
			cell.Shared, cell.Siblings = append(cell.Shared, 2*cpu+id), append(cell.Siblings, []int{2*cpu + id, 64 + 2*cpu + id})
		}
		cells = append(cells, cell)
	}
	all, err := c.Store.Hosts(t.Context(), c.Store.DB, compute.BinaryCompute)
	if err != nil {
		t.Fatal(err)
	}
	a := compute.Aggregate{ID: newID(), Name: "zone", Metadata: map[string]string{zoneKey: "zone"}, CreatedAt: c.Now()}
	err = c.Store.Tx(t.Context(), func(tx *db.Tx) error {
		for i, h := range all {
			r := &h.Resources
			r.HypervisorType, r.HypervisorVersion, r.HypervisorName, r.HostIP = "QEMU", 7002000, h.Name+".cloud.example.org", fmt.Sprintf("10.0.%d.%d", i>>8, i&255)
			r.Uptime, r.Load, r.Running, r.MemoryUsedMB = int64(1000+i), fmt.Sprint("0.20 0.12 ", i), i%7, 100+i
			r.CPU = compute.CPU{Arch: "x86_64", Model: "Cascadelake-Server", Vendor: "Intel", Features: features, Topology: compute.CPUTopology{Sockets: 2, Cores: 32, Threads: 2}}
			r.Supported, r.Traits, r.NUMA = [][3]string{{"i686", "kvm", "hvm"}, {"x86_64", "kvm", "hvm"}}, traits, cells
			h.Traits, h.Methods, h.Published = traits, methods, strings.Repeat("published ", 100)
			if err := c.Store.UpdateHost(t.Context(), tx, h); err != nil {
				return err
			}
			a.Hosts = append(a.Hosts, h.Name)
		}
		zone, err := c.Store.InsertAggregate(t.Context(), tx, a)
		if err != nil {
			return err
		}
		zone.Hosts = a.Hosts
		return c.Store.UpdateAggregate(t.Context(), tx, zone)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
