package control

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/store"
)

// ledger is a Placement as far as devices go: what consumers have, and the providers.
type ledger struct {
	*room
	held      map[string][]compute.Holding
	reclaimed []string
	told      []compute.DeviceProvider
	back      []string
	stuck     error // why no host goes
	moved     bool  // a server's claim has gone to its migration before it is changed
}

func (l *ledger) Holdings(_ context.Context, consumer string) ([]compute.Holding, error) {
	return l.held[consumer], nil
}

func (l *ledger) Reclaim(_ context.Context, consumer string, amounts map[string]map[string]int) error {
	l.reclaimed = append(l.reclaimed, consumer)
	if l.moved {
		delete(l.held, consumer)
		return nil
	}
	for provider, classes := range amounts {
		l.held[consumer] = append(l.held[consumer], compute.Holding{ProviderID: provider, Resources: classes})
	}
	return nil
}

func (l *ledger) PublishDevices(_ context.Context, _ string, all []compute.DeviceProvider) error {
	l.told = all
	return nil
}

func (l *ledger) KeepBack(_ context.Context, provider string) error {
	l.back = append(l.back, provider)
	return nil
}

func (l *ledger) KnowsTrait(context.Context, string) (bool, error) { return false, nil }

func (l *ledger) Publish(context.Context, string, string, map[string]compute.Inventory, []string) error {
	return nil
}

func (l *ledger) Withdraw(context.Context, string) error { return l.stuck }

// tracked is a host with two virtual functions of a card, and another card, of which
// Placement is told.
func tracked(t *testing.T, c *Control) *compute.Host {
	t.Helper()
	r := compute.Resources{PCIInPlacement: true, PCI: []compute.PCIDevice{
		{Address: "0000:80:00.0", Parent: "0000:40:00.0", Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: -1, Traits: []string{"blue"}},
		{Address: "0000:80:00.1", Parent: "0000:40:00.0", Vendor: "8086", Product: "1520", Type: compute.DeviceVF, Cell: -1, Traits: []string{"blue"}},
		{Address: "0000:0a:00.0", Vendor: "10de", Product: "1db4", Type: compute.DevicePCI, Cell: -1, Class: "gpu", OneTime: true},
		{Address: "0000:0b:00.0", Vendor: "10de", Product: "1db4", Type: compute.DevicePCI, Cell: -1, Network: "physnet"}}}
	nameDevices(&r)
	return hostWith(t, c, "h00000", r)
}

// TestDeviceOffers: what Placement is told of a host's devices, which depends on who has
// any.
func TestDeviceOffers(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	h := tracked(t, c)
	show := func(all []compute.DeviceProvider) string {
		var lines []string
		for _, p := range all {
			lines = append(lines, fmt.Sprint(p.Name, " ", p.Class, " ", p.Total, " ", p.Traits, " ", p.Back))
		}
		return strings.Join(lines, "\n")
	}
	card, vfs := deviceProvider(h.NodeID, "0000:0a:00.0"), deviceProvider(h.NodeID, "0000:40:00.0")
	free := deviceOffers(h, nil, nil, true)
	if want := "h00000_0000:0A:00.0 CUSTOM_GPU 1 [COMPUTE_MANAGED_PCI_DEVICE HW_PCI_ONE_TIME_USE OWNER_NOVA] false\nh00000_0000:40:00.0 CUSTOM_PCI_8086_1520 2 [COMPUTE_MANAGED_PCI_DEVICE CUSTOM_BLUE OWNER_NOVA] false"; show(free) != want {
		t.Errorf("free:\n%s\nwant\n%s", show(free), want)
	}
	holds := map[string]compute.Hold{"s": {Devices: []compute.HeldDevice{{Address: "0000:0a:00.0", Provider: card, Class: "CUSTOM_GPU", OneTime: true}, {Address: "0000:80:00.1", Provider: vfs, Class: "CUSTOM_PCI_8086_1520"}}}}
	if held := deviceOffers(h, holds, free, true); !strings.Contains(show(held), "CUSTOM_GPU 1 [COMPUTE_MANAGED_PCI_DEVICE HW_PCI_ONE_TIME_USE OWNER_NOVA] true") {
		t.Errorf("while somebody has the card for one time:\n%s", show(held))
	}
	h.Resources.PCI = h.Resources.PCI[:1] // one VF is left, and the other one is somebody's, as is the card
	if held := deviceOffers(h, holds, free, false); show(held) != "h00000_0000:0A:00.0 CUSTOM_GPU 1 [COMPUTE_MANAGED_PCI_DEVICE HW_PCI_ONE_TIME_USE OWNER_NOVA] false\nh00000_0000:40:00.0 CUSTOM_PCI_8086_1520 2 [COMPUTE_MANAGED_PCI_DEVICE CUSTOM_BLUE] false" {
		t.Errorf("of devices that are gone:\n%s", show(held))
	}
	if rest := deviceOffers(h, nil, free, false); len(rest) != 1 || rest[0].Total != 1 {
		t.Errorf("of devices that are gone and nobody's:\n%s", show(rest))
	}
	h.Resources.PCIInPlacement = false
	if none := deviceOffers(h, nil, nil, true); len(none) != 0 {
		t.Errorf("told though it is not to be:\n%s", show(none))
	}
}

