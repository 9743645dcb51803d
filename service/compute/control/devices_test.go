package control

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// withAliases has a Control know aliases of PCI devices.
func withAliases(t *testing.T, c *Control, inPlacement bool, aliases ...string) {
	t.Helper()
	c.Options.Scheduler.Filter.PCIInPlacement = inPlacement
	var err error
	if c.aliases, err = aliasesOf(PCIOptions{Alias: aliases}, inPlacement); err != nil {
		t.Fatal(err)
	}
}

// heldOn has a server of a flavor with these extra specs take what it asks for of a
// host, and returns it.
func heldOn(t *testing.T, c *Control, h *compute.Host, s *compute.Server) (hold compute.Hold, err error) {
	t.Helper()
	mustTx(t, c, func(tx *db.Tx) error {
		hold, err = c.holdHardware(t.Context(), tx, s, h.Name, nil)
		return nil
	})
	return hold, err
}

func hostWith(t *testing.T, c *Control, name string, r compute.Resources) *compute.Host {
	t.Helper()
	h, err := c.Store.Host(t.Context(), c.Store.DB, compute.BinaryCompute, name)
	if err != nil {
		t.Fatal(err)
	}
	h.Resources = r
	mustTx(t, c, func(tx *db.Tx) error { return c.Store.UpdateHost(t.Context(), tx, h) })
	c.fleet.forget()
	return h
}

// TestDevicesNearby: which devices a guest on the first of four NUMA nodes, two of
// them a socket, gets by its policy, the nearest first.
func TestDevicesNearby(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	var r compute.Resources
	for i := range 4 {
		n := compute.NUMACell{ID: i, Socket: new(i / 2), MemoryMB: 4096}
		if i == 0 { // where alone the guest has room
			n.Shared = []int{0, 1}
		}
		r.NUMA = append(r.NUMA, n)
		r.PCI = append(r.PCI, compute.PCIDevice{Address: fmt.Sprintf("0000:00:0%d.0", i), Vendor: "8086", Product: "1520", Type: "type-VF", Cell: i})
	}
	r.PCI = append(r.PCI, compute.PCIDevice{Address: "0000:00:04.0", Vendor: "8086", Product: "1520", Type: "type-VF", Cell: -1})
	h := hostWith(t, c, "h00000", r)
	server := func(n int, policy string) *compute.Server {
		s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64, ExtraSpecs: map[string]string{aliasSpec: fmt.Sprint("vf:", n), "hw:numa_nodes": "1"}}}
		if policy != "" {
			s.Flavor.ExtraSpecs["hw:pci_numa_affinity_policy"] = policy
		}
		return s
	}
	withAliases(t, c, false, `{"name": "vf", "vendor_id": "8086", "product_id": "1520"}`)
	for policy, most := range map[string]int{"required": 1, "socket": 2, "legacy": 2, "": 2, "preferred": 5} {
		for n := 1; n <= 5; n++ {
			hold, err := heldOn(t, c, h, server(n, policy))
			held := hold.Devices
			switch {
			case n > most && !errors.Is(err, errHeld):
				t.Errorf("%s: %d devices: %v, %v", policy, n, held, err)
			case n <= most && (err != nil || len(held) != n || !slices.ContainsFunc(held, func(d compute.HeldDevice) bool { return d.Cell == 0 })):
				t.Errorf("%s: %d devices: %v, %v", policy, n, held, err)
			}
			if policy == "socket" && n == 2 && held[0].Cell+held[1].Cell != 1 {
				t.Errorf("not both of the socket: %v", held)
			}
		}
	}
	// A host that knows no sockets has none that fit, but for the node itself.
	for i := range r.NUMA {
		r.NUMA[i].Socket = nil
	}
	h = hostWith(t, c, "h00000", r)
	withAliases(t, c, false, `{"name": "vf", "vendor_id": "8086", "product_id": "1520", "numa_policy": "socket"}`)
	if hold, err := heldOn(t, c, h, server(2, "")); err == nil {
		t.Errorf("without sockets: %v", hold)
	}
}

