package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// TestAnotherProjectSeesNothing has a member of another project try to read and
// to change what is demo's, by each operation on one thing.
func TestAnotherProjectSeesNothing(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		server := boot(t, c, c.demo, "mine").ID
		network := networkID(t, c.demo, "private")
		port, err := ports.Create(t.Context(), c.demo.network, ports.CreateOpts{NetworkID: network}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		image, err := images.Create(t.Context(), c.demo.image, images.CreateOpts{Name: "mine", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keypairs.Create(t.Context(), c.demo.compute, keypairs.CreateOpts{Name: "mine"}).Extract(); err != nil {
			t.Fatal(err)
		}
		first := func(path, list string) string {
			a := c.do(t.Context(), t, request{service: "network", method: "GET", path: path, token: c.demo.provider.Token()})
			var all map[string][]struct{ ID string }
			if err := json.Unmarshal(a.body, &all); err != nil || len(all[list]) == 0 {
				t.Fatalf("%s: %s, %v", path, a.body, err)
			}
			return all[list][0].ID
		}
		subnet, router, group := first("/v2.0/subnets?network_id="+network, "subnets"), first("/v2.0/routers", "routers"), first("/v2.0/security-groups", "security_groups")
		stranger := newUser(t, c, "stranger")
		before := openRows(t, c.folders()...)
		stranger.network.Get(t.Context(), stranger.network.ServiceURL("security-groups"), nil, &gophercloud.RequestOpts{}) // makes the project's default group
		counted := before.quiet(t)
		s := "/v2.1/servers/" + server
		for _, try := range []struct{ service, method, path, body string }{
			{"compute", "GET", s, ""}, {"compute", "PUT", s, `{"server": {"name": "x"}}`}, {"compute", "DELETE", s, ""},
			{"compute", "POST", s + "/action", `{"os-stop": null}`}, {"compute", "POST", s + "/action", `{"reboot": {"type": "HARD"}}`},
			{"compute", "POST", s + "/action", `{"os-getConsoleOutput": {}}`}, {"compute", "POST", s + "/action", `{"addSecurityGroup": {"name": "default"}}`},
			{"compute", "GET", s + "/metadata", ""}, {"compute", "POST", s + "/metadata", `{"metadata": {"a": "b"}}`}, {"compute", "GET", s + "/ips", ""},
			{"compute", "GET", s + "/os-interface", ""}, {"compute", "POST", s + "/os-interface", `{"interfaceAttachment": {}}`},
			{"compute", "DELETE", s + "/os-interface/" + port.ID, ""}, {"compute", "GET", s + "/os-instance-actions", ""}, {"compute", "GET", s + "/os-security-groups", ""},
			{"compute", "GET", "/v2.1/os-keypairs/mine", ""}, {"compute", "DELETE", "/v2.1/os-keypairs/mine", ""},
			{"compute", "POST", "/v2.1/servers", `{"server": {"name": "x", "flavorRef": "1", "imageRef": "` + image.ID + `", "networks": []}}`},
			{"compute", "POST", "/v2.1/servers", fmt.Sprintf(`{"server": {"name": "x", "flavorRef": "1", "imageRef": %q, "networks": [{"uuid": %q}]}}`, imageID(t, c.demo), network)},
			{"compute", "POST", "/v2.1/servers", fmt.Sprintf(`{"server": {"name": "x", "flavorRef": "1", "imageRef": %q, "networks": [{"port": %q}]}}`, imageID(t, c.demo), port.ID)},
			{"image", "GET", "/v2/images/" + image.ID, ""}, {"image", "DELETE", "/v2/images/" + image.ID, ""}, {"image", "GET", "/v2/images/" + image.ID + "/file", ""},
			{"image", "PUT", "/v2/images/" + image.ID + "/file", "data"}, {"image", "POST", "/v2/images/" + image.ID + "/members", `{"member": "x"}`},
			{"network", "GET", "/v2.0/networks/" + network, ""}, {"network", "PUT", "/v2.0/networks/" + network, `{"network": {"name": "x"}}`}, {"network", "DELETE", "/v2.0/networks/" + network, ""},
			{"network", "GET", "/v2.0/subnets/" + subnet, ""}, {"network", "DELETE", "/v2.0/subnets/" + subnet, ""}, {"network", "GET", "/v2.0/ports/" + port.ID, ""},
			{"network", "PUT", "/v2.0/ports/" + port.ID, `{"port": {"name": "x"}}`}, {"network", "DELETE", "/v2.0/ports/" + port.ID, ""}, {"network", "POST", "/v2.0/ports", `{"port": {"network_id": "` + network + `"}}`},
			{"network", "GET", "/v2.0/routers/" + router, ""}, {"network", "DELETE", "/v2.0/routers/" + router, ""}, {"network", "PUT", "/v2.0/routers/" + router + "/add_router_interface", `{"subnet_id": "` + subnet + `"}`},
			{"network", "GET", "/v2.0/security-groups/" + group, ""}, {"network", "DELETE", "/v2.0/security-groups/" + group, ""},
			{"network", "POST", "/v2.0/security-group-rules", `{"security_group_rule": {"security_group_id": "` + group + `", "direction": "ingress"}}`},
			{"identity", "GET", "/v3/users", ""}, {"identity", "POST", "/v3/projects", `{"project": {"name": "x"}}`}, {"placement", "GET", "/resource_providers", ""},
			{"placement", "GET", "/allocations/" + server, ""}, {"compute", "GET", "/v2.1/os-services", ""}, {"compute", "GET", "/v2.1/os-hypervisors", ""},
			{"compute", "GET", "/v2.1/servers/detail?all_tenants=1", ""}, {"compute", "POST", "/v2.1/os-server-external-events", `{"events": [{"name": "network-changed", "server_uuid": "` + server + `"}]}`},
		} {
			header := map[string]string{}
			if try.body == "data" {
				header["Content-Type"] = "application/octet-stream"
			}
			var body []byte
			if try.body != "" {
				body = []byte(try.body)
			}
			a := c.do(t.Context(), t, request{service: try.service, method: try.method, path: try.path, body: body, token: stranger.provider.Token(), header: header})
			if a.status != http.StatusNotFound && a.status != http.StatusForbidden && !(a.status == http.StatusBadRequest && strings.HasSuffix(try.path, "/servers")) {
				t.Errorf("%s %s: %d %s", try.method, try.path, a.status, a.body)
			}
			if strings.Contains(string(a.body), `"mine"`) {
				t.Errorf("%s %s tells a name: %s", try.method, try.path, a.body)
			}
		}
		for service, lists := range map[string][]string{"compute": {"/v2.1/servers/detail", "/v2.1/servers?name=mine", "/v2.1/servers/detail?project_id=" + c.demo.project, "/v2.1/os-keypairs"}, "image": {"/v2/images?name=mine"},
			"network": {"/v2.0/ports?device_id=" + server, "/v2.0/networks?name=private", "/v2.0/routers", "/v2.0/subnets?name=private"}} {
			for _, list := range lists {
				a := c.do(t.Context(), t, request{service: service, method: "GET", path: list, token: stranger.provider.Token()})
				if a.status != http.StatusOK || strings.Contains(string(a.body), `"id"`) || strings.Contains(string(a.body), `"mine"`) {
					t.Errorf("%s: %d %s", list, a.status, a.body)
				}
			}
		}
		if d := difference(counted, before.quiet(t)); d != "" {
			t.Errorf("rows have changed: %s", d)
		}
		if awaitStatus(t, c.demo, server, "ACTIVE").Name != "mine" {
			t.Error("the server was changed")
		}
	})
}

// atOnce runs n calls at the same moment and returns how many succeeded; each
// other must fail with one of the codes.
func atOnce(t *testing.T, n int, codes []int, call func() error) int {
	t.Helper()
	var gate, all sync.WaitGroup
	var well atomic.Int32
	gate.Add(1)
	for range n {
		all.Go(func() {
			gate.Wait()
			err := call()
			if err == nil {
				well.Add(1)
				return
			}
			for _, code := range codes {
				if gophercloud.ResponseCodeIs(err, code) {
					return
				}
			}
			t.Errorf("it failed otherwise than by its limit: %v", err)
		})
	}
	gate.Done()
	all.Wait()
	return int(well.Load())
}

// TestQuotaIsStrict asks for 40 servers at once where 10 are allowed, and for
// servers whose cores are the limit.
func TestQuotaIsStrict(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		_, project := whose(t, c.demo)
		for _, tt := range []struct {
			quota  quotasets.UpdateOpts
			flavor string
			want   int
		}{{quotasets.UpdateOpts{Instances: ptr(10)}, "1", 10}, {quotasets.UpdateOpts{Instances: ptr(-1), Cores: ptr(17)}, "6", 4}, {quotasets.UpdateOpts{Instances: ptr(-1), Cores: ptr(-1), RAM: ptr(1000)}, "3", 1}} {
			if _, err := quotasets.Update(t.Context(), c.admin.compute, project, tt.quota).Extract(); err != nil {
				t.Fatal(err)
			}
			opts := servers.CreateOpts{Name: "many", FlavorRef: tt.flavor, ImageRef: imageID(t, c.demo), Networks: []servers.Network{{UUID: networkID(t, c.demo, "private")}}}
			got := atOnce(t, 40, []int{403}, func() error {
				_, err := servers.Create(t.Context(), c.demo.compute, opts, nil).Extract()
				return err
			})
			if all := allServers(t, c.demo); got != tt.want || len(all) != tt.want {
				t.Errorf("%+v: %d of 40 were promised and %d are there, want %d", tt.quota, got, len(all), tt.want)
			}
			deleteAll(t, c, c.demo)
		}
	})
}

func allServers(t *testing.T, u *user) []servers.Server {
	t.Helper()
	pages, err := servers.List(u.compute, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := servers.ExtractServers(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// deleteAll deletes a user's servers, at whatever moment of their lives, and sees
// that nothing of them is left.
func deleteAll(t *testing.T, c *cloud, u *user) {
	t.Helper()
	all := allServers(t, u)
	for _, s := range all {
		if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Fatal(err)
		}
	}
	for _, s := range all {
		gone(t, c, s.ID)
	}
}