// TestRefusedDevices: what a host may not say of its devices.
func TestRefusedDevices(t *testing.T) {
	c, _ := fleetOf(t, 1, 10, nil)
	h := tracked(t, c)
	held := func(address, parent, class string) map[string]compute.Hold {
		return map[string]compute.Hold{"server/before": {Devices: []compute.HeldDevice{{Address: address, Parent: parent, Class: class}}}}
	}
	pf := []compute.PCIDevice{{Address: "0000:40:00.0", Vendor: "8086", Product: "1521", Type: compute.DevicePF}}
	vf := h.Resources.PCI[:2]
	told, err := json.Marshal(offer{Node: h.NodeID, Devices: deviceOffers(h, nil, nil, false)})
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		told    bool
		reports bool
		devices []compute.PCIDevice
		holds   map[string]compute.Hold
		says    string // "" nothing is wrong
	}{
		"never told":            {false, false, vf, nil, ""},
		"told no more":          {true, false, vf, nil, "cannot be taken back"},
		"as it is":              {true, true, h.Resources.PCI, held("0000:80:00.0", "0000:40:00.0", "CUSTOM_PCI_8086_1520"), ""},
		"a held one is gone":    {true, true, h.Resources.PCI[2:], held("0000:80:00.0", "0000:40:00.0", "CUSTOM_PCI_8086_1520"), ""},
		"its PF instead":        {true, true, pf, held("0000:80:00.0", "0000:40:00.0", "CUSTOM_PCI_8086_1520"), "server server has 0000:80:00.0"},
		"its PF, of old":        {true, true, pf, held("0000:80:00.0", "", ""), "server server has 0000:80:00.0"},
		"its PF, of nobody's":   {true, true, pf, nil, ""},
		"VFs instead of the PF": {true, true, vf, held("0000:40:00.0", "", "CUSTOM_PCI_8086_1521"), "part of the same card"},
		"another class":         {true, true, vf, held("0000:80:00.0", "0000:40:00.0", "CUSTOM_VF"), "as CUSTOM_PCI_8086_1520, and server server has it as CUSTOM_VF"},
		"both":                  {true, true, slices.Concat(pf, vf), nil, "only either"},
	} {
		if h.Published = ""; x.told {
			h.Published = string(told)
		}
		err := refuseDevices(h, &compute.Resources{PCIInPlacement: x.reports, PCI: x.devices}, x.holds)
		if x.says == "" && err != nil || x.says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), x.says)) {
			t.Errorf("%s: %v, want %q", name, err, x.says)
		}
	}
}

