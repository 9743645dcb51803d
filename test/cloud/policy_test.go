package cloud

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
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