// TestNodesGoWhereDevicesAre: a guest's NUMA node is put where its devices are, though
// another node of the host comes first.
func TestNodesGoWhereDevicesAre(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	withAliases(t, c, false, `{"name": "gpu", "vendor_id": "10de", "product_id": "1db4", "numa_policy": "required"}`)
	var r compute.Resources
	for i := range 4 {
		r.NUMA = append(r.NUMA, compute.NUMACell{ID: i, MemoryMB: 4096, Shared: []int{2 * i, 2*i + 1}})
	}
	r.PCI = []compute.PCIDevice{{Address: "0000:01:00.0", Vendor: "10de", Product: "1db4", Type: "type-PCI", Cell: 2}, {Address: "0000:02:00.0", Vendor: "10de", Product: "1db4", Type: "type-PCI", Cell: 3}}
	h := hostWith(t, c, "h00000", r)
	for nodes, want := range map[string]string{"1": "[2]", "2": "[2 3]"} {
		s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 2, MemoryMB: 128, ExtraSpecs: map[string]string{aliasSpec: "gpu:" + nodes, "hw:numa_nodes": nodes}}}
		hold, err := heldOn(t, c, h, s)
		var on []int
		for _, cell := range hold.Cells {
			on = append(on, cell.HostCell)
		}
		slices.Sort(on)
		if err != nil || fmt.Sprint(on) != want {
			t.Errorf("%s nodes: on %v, want %s: %v", nodes, on, want, err)
		}
	}
}

// TestDependentDevices: a physical function and its virtual ones are never somebody's
// at once, and nobody gets a physical one who has not asked for it.
func TestDependentDevices(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	withAliases(t, c, false, `{"name": "vf", "vendor_id": "8086", "product_id": "1520", "device_type": "type-VF"}`,
		`{"name": "pf", "vendor_id": "8086", "product_id": "1521", "device_type": "type-PF"}`, `{"name": "any", "vendor_id": "8086", "product_id": "1521"}`)
	pf := compute.PCIDevice{Address: "0000:40:00.0", Vendor: "8086", Product: "1521", Type: compute.DevicePF, Cell: -1}
	vf := compute.PCIDevice{Address: "0000:80:00.0", Parent: pf.Address, Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: -1}
	h := hostWith(t, c, "h00000", compute.Resources{PCI: []compute.PCIDevice{pf, vf}})
	for asked, fits := range map[string]bool{"vf:1": true, "pf:1": true, "any:1": false, "vf:1,pf:1": false, "pf:2": false} {
		s := &compute.Server{ID: newID(), Flavor: compute.Flavor{ExtraSpecs: map[string]string{aliasSpec: asked}}}
		if hold, err := heldOn(t, c, h, s); fits != (err == nil) {
			t.Errorf("%s: %v, %v", asked, hold.Devices, err)
		}
	}
	for held, parent := range map[string]string{pf.Address: "", vf.Address: pf.Address} {
		for _, noted := range []string{parent, ""} { // holds of old have no parent
			holds := map[string]compute.Hold{"s": {Devices: []compute.HeldDevice{{Address: held, Parent: noted}}}}
			if free := freeDevices(h.Resources.PCI, holds); len(free) != 0 {
				t.Errorf("while %s is held: %v", held, free)
			}
		}
	}
}

// TestAliases: what is refused of them, and what the refusal names.
func TestAliases(t *testing.T) {
	const ids = `"vendor_id": "8086", "product_id": "1520"`
	for _, x := range []struct {
		inPlacement bool
		aliases     []string
		says        string // "" nothing is wrong
	}{
		{false, []string{`{"name": "a", ` + ids + `}`}, ""},
		{false, []string{`{"name": "a", ` + ids + `, "capability_type": "pci", "device_type": "type-PF", "numa_policy": "socket", "live_migratable": "yes"}`}, ""},
		{true, []string{`{"name": "a", "resource_class": "gpu", "traits": "a,b"}`}, ""},
		{false, []string{`{"name": "a", ` + ids + `}`, `{"name": "a", "vendor_id": "8086", "product_id": "1530"}`}, ""},
		{false, []string{`x`}, "cannot be read"},
		{false, []string{`{"name": "a", ` + ids + `}, {"name": "b", ` + ids + `}`}, "more after"},
		{false, []string{`{"name": "a", "vendor": "8086"}`}, `"vendor"`},
		{false, []string{`{` + ids + `}`}, "no name"},
		{false, []string{`{"name": "a", "vendor_id": "8086"}`}, "both vendor_id and product_id"},
		{false, []string{`{"name": "a", "resource_class": "GPU"}`}, "both vendor_id and product_id"},
		{true, []string{`{"name": "a", "traits": "blue"}`}, "or resource_class"},
		{false, []string{`{"name": "a", "vendor_id": "808", "product_id": "1520"}`}, "vendor_id"},
		{false, []string{`{"name": "a", ` + ids + `, "device_type": "type-VDPA"}`}, "type-VDPA"},
		{false, []string{`{"name": "a", ` + ids + `, "numa_policy": "near"}`}, `"near"`},
		{false, []string{`{"name": "a", ` + ids + `, "live_migratable": "soon"}`}, `"soon"`},
		{false, []string{`{"name": "a", ` + ids + `, "capability_type": "usb"}`}, `"usb"`},
		{true, []string{`{"name": "a", "resource_class": "` + strings.Repeat("x", 250) + `"}`}, "too long"},
		{true, []string{`{"name": "a", ` + ids + `}`, `{"name": "a", ` + ids + `}`}, "more than once"},
		{false, []string{`{"name": "a", ` + ids + `}`, `{"name": "a", "numa_policy": "required", ` + ids + `}`}, "NUMA policies legacy and required"},
		{false, []string{`{"name": "a", ` + ids + `}`, `{"name": "a", "device_type": "type-VF", ` + ids + `}`}, "device types"},
	} {
		_, err := aliasesOf(PCIOptions{Alias: x.aliases}, x.inPlacement)
		if x.says == "" && err != nil || x.says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), x.says)) {
			t.Errorf("%v (in Placement %v): %v, want %q", x.aliases, x.inPlacement, err, x.says)
		}
	}
}

