package control

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"kilonova/internal/db"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor/fake"
	"kilonova/service/compute/store"
)

// numaHost writes a host with two NUMA nodes of eight processors, of which half
// are given away whole, huge pages and devices.
func numaHost(t *testing.T, c *Control, name string) compute.Resources {
	t.Helper()
	var devices []compute.PCIDevice
	for i := range 6 {
		devices = append(devices, compute.PCIDevice{Address: fmt.Sprintf("0000:81:00.%d", i), Vendor: "8086", Product: "1520", Type: "type-VF", Cell: i % 2})
	}
	r, err := fake.New(fake.Config{VCPUs: 16, MemoryMB: 16 << 10, NUMANodes: 2, Dedicated: []int{0, 1, 2, 3, 8, 9, 10, 11}, HugePages: 1024, PCI: devices}).Resources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &compute.Host{ID: newID(), NodeID: newID(), Binary: compute.BinaryCompute, Name: name, CreatedAt: epoch, UpdatedAt: epoch, Resources: r}
	mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertHost(t.Context(), tx, h) })
	return r
}

// wanting writes a server whose flavor has extra specs.
func wanting(t *testing.T, c *Control, vcpus, memory int, specs map[string]string) *compute.Server {
	t.Helper()
	s := &compute.Server{ID: newID(), State: compute.Building, Task: compute.Scheduling, Flavor: compute.Flavor{ID: "1", VCPUs: vcpus, MemoryMB: memory, ExtraSpecs: specs}, CreatedAt: epoch, UpdatedAt: epoch}
	mustTx(t, c, func(tx *db.Tx) error { return c.Store.InsertServers(t.Context(), tx, s) })
	return s
}

// doubled says what of a host is given away twice, or does not exist.
func doubled(r compute.Resources, holds map[string]compute.Hold) error {
	cpus, devices, pages := map[int]string{}, map[string]string{}, map[[2]int]int{}
	memory := map[int]int{}
	whole := map[int]int{} // dedicated processors, with their nodes
	for _, n := range r.NUMA {
		for _, cpu := range n.Dedicated {
			whole[cpu] = n.ID
		}
	}
	for id, hold := range holds {
		take := func(cpu, cell int) error {
			at, there := whole[cpu]
			if !there || cell >= 0 && at != cell {
				return fmt.Errorf("server %s has processor %d of node %d", id, cpu, cell)
			}
			if cpus[cpu] != "" {
				return fmt.Errorf("processor %d is %s's and %s's", cpu, cpus[cpu], id)
			}
			cpus[cpu] = id
			return nil
		}
		for _, g := range hold.Cells {
			for _, cpu := range g.Pins {
				if err := take(cpu, g.HostCell); err != nil {
					return err
				}
			}
			if memory[g.HostCell] += g.MemoryMB; memory[g.HostCell] > r.NUMA[g.HostCell].MemoryMB {
				return fmt.Errorf("node %d gives %d MiB", g.HostCell, memory[g.HostCell])
			}
			if g.PageKB == 2048 {
				at := [2]int{g.HostCell, g.PageKB}
				if pages[at] += g.MemoryMB / 2; pages[at] > 1024 {
					return fmt.Errorf("node %d gives %d pages", g.HostCell, pages[at])
				}
			}
		}
		for _, cpu := range hold.Emulator {
			if err := take(cpu, -1); err != nil {
				return err
			}
		}
		for _, d := range hold.Devices {
			if devices[d.Address] != "" {
				return fmt.Errorf("device %s is %s's and %s's", d.Address, devices[d.Address], id)
			}
			devices[d.Address] = id
		}
	}
	return nil
}

