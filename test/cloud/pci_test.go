package cloud

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// TestDevicesInPlacement: what Placement knows of devices, servers that claim them
// there until there are none left, and why there are none.
func TestDevicesInPlacement(t *testing.T) {
	eachWith(t, carded, devicesInPlacement)
}

func devicesInPlacement(t *testing.T, c *cloud) {
	hostsUp(t, c)
	hosts := hostNames(t, c)
	all := c.published(t, 3*len(hosts))
	for _, host := range hosts {
		for address, want := range map[string]string{"0000:40:00.0": "2 " + vfClass, "0000:40:01.0": "2 " + vfClass, "0000:20:00.0": "1 " + cardClass} {
			p := all[host+"_"+address]
			_, class, _ := strings.Cut(want, " ")
			if got := fmt.Sprint(p.inventories[class].Total, " ", class); got != want || p.Parent != providerOf(t, c, host) {
				t.Errorf("%s on %s: %s below %s, want %s", address, host, got, p.Parent, want)
			}
			traits := "[COMPUTE_MANAGED_PCI_DEVICE HW_PCI_LIVE_MIGRATABLE OWNER_NOVA]"
			if class == cardClass {
				traits = "[COMPUTE_MANAGED_PCI_DEVICE CUSTOM_BLUE HW_GPU_API_VULKAN OWNER_NOVA]"
			}
			if fmt.Sprint(p.traits) != traits {
				t.Errorf("%s has traits %v, want %s", p.Name, p.traits, traits)
			}
		}
	}
	// One each with the host's card, and then one each with a function of both others.
	apart := flavorOf(t, c, "apart", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "vf:2", "group_policy": "isolate"})
	single := flavorOf(t, c, "single", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "vf:1,card:1"})
	var ids []string
	boot := func(flavor, status string) string {
		t.Helper()
		id := bootOf(t, c, flavor)
		settledAs(t, c.admin, id, status)
		ids = append(ids, id)
		return id
	}
	for range hosts {
		boot(single, "ACTIVE")
	}
	for range hosts {
		id := boot(apart, "ACTIVE")
		if got := c.devicesOf(t, id); strings.Count(got, "=1 ") != 2 {
			t.Errorf("devices that are to be apart: %s", got)
		}
	}
	c.devicesAgree(t, ids...)
	// There are virtual functions left, and no card.
	id := boot(single, "ERROR")
	s, err := servers.Get(t.Context(), c.admin.compute, id).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d with too few devices of alias card left", len(hosts)); !strings.Contains(s.Fault.Message, want) {
		t.Errorf("it is nowhere because: %s; want %q", s.Fault.Message, want)
	}
	c.devicesAgree(t, ids...)
	deleteAll(t, c, c.admin)
	c.devicesAgree(t)
}

// TestDevicesRaced: of servers that are asked for at once so many get devices as there
// are, and none gets what another one has, whoever decides.
func TestDevicesRaced(t *testing.T) {
	for _, driver := range []string{"filter", "caching", "chance"} {
		t.Run(driver, func(t *testing.T) {
			devicesRaced(t, oneWith(t, func(c *stack.Config) {
				carded(c)
				c.Quota.Instances, c.Quota.Cores = -1, -1
				c.Scheduler.Driver = driver
			}))
		})
	}
}