// TestDevicesInTheQuestion: each device is a group of its own in what Placement is
// asked, and the flavor says whether they may be of one provider.
func TestDevicesInTheQuestion(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	s := &compute.Server{Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64, ExtraSpecs: map[string]string{aliasSpec: "vf:2, gpu:1", "group_policy": "isolate"}}}
	aliases := []string{`{"name": "vf", "vendor_id": "8086", "product_id": "1520"}`, `{"name": "gpu", "vendor_id": "10de", "product_id": "1db4", "traits": "fast,HW_GPU_API_VULKAN"}`}
	ask := func() question {
		q := baseQuestion(s)
		if err := c.askMore(t.Context(), &q, s); err != nil {
			t.Fatal(err)
		}
		return q
	}
	if withAliases(t, c, false, aliases...); len(ask().Groups) != 0 {
		t.Error("Placement is asked for devices though it is not to be")
	}
	withAliases(t, c, true, aliases...)
	var got []string
	q := ask()
	for _, g := range q.Groups {
		got = append(got, fmt.Sprintf("%s%v%v%v", g.Suffix, g.Resources, g.Required, g.Open))
	}
	if want := "_pci0-0map[CUSTOM_PCI_8086_1520:1][]true _pci0-1map[CUSTOM_PCI_8086_1520:1][]true _pci1-0map[CUSTOM_PCI_10DE_1DB4:1][CUSTOM_FAST HW_GPU_API_VULKAN]true"; strings.Join(got, " ") != want || q.GroupPolicy != "isolate" {
		t.Errorf("%s %s\nwant %s isolate", got, q.GroupPolicy, want)
	}
	delete(s.Flavor.ExtraSpecs, "group_policy")
	if q := ask(); q.GroupPolicy != "none" {
		t.Errorf("group policy %q", q.GroupPolicy)
	}
	s.Flavor.ExtraSpecs[aliasSpec] = "vf:1"
	if q := ask(); q.GroupPolicy != "" || len(q.Groups) != 1 {
		t.Errorf("for one device: %+v", q)
	}
	for asked, says := range map[string]string{"vf:65": "more than 64", "vf:0": "1 to 256", "vf": "1 to 256", "other:1": "PCI alias other is not defined"} {
		s.Flavor.ExtraSpecs[aliasSpec] = asked
		if err := c.askDevices(new(question), s); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", asked, err, says)
		}
	}
}

// TestFunctionsOfOtherCards: who asks for a physical function and for virtual ones gets
// them of different cards, where there are such.
func TestFunctionsOfOtherCards(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	withAliases(t, c, false, `{"name": "pf", "vendor_id": "8086", "product_id": "1521", "device_type": "type-PF"}`, `{"name": "vf", "vendor_id": "8086", "product_id": "1520", "device_type": "type-VF"}`)
	var r compute.Resources
	for card := range 2 {
		pf := fmt.Sprintf("0000:4%d:00.0", card)
		r.PCI = append(r.PCI, compute.PCIDevice{Address: pf, Vendor: "8086", Product: "1521", Type: compute.DevicePF, Cell: -1},
			compute.PCIDevice{Address: fmt.Sprintf("0000:8%d:00.0", card), Parent: pf, Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: -1})
	}
	h := hostWith(t, c, "h00000", r)
	for asked, want := range map[string]string{"pf:1,vf:1": "0000:40:00.0 0000:81:00.0", "vf:1,pf:1": "0000:80:00.0 0000:41:00.0", "pf:2,vf:1": "", "vf:2,pf:1": ""} {
		hold, err := heldOn(t, c, h, &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, ExtraSpecs: map[string]string{aliasSpec: asked}}})
		if want == "" && !errors.Is(err, errHeld) {
			t.Errorf("%s: %v", asked, err)
		}
		var got []string
		for _, d := range hold.Devices {
			got = append(got, d.Address)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q; %v", asked, got, want, err)
		}
	}
}

