package cloud

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/services"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
)

func imageID(t *testing.T, u *user) string {
	t.Helper()
	pages, err := images.List(u.image, images.ListOpts{Name: "cirros"}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := images.ExtractImages(pages)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d images, %v", len(all), err)
	}
	return all[0].ID
}

func networkID(t *testing.T, u *user, name string) string {
	t.Helper()
	pages, err := networks.List(u.network, networks.ListOpts{Name: name}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d networks %s, %v", len(all), name, err)
	}
	return all[0].ID
}

// hostsUp waits until the agents have told what they have.
func hostsUp(t *testing.T, c *cloud) {
	t.Helper()
	eventually(t, "hosts", func() string {
		pages, err := services.List(c.admin.compute, services.ListOpts{Binary: "nova-compute"}).AllPages(t.Context())
		if err != nil {
			return err.Error()
		}
		all, err := services.ExtractServices(pages)
		if err != nil || len(all) != 2 {
			return fmt.Sprint(len(all), " hosts, ", err)
		}
		p, err := resourceproviders.List(c.admin.placement, nil).AllPages(t.Context())
		if err != nil {
			return err.Error()
		}
		providers, err := resourceproviders.ExtractResourceProviders(p)
		providers = slices.DeleteFunc(providers, func(p resourceproviders.ResourceProvider) bool { return p.ParentProviderUUID != "" })
		if err != nil || len(providers) != 2 {
			return fmt.Sprint(len(providers), " providers, ", err)
		}
		return ""
	})
}

func boot(t *testing.T, c *cloud, u *user, name string) *servers.Server {
	t.Helper()
	s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: name, FlavorRef: "1", ImageRef: imageID(t, u),
		Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, Metadata: map[string]string{"role": "test"}}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return awaitStatus(t, u, s.ID, "ACTIVE")
}

func awaitStatus(t *testing.T, u *user, id, status string) *servers.Server {
	t.Helper()
	var s *servers.Server
	eventually(t, "server "+id, func() string {
		var err error
		if s, err = servers.Get(t.Context(), u.compute, id).Extract(); err != nil {
			return err.Error()
		}
		if s.Status == "ERROR" && status != "ERROR" {
			t.Fatalf("server is in error: %+v", s.Fault)
		}
		if s.Status != status {
			return "is " + s.Status
		}
		return ""
	})
	return s
}

func TestServerLife(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "first")
		if len(s.Addresses["private"].([]any)) != 1 || s.Metadata["role"] != "test" || s.PowerState != servers.RUNNING {
			t.Fatalf("%+v", s)
		}
		for _, step := range []struct {
			do     func() error
			status string
		}{
			{func() error { return servers.Stop(t.Context(), u.compute, s.ID).ExtractErr() }, "SHUTOFF"},
			{func() error { return servers.Start(t.Context(), u.compute, s.ID).ExtractErr() }, "ACTIVE"},
			{func() error {
				return servers.Reboot(t.Context(), u.compute, s.ID, servers.RebootOpts{Type: servers.SoftReboot}).ExtractErr()
			}, "ACTIVE"},
			{func() error {
				return servers.Reboot(t.Context(), u.compute, s.ID, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr()
			}, "ACTIVE"},
		} {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
			awaitStatus(t, u, s.ID, step.status)
		}
		if err := servers.Start(t.Context(), u.compute, s.ID).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
			t.Fatalf("start of an active server: %v", err)
		}
		out, err := servers.ShowConsoleOutput(t.Context(), u.compute, s.ID, servers.ShowConsoleOutputOpts{Length: 5}).Extract()
		if err != nil || out == "" {
			t.Fatalf("console %q, %v", out, err)
		}
		if m, err := servers.UpdateMetadata(t.Context(), u.compute, s.ID, servers.MetadataOpts{"a": "b"}).Extract(); err != nil || m["a"] != "b" || m["role"] != "test" {
			t.Fatal(m, err)
		}
		if got, err := servers.Update(t.Context(), u.compute, s.ID, servers.UpdateOpts{Name: "renamed"}).Extract(); err != nil || got.Name != "renamed" {
			t.Fatal(got, err)
		}
		floatTo(t, u, s.ID)
		if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, s.ID)
	})
}

