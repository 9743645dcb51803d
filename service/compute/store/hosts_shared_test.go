package store

import (
	"reflect"
	"slices"
	"testing"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// TestComputeHosts: they are those of Hosts, and share what is alike.
func TestComputeHosts(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		full := compute.Resources{HypervisorType: "QEMU", HypervisorVersion: 7, HypervisorName: "h1", HostIP: "10.0.0.1", VCPUs: 8, MemoryMB: 9, DiskGB: 10, DiskFreeGB: 3, Uptime: 5, Load: "1 2 3",
			CPU:       compute.CPU{Arch: "x86_64", Model: "m", Vendor: "v", Features: []string{"avx", "avx2"}, Topology: compute.CPUTopology{Sockets: 1, Cores: 2, Threads: 2}},
			Supported: [][3]string{{"x86_64", "kvm", "hvm"}}, Traits: []string{"HW_CPU_X86_AVX"}, NUMA: []compute.NUMACell{{ID: 1, Shared: []int{0, 1}, MemoryMB: 7}},
			PCI: []compute.PCIDevice{{Address: "0000:81:00.1", Vendor: "8086", Cell: -1}}, Metrics: map[string]float64{"cpu.percent": 0.5}}
		other := full
		other.HypervisorName, other.Uptime, other.Load = "h2.example.org", 6, "4 5 6"
		for i, r := range []compute.Resources{full, other, {}} {
			h := &compute.Host{ID: string(rune('i' + i)), NodeID: string(rune('n' + i)), Binary: compute.BinaryCompute, Name: []string{"h1", "h2", "h3"}[i], CreatedAt: epoch, UpdatedAt: epoch,
				LastSeen: epoch, Disabled: i == 1, DisabledReason: "why"[:3*(i&1)], ForcedDown: i == 2, Resources: r, Traits: []string{"COMPUTE_NODE"}, Methods: []string{"build"}, Published: []string{"told", `{"traits":["HW_CPU_X86_AVX","OWNER_NOVA"]}`, ""}[i]}
			in(t, s, func(tx *db.Tx) error { return s.InsertHost(ctx, tx, h) })
		}
		in(t, s, func(tx *db.Tx) error {
			return s.InsertHost(ctx, tx, &compute.Host{ID: "x", Binary: compute.BinaryConductor, Name: "h1", CreatedAt: epoch, UpdatedAt: epoch})
		})
		want, err := s.Hosts(ctx, s.DB, compute.BinaryCompute)
		if err != nil {
			t.Fatal(err)
		}
		var got []*compute.Host
		var owned []bool
		if err := s.ComputeHosts(ctx, s.DB, func(h *compute.Host, own bool) {
			one := *h
			got, owned = append(got, &one), append(owned, own)
		}); err != nil || len(got) != 3 {
			t.Fatal(len(got), err)
		}
		if !slices.Equal(owned, []bool{false, true, false}) {
			t.Errorf("Placement knows whose they are: %v", owned)
		}
		for i, w := range want { // which has more than a decision asks for
			w.Seq, w.ID, w.CreatedAt, w.UpdatedAt, w.Published = 0, "", got[i].CreatedAt, got[i].UpdatedAt, ""
			if !reflect.DeepEqual(got[i], w) {
				t.Errorf("%+v\nand not %+v", got[i], w)
			}
		}
		if &got[0].Traits[0] != &got[1].Traits[0] || &got[0].Resources.CPU.Features[0] != &got[1].Resources.CPU.Features[0] || &got[0].Resources.NUMA[0] != &got[1].Resources.NUMA[0] {
			t.Error("two hosts of one make share nothing")
		}
	})
}

func TestBusyByHost(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		all := fill(t, s, 6)
		for i, change := range []ServerPatch{
			{Host: new("a"), Task: new(compute.Networking)}, {Host: new("a"), Task: new(compute.Spawning)}, {Host: new("a"), Task: new(compute.NoTask)},
			{Host: new("b"), Task: new(compute.Spawning)}, {Host: new(""), Task: new(compute.Scheduling)},
		} {
			in(t, s, func(tx *db.Tx) error {
				_, err := s.UpdateServer(t.Context(), tx, all[i].ID, change, Expect{}, epoch)
				return err
			})
		}
		busy, err := s.BusyByHost(t.Context(), s.DB)
		if delete(busy, all[5].Host); err != nil || !reflect.DeepEqual(busy, map[string]int{"a": 2, "b": 1}) {
			t.Errorf("%v, %v", busy, err)
		}
	})
}
