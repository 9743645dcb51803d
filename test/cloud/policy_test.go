package cloud

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/hypervisors"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"

	"kilonova/stack"
)

// A policy file changes what users may, of each service for itself, while the
// cloud runs; one that is wrong is not heeded, and at the start refused.
func TestPolicyFilesAreHeededWithoutARestart(t *testing.T) {
	var data string
	c := oneWith(t, func(c *stack.Config) {
		data = c.Data
		c.OsloPolicy.PolicyFile, c.Network.OsloPolicy.PolicyFile = "nova.yaml", "neutron.yaml"
	})
	ask := func() string {
		_, err := hypervisors.List(c.demo.compute, nil).AllPages(t.Context())
		switch {
		case err == nil:
			return "allowed"
		case gophercloud.ResponseCodeIs(err, 403):
			return "forbidden"
		}
		return err.Error()
	}
	if got := ask(); got != "forbidden" {
		t.Fatalf("without a file: %s", got)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(data, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nova.yaml", `"os_compute_api:os-hypervisors:list-detail": "rule:project_reader_api or role:member"`+"\n")
	eventually(t, "rule", func() string { return is("allowed", ask()) })
	write("nova.yaml", "\"os_compute_api:os-hypervisors:list-detail\": \"and\"\n")
	write("neutron.yaml", "\"create_network\": \"!\"\n")
	eventually(t, "the network service's rule", func() string {
		n, err := networks.Create(t.Context(), c.demo.network, networks.CreateOpts{Name: "n"}).Extract()
		if err == nil {
			return "network " + n.ID + " was made"
		}
		return map[bool]string{true: "", false: err.Error()}[gophercloud.ResponseCodeIs(err, 403)]
	})
	if got := ask(); got != "allowed" {
		t.Errorf("after a file that is wrong: %s", got)
	}

	broken := base(t)
	broken.OsloPolicy.PolicyFile = filepath.Join(data, "nova.yaml")
	if s, err := stack.Start(t.Context(), broken, testLog(), time.Now); err == nil {
		s.Close()
		t.Error("a cloud starts with a policy file that is wrong")
	}
}

// What a view of a server shows, whose servers lists have, and which networks new
// servers may have is each a rule of its own.
func TestPoliciesOfServers(t *testing.T) {
	var data string
	c := oneWith(t, func(c *stack.Config) {
		data = c.Data
		c.OsloPolicy.PolicyFile = "nova.yaml"
	})
	hostsUp(t, c)
	id := boot(t, c, c.demo, "s").ID
	type shown struct {
		Status *string `json:"host_status"`
		Flavor struct {
			Specs map[string]string `json:"extra_specs"`
		}
	}
	show := func() shown {
		t.Helper()
		client := *c.demo.compute
		client.Microversion = "2.47"
		var out struct{ Server shown }
		c.must(t, &client, "GET", "servers/"+id, nil, &out)
		return out.Server
	}
	list := func(path string) string {
		err := c.send(t, c.demo.compute, "GET", path+"?all_tenants=1", nil, nil)
		if err != nil && !gophercloud.ResponseCodeIs(err, 403) {
			t.Fatal(err)
		}
		return map[bool]string{true: "allowed", false: "forbidden"}[err == nil]
	}
	if s := show(); s.Status != nil || s.Flavor.Specs == nil || list("servers") != "forbidden" || list("servers/detail") != "forbidden" {
		t.Errorf("without a file: %+v", s)
	}
	flavor, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: "zero", RAM: 64, VCPUs: 1, Disk: new(int)}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	diskless := func(who *user) error {
		client := *who.compute
		client.Microversion = "2.37" // networks: none
		body := object{"server": object{"name": "n", "flavorRef": flavor.ID, "imageRef": imageID(t, who), "networks": "none"}}
		return c.send(t, &client, "POST", "servers", body, nil)
	}
	wantCode(t, "a flavor without disk", diskless(c.demo), 403)
	if err := diskless(c.admin); err != nil {
		t.Errorf("an administrator's: %v", err)
	}
	text := `"os_compute_api:servers:show:host_status": "@"
"os_compute_api:servers:create:zero_disk_flavor": "@"
"os_compute_api:servers:show:flavor-extra-specs": "!"
"os_compute_api:servers:create:attach_network": "!"
"os_compute_api:servers:detail:get_all_tenants": "@"
`
	if err := os.WriteFile(filepath.Join(data, "nova.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "rule", func() string { return is("allowed", list("servers/detail")) })
	if s := show(); s.Status == nil || *s.Status != "UP" || s.Flavor.Specs != nil || list("servers") != "forbidden" {
		t.Errorf("with a file: %+v, lists %s", s, list("servers"))
	}
	if err := diskless(c.demo); err != nil {
		t.Errorf("a flavor without disk, allowed: %v", err)
	}
	body := object{"server": object{"name": "n", "flavorRef": "1", "imageRef": imageID(t, c.demo), "networks": []object{{"uuid": networkID(t, c.demo, "private")}}}}
	wantCode(t, "a network of one's choice", c.send(t, c.demo.compute, "POST", "servers", body, nil), 403)
	body = object{"server": object{"name": "n", "flavorRef": "1", "imageRef": imageID(t, c.demo), "networks": "auto"}}
	client := *c.demo.compute
	client.Microversion = "2.37"
	wantCode(t, "a network that is laid out", c.send(t, &client, "POST", "servers", body, nil), 403)
}