// floatTo gives a server a floating IP and sees it in its addresses.
func floatTo(t *testing.T, u *user, serverID string) {
	t.Helper()
	pages, err := ports.List(u.network, ports.ListOpts{DeviceID: serverID}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := ports.ExtractPorts(pages)
	if err != nil || len(all) != 1 || all[0].Status != "ACTIVE" {
		t.Fatalf("ports %+v, %v", all, err)
	}
	fip, err := floatingips.Create(t.Context(), u.network, floatingips.CreateOpts{FloatingNetworkID: networkID(t, u, "public"), PortID: all[0].ID}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "floating IP", func() string {
		s, err := servers.Get(t.Context(), u.compute, serverID).Extract()
		if err != nil {
			return err.Error()
		}
		if !strings.Contains(fmt.Sprint(s.Addresses), fip.FloatingIP) {
			return fmt.Sprint("addresses are ", s.Addresses)
		}
		return ""
	})
}

// gone sees that nothing of a server is left.
func gone(t *testing.T, c *cloud, id string) {
	t.Helper()
	eventually(t, "delete", func() string {
		if _, err := servers.Get(t.Context(), c.admin.compute, id).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return fmt.Sprint("it is there: ", err)
		}
		return ""
	})
	pages, err := ports.List(c.admin.network, ports.ListOpts{DeviceID: id}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all, err := ports.ExtractPorts(pages); err != nil || len(all) != 0 {
		t.Errorf("%d ports are left, %v", len(all), err)
	}
	var claims struct{ Allocations map[string]any }
	if _, err := c.admin.placement.Get(t.Context(), c.admin.placement.ServiceURL("allocations", id), &claims, nil); err != nil || len(claims.Allocations) != 0 {
		t.Errorf("claims %v, %v", claims, err)
	}
}

func TestManyServersAtOnce(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		const n = 30
		_, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "many", FlavorRef: "1", ImageRef: imageID(t, u), Min: n, Max: n,
			Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		var all []servers.Server
		eventually(t, "servers", func() string {
			pages, err := servers.List(u.compute, servers.ListOpts{Name: "^many-", Limit: 7}).AllPages(t.Context())
			if err != nil {
				return err.Error()
			}
			if all, err = servers.ExtractServers(pages); err != nil {
				return err.Error()
			}
			active := 0
			for _, s := range all {
				if s.Status == "ACTIVE" {
					active++
				} else if s.Status == "ERROR" {
					t.Fatalf("%+v", s.Fault)
				}
			}
			if active != n {
				return fmt.Sprintf("%d of %d are active", active, len(all))
			}
			return ""
		})
		hosts, ips := map[string]int{}, map[string]bool{}
		for _, s := range all {
			hosts[s.HostID]++
			ips[fmt.Sprint(s.Addresses)] = true
		}
		if len(hosts) != 2 || len(ips) != n {
			t.Errorf("%d hosts, %d different addresses", len(hosts), len(ips))
		}
		for _, s := range all {
			if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range all {
			gone(t, c, s.ID)
		}
	})
}

func TestWhatIsRefused(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		image, network := imageID(t, u), networkID(t, u, "private")
		big, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: "huge", RAM: 1 << 24, VCPUs: 1, Disk: ptr(1)}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		for what, tt := range map[string]struct {
			opts servers.CreateOpts
			code int
		}{
			"no such flavor":  {servers.CreateOpts{Name: "x", FlavorRef: "none", ImageRef: image}, 400},
			"no such image":   {servers.CreateOpts{Name: "x", FlavorRef: "1", ImageRef: "6d5b4f5e-0000-4000-8000-000000000000"}, 400},
			"no such network": {servers.CreateOpts{Name: "x", FlavorRef: "1", ImageRef: image, Networks: []servers.Network{{UUID: "6d5b4f5e-0000-4000-8000-000000000000"}}}, 400},
			"too many":        {servers.CreateOpts{Name: "x", FlavorRef: "1", ImageRef: image, Min: 1001, Max: 1001, Networks: []servers.Network{{UUID: network}}}, 400},
			"beyond quota":    {servers.CreateOpts{Name: "x", FlavorRef: big.ID, ImageRef: image, Min: 4, Max: 4, Networks: []servers.Network{{UUID: network}}}, 403},
		} {
			if _, err := servers.Create(t.Context(), u.compute, tt.opts, nil).Extract(); !gophercloud.ResponseCodeIs(err, tt.code) {
				t.Errorf("%s: %v, want %d", what, err, tt.code)
			}
		}
		s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "nowhere", FlavorRef: big.ID, ImageRef: image, Networks: []servers.Network{{UUID: network}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		s = awaitStatus(t, u, s.ID, "ERROR")
		if !strings.Contains(s.Fault.Message, "No valid host was found") || !strings.Contains(s.Fault.Message, "memory") {
			t.Errorf("the fault does not explain itself: %+v", s.Fault)
		}
		if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, s.ID)
		pages, err := servers.List(u.compute, nil).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all, err := servers.ExtractServers(pages); err != nil || len(all) != 0 {
			t.Errorf("%d servers are left, %v", len(all), err)
		}
	})
}

func TestKeypairs(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx6Yk2t8pOjJDLCgVYGtHyOQ0mAGJHUxkEK7VYO6qVn someone"
		u := c.demo
		made, err := keypairs.Create(t.Context(), u.compute, keypairs.CreateOpts{Name: "k", PublicKey: key}).Extract()
		if err != nil || made.Fingerprint == "" {
			t.Fatal(made, err)
		}
		if _, err := keypairs.Create(t.Context(), u.compute, keypairs.CreateOpts{Name: "k", PublicKey: key}).Extract(); !gophercloud.ResponseCodeIs(err, 409) {
			t.Fatal(err)
		}
		if _, err := keypairs.Create(t.Context(), u.compute, keypairs.CreateOpts{Name: "bad", PublicKey: "ssh-rsa nonsense"}).Extract(); !gophercloud.ResponseCodeIs(err, 400) {
			t.Fatal(err)
		}
		if _, err := keypairs.Get(t.Context(), c.admin.compute, "k", nil).Extract(); !gophercloud.ResponseCodeIs(err, 404) {
			t.Fatal("another user sees it:", err)
		}
		if err := keypairs.Delete(t.Context(), u.compute, "k", nil).ExtractErr(); err != nil {
			t.Fatal(err)
		}
	})
}

func ptr[T any](v T) *T { return &v }
