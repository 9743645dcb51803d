package cloud

import (
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/aggregates"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/availabilityzones"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
)

// TestZonesAreAggregates makes a zone of one of two hosts, puts servers in it, and
// sees that neither can be taken away from under them.
func TestZonesAreAggregates(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		ctx, admin := t.Context(), c.admin.compute
		hosts := hostNames(t, c)
		north, err := aggregates.Create(ctx, admin, aggregates.CreateOpts{Name: "north", AvailabilityZone: "north"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		south, err := aggregates.Create(ctx, admin, aggregates.CreateOpts{Name: "south", AvailabilityZone: "south"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := aggregates.Create(ctx, admin, aggregates.CreateOpts{Name: "north"}).Extract(); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a second aggregate of the name: %v", err)
		}
		if a, err := aggregates.AddHost(ctx, admin, north.ID, aggregates.AddHostOpts{Host: hosts[1]}).Extract(); err != nil || len(a.Hosts) != 1 {
			t.Fatal(a, err)
		}
		for what, bad := range map[string]struct {
			call func() error
			code int
		}{
			"the host again":   {func() error { return addHost(t, c, north.ID, hosts[1]) }, 409},
			"a second zone":    {func() error { return addHost(t, c, south.ID, hosts[1]) }, 409},
			"no such host":     {func() error { return addHost(t, c, south.ID, "nobody") }, 404},
			"no such one":      {func() error { return addHost(t, c, 99, hosts[0]) }, 404},
			"with hosts":       {func() error { return aggregates.Delete(ctx, admin, north.ID).ExtractErr() }, 400},
			"an empty zone":    {func() error { return setMetadata(t, c, north.ID, "availability_zone", "") }, 400},
			"for a user":       {func() error { return aggregates.Delete(ctx, c.demo.compute, south.ID).ExtractErr() }, 403},
			"another's region": {func() error { return setMetadata(t, c, 99, "a", "b") }, 404},
		} {
			if err := bad.call(); !gophercloud.ResponseCodeIs(err, bad.code) {
				t.Errorf("%s: %v, want %d", what, err, bad.code)
			}
		}
		mirrored(t, c, hosts[1], 1)
		pages, err := availabilityzones.List(c.demo.compute).AllPages(ctx)
		if err != nil {
			t.Fatal(err)
		}
		zones, err := availabilityzones.ExtractAvailabilityZones(pages)
		if err != nil || len(zones) != 2 {
			t.Errorf("%+v, %v", zones, err)
		}
		for range 3 {
			s := bootIn(t, c, "north", nil)
			if s.Host != hosts[1] || s.AvailabilityZone != "north" {
				t.Errorf("on %s in %s", s.Host, s.AvailabilityZone)
			}
		}
		for what, err := range map[string]error{
			"renamed": setMetadata(t, c, north.ID, "availability_zone", "elsewhere"),
			"removed": aggregates.RemoveHost(ctx, admin, north.ID, aggregates.RemoveHostOpts{Host: hosts[1]}).Err,
		} {
			if err == nil || !strings.Contains(err.Error(), "contain instances in this zone") {
				t.Errorf("a zone with servers was %s: %v", what, err)
			}
		}
		deleteAll(t, c, c.admin)
		if _, err := aggregates.RemoveHost(ctx, admin, north.ID, aggregates.RemoveHostOpts{Host: hosts[1]}).Extract(); err != nil {
			t.Error(err)
		}
		mirrored(t, c, hosts[1], 0)
		if err := aggregates.Delete(ctx, admin, north.ID).ExtractErr(); err != nil {
			t.Error(err)
		}
	})
}

// TestFlavorsAskPlacement has a flavor ask for a resource of a provider below one
// of the hosts: there is one, so that one server gets it.
func TestFlavorsAskPlacement(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		ctx, hosts := t.Context(), hostNames(t, c)
		p := c.admin.placement
		p.Microversion = "1.36"
		put := func(path string, body any) {
			t.Helper()
			if _, err := p.Put(ctx, p.ServiceURL(path), body, nil, &gophercloud.RequestOpts{OkCodes: []int{200, 201, 204}}); err != nil {
				t.Fatal(err)
			}
		}
		put("resource_classes/CUSTOM_GEM", nil)
		put("traits/CUSTOM_RED", nil)
		child, err := resourceproviders.Create(ctx, p, resourceproviders.CreateOpts{Name: "gems", ParentProviderUUID: providerOf(t, c, hosts[1])}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		put("resource_providers/"+child.UUID+"/inventories", map[string]any{"resource_provider_generation": 0, "inventories": map[string]any{"CUSTOM_GEM": map[string]int{"total": 1}}})
		put("resource_providers/"+child.UUID+"/traits", map[string]any{"resource_provider_generation": 1, "traits": []string{"CUSTOM_RED"}})
		f, err := flavors.Create(ctx, c.admin.compute, flavors.CreateOpts{Name: "gem", RAM: 64, VCPUs: 1, Disk: ptr(1)}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		specs := flavors.ExtraSpecsOpts{"resources1:CUSTOM_GEM": "1", "trait1:CUSTOM_RED": "required"}
		if _, err := flavors.CreateExtraSpecs(ctx, c.admin.compute, f.ID, specs).Extract(); err != nil {
			t.Fatal(err)
		}
		first := bootOf(t, c, f.ID)
		if s := awaitStatus(t, c.admin, first, "ACTIVE"); s.Host != hosts[1] {
			t.Errorf("it is on %s", s.Host)
		}
		var use struct{ Usages map[string]int }
		if _, err := p.Get(ctx, p.ServiceURL("resource_providers", child.UUID, "usages"), &use, nil); err != nil || use.Usages["CUSTOM_GEM"] != 1 {
			t.Errorf("%v, %v", use, err)
		}
		awaitStatus(t, c.admin, bootOf(t, c, f.ID), "ERROR")
		deleteAll(t, c, c.admin)
		awaitStatus(t, c.admin, bootOf(t, c, f.ID), "ACTIVE")
		deleteAll(t, c, c.admin)
	})
}

func addHost(t *testing.T, c *cloud, id int, host string) error {
	return aggregates.AddHost(t.Context(), c.admin.compute, id, aggregates.AddHostOpts{Host: host}).Err
}

func setMetadata(t *testing.T, c *cloud, id int, key, value string) error {
	return aggregates.SetMetadata(t.Context(), c.admin.compute, id, aggregates.SetMetadataOpts{Metadata: map[string]any{key: value}}).Err
}

// hostNames lists the compute hosts.
func hostNames(t *testing.T, c *cloud) []string {
	t.Helper()
	var out struct {
		Hypervisors []struct{ Service struct{ Host string } }
	}
	if _, err := c.admin.compute.Get(t.Context(), c.admin.compute.ServiceURL("os-hypervisors", "detail"), &out, nil); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range out.Hypervisors {
		names = append(names, h.Service.Host)
	}
	slices.Sort(names)
	return names
}

func providerOf(t *testing.T, c *cloud, host string) string {
	t.Helper()
	pages, err := resourceproviders.List(c.admin.placement, resourceproviders.ListOpts{Name: host}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := resourceproviders.ExtractResourceProviders(pages)
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].UUID
}

// mirrored sees in how many of Placement's aggregates a host is.
func mirrored(t *testing.T, c *cloud, host string, want int) {
	t.Helper()
	c.admin.placement.Microversion = "1.36"
	var out struct{ Aggregates []string }
	id := providerOf(t, c, host)
	if _, err := c.admin.placement.Get(t.Context(), c.admin.placement.ServiceURL("resource_providers", id, "aggregates"), &out, nil); err != nil || len(out.Aggregates) != want {
		t.Errorf("Placement knows %v of %s, %v; want %d", out.Aggregates, host, err, want)
	}
}

// bootIn has the administrator boot a server in a zone.
func bootIn(t *testing.T, c *cloud, zone string, hints servers.SchedulerHintOptsBuilder) *servers.Server {
	t.Helper()
	s, err := servers.Create(t.Context(), c.admin.compute, servers.CreateOpts{Name: "zoned", FlavorRef: "1", ImageRef: imageID(t, c.admin), AvailabilityZone: zone,
		Networks: []servers.Network{{UUID: networkID(t, c.admin, "private")}}}, hints).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return awaitStatus(t, c.admin, s.ID, "ACTIVE")
}

func bootOf(t *testing.T, c *cloud, flavor string) string {
	t.Helper()
	s, err := servers.Create(t.Context(), c.admin.compute, servers.CreateOpts{Name: "gem", FlavorRef: flavor, ImageRef: imageID(t, c.admin),
		Networks: []servers.Network{{UUID: networkID(t, c.admin, "private")}}}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}
