package cloud

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// flavorOf makes a flavor with extra specs.
func flavorOf(t *testing.T, c *cloud, name string, vcpus, ram int, specs flavors.ExtraSpecsOpts) string {
	t.Helper()
	f, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: name, RAM: ram, VCPUs: vcpus, Disk: ptr(1)}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if specs == nil {
		return f.ID
	}
	if _, err := flavors.CreateExtraSpecs(t.Context(), c.admin.compute, f.ID, specs).Extract(); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// pinned is how many processors of its host a guest has to itself, and where it is;
// two guests with one processor fail the test.
func pinned(t *testing.T, c *cloud, id string) string {
	t.Helper()
	cpus := map[string]string{}
	mine := ""
	for guest, g := range guestsHold(t, c) {
		n := 0
		for _, cell := range g.hold.Cells {
			for _, cpu := range cell.Pins {
				at := fmt.Sprint(g.host, " ", cpu)
				if cpus[at] != "" {
					t.Errorf("processor %s is that of %s and of %s", at, guest, cpus[at])
				}
				cpus[at] = guest
				n++
			}
		}
		if g.hold.Before != nil {
			t.Errorf("the guest of %s is told of what it had before", guest)
		}
		if guest == id {
			mine = fmt.Sprintf("%d on %s", n, g.host)
		}
	}
	return mine
}

// TestPinnedServersMove: a server with processors of its own has them of its new
// host after each kind of move, and its old ones again when it comes back.
func TestPinnedServersMove(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		c.Fake.NUMANodes, c.Fake.HugePages = 2, 512
		c.Compute.DedicatedSet = "0-3,32-35" // four of each node
	})
	hostsUp(t, c)
	u := c.admin
	two := flavorOf(t, c, "two", 2, 64, flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated", "hw:mem_page_size": "2MB"})
	four := flavorOf(t, c, "four", 4, 128, flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated", "hw:numa_nodes": "2"})
	id := bootOf(t, c, two)
	settledAs(t, u, id, "ACTIVE")
	a := c.where(t, id).host
	b := c.other(t, a)
	was := fmt.Sprint(guestsHold(t, c)[id].hold)
	is := func(what, want string) {
		t.Helper()
		if got := pinned(t, c, id); got != want {
			t.Errorf("after %s it has %q, want %q", what, got, want)
		}
	}
	is("its build", "2 on "+a)
	if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: four}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "VERIFY_RESIZE")
	is("a resize", "4 on "+b)
	if err := ask(t, u, id, object{"revertResize": nil}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	is("the way back", "2 on "+a)
	if got := fmt.Sprint(guestsHold(t, c)[id].hold); got != was {
		t.Errorf("after the way back it has %s, and had %s", got, was)
	}
	for _, to := range []string{b, a} {
		if err := ask(t, u, id, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "ACTIVE")
		is("a live migration", "2 on "+to)
	}
	// Somebody else takes what is left at the old place meanwhile.
	c.forceDown(t, a, true)
	if err := ask(t, u, id, object{"evacuate": object{}}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	is("an evacuation", "2 on "+b)
	c.forceDown(t, a, false)
	for _, x := range [][2]string{{"shelve", "SHELVED_OFFLOADED"}, {"unshelve", "ACTIVE"}} {
		if err := ask(t, u, id, object{x[0]: nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, x[1])
	}
	if got := pinned(t, c, id); !strings.HasPrefix(got, "2 on ") {
		t.Errorf("unshelved it has %q", got)
	}
}

// TestPinnedServersStayOnTheirHost: with another flavor on the same host a server has
// other processors, and its first ones are nobody's until it is decided.
func TestPinnedServersStayOnTheirHost(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		c.Fake.NUMANodes, c.Fake.PCIDevices, c.Default.ResizeToSameHost = 2, 2, true
		c.Compute.DedicatedSet = "0-3,32-35"
		c.PCI.Alias = []string{`{"name": "vf", "vendor_id": "8086", "product_id": "1520", "device_type": "type-VF", "numa_policy": "preferred"}`}
	})
	hostsUp(t, c)
	u := c.admin
	four := flavorOf(t, c, "four", 4, 64, flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated", "pci_passthrough:alias": "vf:1"})
	more := flavorOf(t, c, "more", 4, 128, flavors.ExtraSpecsOpts{"hw:cpu_policy": "dedicated", "pci_passthrough:alias": "vf:1"})
	plain := flavorOf(t, c, "plain", 1, 32, nil)
	id := bootOf(t, c, four)
	settledAs(t, u, id, "ACTIVE")
	a := c.where(t, id).host
	c.disable(t, c.other(t, a), true)
	was := fmt.Sprint(guestsHold(t, c)[id].hold)
	for _, end := range []string{"revertResize", "confirmResize"} {
		if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: more}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "VERIFY_RESIZE")
		if got := pinned(t, c, id); got != "4 on "+a {
			t.Fatalf("resized it has %q", got)
		}
		if now := fmt.Sprint(guestsHold(t, c)[id].hold); now == was {
			t.Error("resized it has the processors that are kept for the way back")
		}
		// All eight of the host are taken, four for the way back.
		other := bootOf(t, c, four)
		settledAs(t, u, other, "ERROR")
		if err := servers.Delete(t.Context(), u.compute, other).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, other)
		if err := ask(t, u, id, object{end: nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "ACTIVE")
		now := fmt.Sprint(guestsHold(t, c)[id].hold)
		if (now == was) != (end == "revertResize") {
			t.Errorf("after %s it has %s, and had %s", end, now, was)
		}
		// The other four are free again.
		other = bootOf(t, c, four)
		settledAs(t, u, other, "ACTIVE")
		pinned(t, c, other)
		if err := servers.Delete(t.Context(), u.compute, other).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, other)
	}
	// To a flavor that asks for nothing, and back.
	was = fmt.Sprint(guestsHold(t, c)[id].hold)
	if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: plain}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "VERIFY_RESIZE")
	if got := pinned(t, c, id); got != "" {
		t.Errorf("it has %q and asks for nothing", got)
	}
	if err := ask(t, u, id, object{"revertResize": nil}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	if now := fmt.Sprint(guestsHold(t, c)[id].hold); now != was {
		t.Errorf("it has %s, and had %s", now, was)
	}
}