// TestHardwareIsGivenOnce has many servers that ask for processors, pages and
// devices come to two hosts at once, blindly, and some leave again.
func TestHardwareIsGivenOnce(t *testing.T) {
	kinds := []map[string]string{
		{"hw:cpu_policy": "dedicated"}, {"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "require"}, {"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"},
		{"hw:cpu_policy": "dedicated", "hw:numa_nodes": "2"}, {"hw:mem_page_size": "2MB"}, {"hw:mem_page_size": "large", "hw:numa_nodes": "2"},
		{"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": "0"}, {aliasSpec: "vf:1"}, {aliasSpec: "vf:2", "hw:cpu_policy": "dedicated"}, {"hw:numa_nodes": "1"},
	}
	eachControl(t, func(t *testing.T, c *Control) {
		c.aliases = map[string][]alias{"vf": {{Name: "vf", Vendor: "8086", Product: "1520", Type: "type-VF", NUMAPolicy: "preferred"}}}
		hosts := map[string]compute.Resources{"a": numaHost(t, c, "a"), "b": numaHost(t, c, "b")}
		names := []string{"a", "b"}
		leave := func(s *compute.Server) {
			mustTx(t, c, func(tx *db.Tx) error {
				_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{Host: ptr("")}, store.Expect{}, epoch)
				return err
			})
		}
		for _, specs := range kinds { // each finds room where there is nobody else
			s := wanting(t, c, 2, 512, specs)
			if err := noteHost(t, c, s, "a"); err != nil {
				t.Errorf("%v: %v", specs, err)
			}
			leave(s)
		}
		var wg sync.WaitGroup
		for n := range 80 {
			wg.Go(func() {
				dice := rand.New(rand.NewPCG(5, uint64(n)))
				s := wanting(t, c, 2, 512, kinds[n%len(kinds)])
				for range 3 {
					host := names[dice.IntN(2)]
					err := noteHost(t, c, s, host)
					if err != nil && !errors.Is(err, errHeld) {
						t.Error(err)
					}
					if dice.IntN(3) == 0 {
						leave(s)
					}
				}
				mustTx(t, c, func(tx *db.Tx) error {
					_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{State: ptr(compute.Active), Task: ptr(compute.NoTask)}, store.Expect{}, epoch)
					return err
				})
			})
		}
		wg.Wait()
		all, err := c.Store.Holds(t.Context(), c.Store.DB)
		if err != nil {
			t.Fatal(err)
		}
		for host, r := range hosts {
			if err := doubled(r, all[host]); err != nil {
				t.Errorf("host %s: %v", host, err)
			}
			t.Logf("host %s: %d servers hold something", host, len(all[host]))
		}
	})
}

// TestHardwareFillsUp: what is free is found to the last processor, page and
// device, and what comes back is found again.
func TestHardwareFillsUp(t *testing.T) {
	eachControl(t, func(t *testing.T, c *Control) {
		c.aliases = map[string][]alias{"vf": {{Name: "vf", Vendor: "8086"}}}
		r := numaHost(t, c, "a")
		for name, x := range map[string]struct {
			specs         map[string]string
			vcpus, memory int
			want          int
		}{
			"processors": {map[string]string{"hw:cpu_policy": "dedicated"}, 2, 64, 4},
			"cores":      {map[string]string{"hw:cpu_policy": "dedicated", "hw:cpu_thread_policy": "require"}, 4, 64, 2},
			"two nodes":  {map[string]string{"hw:cpu_policy": "dedicated", "hw:numa_nodes": "2"}, 4, 64, 2},
			"pages":      {map[string]string{"hw:mem_page_size": "2048"}, 1, 1024, 4},
			"devices":    {map[string]string{aliasSpec: "vf:2"}, 1, 64, 3},
		} {
			var all []*compute.Server
			for {
				s := wanting(t, c, x.vcpus, x.memory, x.specs)
				err := noteHost(t, c, s, "a")
				if errors.Is(err, errHeld) {
					break
				}
				if err != nil {
					t.Fatal(name, err)
				}
				if s.Hold.Empty() {
					t.Fatalf("%s: it holds nothing", name)
				}
				all = append(all, s)
			}
			if len(all) != x.want {
				t.Errorf("%s: %d servers fit, want %d", name, len(all), x.want)
			}
			holds, err := c.Store.Holds(t.Context(), c.Store.DB, "a")
			if err != nil {
				t.Fatal(err)
			}
			if err := doubled(r, holds["a"]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, s := range all {
				mustTx(t, c, func(tx *db.Tx) error {
					_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{DeletedAt: ptr(epoch)}, store.Expect{}, epoch)
					return err
				})
			}
		}
	})
}