func devicesRaced(t *testing.T, c *cloud) {
	hostsUp(t, c)
	hosts := hostNames(t, c)
	c.published(t, 3*len(hosts))
	flavor := flavorOf(t, c, "card", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "vf:1"})
	fit := 4 * len(hosts)
	var ids []string
	for range fit + 3 {
		ids = append(ids, bootOf(t, c, flavor))
	}
	settled(t, c.admin)
	status := map[string]int{}
	for _, s := range allServers(t, c.admin) {
		status[s.Status]++
	}
	if status["ACTIVE"] != fit || status["ERROR"] != 3 {
		t.Errorf("%v, want %d ACTIVE and 3 ERROR", status, fit)
	}
	c.devicesAgree(t, ids...)
	// Two ask for the last.
	for _, id := range ids[:fit+3] {
		if s, err := servers.Get(t.Context(), c.admin.compute, id).Extract(); err == nil && s.Status == "ACTIVE" {
			if err := servers.Delete(t.Context(), c.admin.compute, id).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			gone(t, c, id)
			ids = slices.DeleteFunc(ids, func(x string) bool { return x == id })
			break
		}
	}
	a, b := bootOf(t, c, flavor), bootOf(t, c, flavor)
	settled(t, c.admin)
	got := ""
	for _, id := range []string{a, b} {
		s, err := servers.Get(t.Context(), c.admin.compute, id).Extract()
		if err != nil {
			t.Fatal(err)
		}
		got += s.Status + " "
	}
	if got != "ACTIVE ERROR " && got != "ERROR ACTIVE " {
		t.Errorf("two for the last device are %s", got)
	}
	c.devicesAgree(t, append(ids, a, b)...)
}