// TestChosenDevices: of a host with three cards the claim is on those that the filter
// found, and the hold takes these.
func TestChosenDevices(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	withAliases(t, c, true, `{"name": "vf", "vendor_id": "8086", "product_id": "1520", "numa_policy": "required"}`)
	var r compute.Resources
	r.PCIInPlacement = true
	for card := range 3 {
		r.NUMA = append(r.NUMA, compute.NUMACell{ID: card, MemoryMB: 4096, Shared: []int{card}})
		for n := range 2 {
			r.PCI = append(r.PCI, compute.PCIDevice{Address: fmt.Sprintf("0000:8%d:00.%d", card, n), Parent: fmt.Sprintf("0000:4%d:00.0", card), Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: card})
		}
	}
	h := hostWith(t, c, "h00000", r)
	id := func(card int) string { return deviceProvider(h.NodeID, fmt.Sprintf("0000:4%d:00.0", card)) }
	const class = "CUSTOM_PCI_8086_1520"
	// Placement has given the way with the first card; of the second none is left.
	found := compute.Candidate{ProviderID: h.NodeID, Allocations: map[string]map[string]int{h.NodeID: {"VCPU": 2}},
		Free: map[string]map[string]int{h.NodeID: {"VCPU": 8}, id(0): {class: 1}, id(1): {class: 0}, id(2): {class: 2}}}
	for asked, want := range map[string]string{"vf:1": "[0]", "vf:2": "[2 2]", "vf:3": ""} {
		f, err := c.Fleet(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, MemoryMB: 64, ExtraSpecs: map[string]string{aliasSpec: asked, "hw:numa_nodes": "1"}}}
		hosts, err := c.scheduleHosts(t.Context(), f, []compute.Candidate{found}, needs{seats: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		request, err := c.scheduleRequest(t.Context(), s, &buildState{})
		if err != nil {
			t.Fatal(err)
		}
		choices := chooseDevices([]schedule.Choice{{Host: hosts[0]}}, request)
		if want == "" {
			if len(choices) != 0 {
				t.Errorf("%s: %v", asked, choices[0].Roots)
			}
			continue
		}
		if len(choices) != 1 {
			t.Errorf("%s: no choice", asked)
			continue
		}
		s.Roots = choices[0].Roots
		hold, err := heldOn(t, c, h, s)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		var cards []int
		claimed := amountsOf(hold)
		for _, d := range hold.Devices {
			cards = append(cards, d.Cell)
		}
		for provider, classes := range claimed {
			if fmt.Sprint(choices[0].Allocations[provider]) != fmt.Sprint(classes) {
				t.Errorf("%s: %v is claimed, and %v is held", asked, choices[0].Allocations, claimed)
			}
		}
		if fmt.Sprint(cards) != want || len(choices[0].Allocations) != len(claimed)+1 {
			t.Errorf("%s: devices of %v, want %s; claimed %v", asked, cards, want, choices[0].Allocations)
		}
	}
}

// TestLackingDevices: why hosts that Placement does not name lack devices, of so many as
// one can look at while others wait.
func TestLackingDevices(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	withAliases(t, c, true, `{"name": "vf", "vendor_id": "8086", "product_id": "1520"}`, `{"name": "gpu", "vendor_id": "10de", "product_id": "1db4"}`)
	able := &machine{inPlacement: true, pci: []compute.PCIDevice{{Address: "0000:40:00.0", Vendor: "8086", Product: "1520", Type: compute.DevicePCI, Cell: -1}}}
	f := &Fleet{hosts: make([]fleetHost, mostLacking+20)}
	for i := range f.hosts {
		f.hosts[i] = fleetHost{name: fmt.Sprint("h", i), machine: able}
	}
	for i := range 10 {
		f.hosts[i].machine = &machine{}
	}
	s := &compute.Server{ID: newID(), Flavor: compute.Flavor{VCPUs: 1, ExtraSpecs: map[string]string{aliasSpec: "gpu:1"}}}
	all := c.lackingDevices(t.Context(), s, f, []*schedule.Host{{Name: "h0"}, {Name: "h10"}})
	if got, want := fmt.Sprint(all), fmt.Sprintf("[{with too few devices of alias gpu left %d} {without free PCI devices 9}]", mostLacking); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Flavor.ExtraSpecs[aliasSpec] = "vf:1"
	if all := c.lackingDevices(t.Context(), s, f, nil); fmt.Sprint(all) != "[{without free PCI devices 10}]" {
		t.Errorf("%v", all)
	}
}