// TestDevicesHealed: servers that had devices before Placement knew them get them in
// their claims, once, and the hold knows where they are; one that moves is left alone
// until it has arrived.
func TestDevicesHealed(t *testing.T) {
	c, room := fleetOf(t, 1, 10, nil)
	h := tracked(t, c)
	l := &ledger{room: room, held: map[string][]compute.Holding{}}
	c.Placement, c.DeviceProviders = l, l
	vfs := deviceProvider(h.NodeID, "0000:40:00.0")
	s := &compute.Server{ID: newID(), Host: h.Name, State: compute.Active, CreatedAt: c.Now(), UpdatedAt: c.Now(), Task: compute.Migrating}
	mustTx(t, c, func(tx *db.Tx) error {
		if err := c.Store.InsertServers(t.Context(), tx, s); err != nil {
			return err
		}
		return c.Store.PutHold(t.Context(), tx, s.ID, h.Name, compute.Hold{Devices: []compute.HeldDevice{{Address: "0000:80:00.1", Request: "vf"}}})
	})
	publish := func() error {
		t.Helper()
		holds, err := c.holdsOn(t.Context(), h, &h.Resources)
		if err != nil {
			t.Fatal(err)
		}
		return c.publishDevices(t.Context(), h, deviceOffers(h, holds, nil, false), holds)
	}
	if err := publish(); !fault.Is(err, fault.Unavailable) || len(l.reclaimed) != 0 || len(l.told) != 2 {
		t.Errorf("while it moves: %v, %v", err, l.reclaimed)
	}
	s.Task = compute.NoTask
	mustTx(t, c, func(tx *db.Tx) error {
		_, err := c.Store.UpdateServer(t.Context(), tx, s.ID, store.ServerPatch{Task: &s.Task}, store.Expect{Existing: true}, c.Now())
		return err
	})
	l.held[s.ID], l.moved = []compute.Holding{{ProviderID: h.NodeID, Resources: map[string]int{"VCPU": 1}}}, true
	if err := publish(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("when it begins to move meanwhile: %v", err)
	}
	l.reclaimed, l.moved = nil, false
	for range 2 {
		if err := publish(); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(l.reclaimed) != fmt.Sprint([]string{s.ID}) || fmt.Sprint(l.held[s.ID]) != fmt.Sprintf("[{%s map[CUSTOM_PCI_8086_1520:1] []}]", vfs) {
		t.Errorf("its claim was changed for %v, and is %v", l.reclaimed, l.held)
	}
	hold, err := c.Store.Hold(t.Context(), c.Store.DB, s.ID, h.Name)
	if err != nil || len(hold.Devices) != 1 || hold.Devices[0].Provider != vfs || hold.Devices[0].Parent != "0000:40:00.0" {
		t.Errorf("%+v, %v", hold, err)
	}
}

// TestDevicesOfAHostThatStays: a host that could not be deleted tells of its devices
// again, which had gone before it.
func TestDevicesOfAHostThatStays(t *testing.T) {
	c, room := fleetOf(t, 1, 10, nil)
	h := tracked(t, c)
	l := &ledger{room: room, stuck: fault.Conflictf("Somebody has claimed something.")}
	c.Placement, c.DeviceProviders = l, l
	publish := func() bool {
		t.Helper()
		h, err := c.Store.Host(t.Context(), c.Store.DB, compute.BinaryCompute, h.Name)
		if err != nil {
			t.Fatal(err)
		}
		told, err := c.publish(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		mustTx(t, c, func(tx *db.Tx) error { return c.Store.SetPublished(t.Context(), tx, h.Seq, h.Published) })
		return told
	}
	if !publish() || len(l.told) != 2 || publish() {
		t.Fatalf("told is %v, once", l.told)
	}
	admin := auth.With(t.Context(), &auth.Caller{ProjectID: "p", Roles: []string{"admin"}})
	for range 2 {
		l.told = []compute.DeviceProvider{{}}
		if err := c.DeleteService(admin, h.ID); !fault.Is(err, fault.Conflict) || len(l.told) != 0 {
			t.Errorf("%v, and Placement knows %v", err, l.told)
		}
	}
	if !publish() || len(l.told) != 2 || publish() {
		t.Errorf("told is %v", l.told)
	}
	l.stuck = nil
	if err := c.DeleteService(admin, h.ID); err != nil || len(l.told) != 0 {
		t.Errorf("%v, and Placement knows %v", err, l.told)
	}
}

// TestDevicesCounted: a device for one time is kept back before its guest has it, and a
// claim gets devices only while Placement is not asked for them.
func TestDevicesCounted(t *testing.T) {
	c, room := fleetOf(t, 1, 10, nil)
	l := &ledger{room: room, held: map[string][]compute.Holding{}}
	c.Placement, c.DeviceProviders = l, l
	s := &compute.Server{ID: "s"}
	hold := &compute.Hold{Devices: []compute.HeldDevice{{Address: "a", Provider: "p", Class: "X", OneTime: true}, {Address: "b", Provider: "q", Class: "X"}, {Address: "c"}}}
	for _, asked := range []bool{true, false} {
		l.reclaimed, l.back = nil, nil
		c.Options.Scheduler.Filter.PCIInPlacement = asked
		if err := c.countDevices(t.Context(), s, hold); err != nil {
			t.Fatal(err)
		}
		if (len(l.reclaimed) == 0) != asked || fmt.Sprint(l.back) != "[p]" {
			t.Errorf("asked in Placement %v: %v, kept back %v", asked, l.reclaimed, l.back)
		}
	}
	if err := c.countDevices(t.Context(), s, nil); err != nil {
		t.Error(err)
	}
}