// TestDevicesMove: through each kind of move a server has devices of where it is, and
// claims just these.
func TestDevicesMove(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		carded(c)
		c.Default.ResizeToSameHost = true
	})
	hostsUp(t, c)
	u := c.admin
	c.published(t, 3*len(hostNames(t, c)))
	one := flavorOf(t, c, "one", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "live:1"})
	two := flavorOf(t, c, "two", 1, 128, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "live:2"})
	fixed := flavorOf(t, c, "fixed", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "vf:1"})
	id, other := bootOf(t, c, one), bootOf(t, c, fixed)
	settledAs(t, u, id, "ACTIVE")
	settledAs(t, u, other, "ACTIVE")
	has := func(what string, n int) {
		t.Helper()
		c.devicesAgree(t, id, other)
		if got := len(guestsHold(t, c)[id].hold.Devices); got != n {
			t.Errorf("after %s it has %d devices, want %d", what, got, n)
		}
	}
	has("its build", 1)
	do := func(what string, body any, status string, n int) {
		t.Helper()
		if err := ask(t, u, id, body); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		settledAs(t, u, id, status)
		has(what, n)
	}
	at, version := func() string { return c.where(t, id).host }, u.compute.Microversion
	for _, same := range []bool{true, false} {
		for _, end := range []string{"revertResize", "confirmResize"} {
			a := at()
			b := c.other(t, a)
			away := map[bool]string{true: b, false: a}[same] // nothing can come here
			c.disable(t, away, true)
			to, n := two, 2
			if len(guestsHold(t, c)[id].hold.Devices) == 2 {
				to, n = one, 1
			}
			do("a resize", object{"resize": object{"flavorRef": to}}, "VERIFY_RESIZE", n)
			if (at() == a) != same {
				t.Errorf("it was on %s and is on %s", a, at())
			}
			if end == "revertResize" {
				n = 3 - n
			}
			do(end, object{end: nil}, "ACTIVE", n)
			c.disable(t, away, false)
		}
	}
	n := len(guestsHold(t, c)[id].hold.Devices)
	do("a cold migration", object{"migrate": nil}, "VERIFY_RESIZE", n)
	do("its end", object{"confirmResize": nil}, "ACTIVE", n)
	a := at()
	do("a live migration", json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`), "ACTIVE", n)
	if at() == a {
		t.Error("it has not moved")
	}
	u.compute.Microversion = "2.30" // by which a host may be forced
	if err := ask(t, u, id, json.RawMessage(`{"os-migrateLive":{"host":"`+a+`","block_migration":"auto","force":true}}`)); err != nil {
		t.Fatal(err)
	}
	u.compute.Microversion = version
	settledAs(t, u, id, "ACTIVE")
	has("a forced one", n)
	if at() != a {
		t.Error("it has not moved back")
	}
	do("a rebuild", object{"rebuild": object{"imageRef": imageID(t, u)}}, "ACTIVE", n)
	do("shelving", object{"shelve": nil}, "SHELVED_OFFLOADED", 0)
	do("unshelving", object{"unshelve": nil}, "ACTIVE", n)
	a = at()
	c.forceDown(t, a, true)
	do("an evacuation", object{"evacuate": object{}}, "ACTIVE", n)
	c.forceDown(t, a, false)
	eventually(t, "what was claimed at the old place", func() string {
		if got := c.claims(t, id); strings.Contains(got, a) {
			return got
		}
		return ""
	})
	has("the host's return", n)
	// A device that nobody has called migratable keeps its server where it is.
	was := c.devicesOf(t, other)
	if err := ask(t, u, other, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, other, "ACTIVE")
	if now := c.devicesOf(t, other); now != was {
		t.Errorf("it had %s and has %s", was, now)
	}
	c.devicesAgree(t, id, other)
	deleteAll(t, c, u)
	c.devicesAgree(t)
}

// TestDevicesForOneTime: a device that is for one time only is kept back from everybody
// once it has been given away, until an operator says otherwise to Placement.
func TestDevicesForOneTime(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		carded(c)
		c.PCI.DeviceSpec = []string{`{"vendor_id": "10de", "one_time_use": true, "resource_class": "FAST_CARD", "traits": "BLUE"}`}
	})
	hostsUp(t, c)
	hosts := hostNames(t, c)
	c.published(t, len(hosts))
	flavor := flavorOf(t, c, "card", 1, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "card:1"})
	host := ""
	for range hosts {
		id := bootOf(t, c, flavor)
		settledAs(t, c.admin, id, "ACTIVE")
		c.devicesAgree(t, id)
		host = c.where(t, id).host
		p := c.deviceProviders(t)[host+"_0000:20:00.0"]
		if i := p.inventories[cardClass]; i.Reserved != 1 || i.Total != 1 || !slices.Contains(p.traits, "HW_PCI_ONE_TIME_USE") {
			t.Errorf("while a server has it: %+v", p)
		}
		if err := servers.Delete(t.Context(), c.admin.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
	}
	id := bootOf(t, c, flavor)
	settledAs(t, c.admin, id, "ERROR")
	if s, err := servers.Get(t.Context(), c.admin.compute, id).Extract(); err != nil || !strings.Contains(s.Fault.Details, "without room for 1 "+cardClass) {
		t.Errorf("it is nowhere because: %+v, %v", s.Fault, err)
	}
	p := c.deviceProviders(t)[host+"_0000:20:00.0"]
	var now map[string]any
	c.get(t, c.admin.placement, "/resource_providers/"+p.UUID+"/inventories", &now)
	now["inventories"].(map[string]any)[cardClass].(map[string]any)["reserved"] = 0
	c.must(t, c.admin.placement, "PUT", "resource_providers/"+p.UUID+"/inventories", now, nil)
	id = bootOf(t, c, flavor)
	settledAs(t, c.admin, id, "ACTIVE")
	if got := c.where(t, id).host; got != host {
		t.Errorf("it is on %s, and only %s has a card", got, host)
	}
	// It goes where another one is, and the one that it leaves is kept back; so is
	// the one that it has come for, when it goes back.
	other := c.other(t, host)
	free := func(host string) {
		t.Helper()
		p := c.deviceProviders(t)[host+"_0000:20:00.0"]
		c.get(t, c.admin.placement, "/resource_providers/"+p.UUID+"/inventories", &now)
		now["inventories"].(map[string]any)[cardClass].(map[string]any)["reserved"] = 0
		c.must(t, c.admin.placement, "PUT", "resource_providers/"+p.UUID+"/inventories", now, nil)
	}
	free(other)
	for _, end := range []string{"revertResize", "confirmResize"} {
		if err := ask(t, c.admin, id, object{"migrate": nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, c.admin, id, "VERIFY_RESIZE")
		c.devicesAgree(t, id)
		if err := ask(t, c.admin, id, object{end: nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, c.admin, id, "ACTIVE")
		c.devicesAgree(t, id)
		for _, h := range []string{host, other} {
			if p := c.deviceProviders(t)[h+"_0000:20:00.0"]; p.inventories[cardClass].Reserved != 1 {
				t.Errorf("after %s the card of %s is not kept back", end, h)
			}
		}
		if end == "revertResize" {
			free(other)
		}
	}
	if got := c.where(t, id).host; got != other {
		t.Errorf("it is on %s, want %s", got, other)
	}
}

// TestDevicesNearNodes: with Placement, too, a guest's NUMA nodes go where its devices
// are, and claimed is what is near; a policy that cannot be kept refuses, and says why.
func TestDevicesNearNodes(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) {
		carded(c)
		c.Fake.NUMANodes = 4 // a card on each of the first two
		c.PCI.Alias = append(c.PCI.Alias, `{"name": "near", "vendor_id": "8086", "product_id": "1520", "numa_policy": "required"}`)
	})
	hostsUp(t, c)
	hosts := hostNames(t, c)
	c.published(t, 3*len(hosts))
	near := flavorOf(t, c, "near", 2, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "near:2", "hw:numa_nodes": "1"})
	var ids []string
	nodes := map[string]bool{}
	for range 2 * len(hosts) {
		id := bootOf(t, c, near)
		settledAs(t, c.admin, id, "ACTIVE")
		ids = append(ids, id)
		g := guestsHold(t, c)[id]
		for _, d := range g.hold.Devices {
			if len(g.hold.Cells) != 1 || g.hold.Cells[0].HostCell != d.Cell {
				t.Errorf("its node is %+v, and a device on %d", g.hold.Cells, d.Cell)
			}
		}
		nodes[fmt.Sprint(g.host, g.hold.Cells[0].HostCell)] = true
	}
	if len(nodes) != 2*len(hosts) {
		t.Errorf("they are on %v", nodes)
	}
	c.devicesAgree(t, ids...)
	for _, id := range ids[:2] { // whose devices are on two hosts, or on two nodes of one
		if err := servers.Delete(t.Context(), c.admin.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
	}
	four := flavorOf(t, c, "four", 2, 64, flavors.ExtraSpecsOpts{"pci_passthrough:alias": "near:3", "hw:numa_nodes": "1"})
	id := bootOf(t, c, four)
	s := settledAs(t, c.admin, id, "ERROR")
	if !strings.Contains(s.Fault.Message, "devices of alias near") {
		t.Errorf("it is nowhere because: %s", s.Fault.Message)
	}
	c.devicesAgree(t, append(ids[2:], id)...)
}

// TestDevicesGoWithTheirHost: a compute service that is deleted takes the providers of
// its devices along, and tells them anew when it is back.
func TestDevicesGoWithTheirHost(t *testing.T) {
	c := oneWith(t, carded)
	hostsUp(t, c)
	hosts := hostNames(t, c)
	before := c.published(t, 3*len(hosts))
	if err := c.send(t, c.admin.compute, "DELETE", "os-services/"+c.service(t, hosts[0]), nil, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the devices of the new service", func() string {
		now := c.deviceProviders(t)
		for name, p := range before {
			if came := now[name]; (came.UUID == p.UUID) == strings.HasPrefix(name, hosts[0]+"_") || came.UUID == "" {
				return fmt.Sprintf("%s was %s and is %s", name, p.UUID, came.UUID)
			}
		}
		return ""
	})
	if _, err := servers.Get(t.Context(), c.admin.compute, bootOf(t, c, "1")).Extract(); err != nil {
		t.Fatal(err)
	}
	settled(t, c.admin)
}
