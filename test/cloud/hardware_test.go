package cloud

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestImpossibleHardware: what cannot be is refused when it is asked for, and not
// by the host that cannot make it.
func TestImpossibleHardware(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		compute := *c.admin.compute
		public := true
		f, err := flavors.Create(t.Context(), &compute, flavors.CreateOpts{Name: "three-nodes", RAM: 128, VCPUs: 2, Disk: ptr(1), IsPublic: &public}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		set := func(version, key, value string) error {
			compute.Microversion = version
			_, err := flavors.CreateExtraSpecs(t.Context(), &compute, f.ID, flavors.ExtraSpecsOpts{key: value}).Extract()
			return err
		}
		if err := set("2.86", "hw:numa_nodes", "none"); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
			t.Fatalf("a wrong value at 2.86: %v", err)
		}
		if err := set("2.85", "hw:cpu_thread_policy", "whatever"); err != nil {
			t.Fatalf("before 2.86 anything goes: %v", err)
		}
		boot := func() error {
			_, err := servers.Create(t.Context(), c.demo.compute, servers.CreateOpts{Name: "n", FlavorRef: f.ID, ImageRef: imageID(t, c.demo), Networks: "none"}, nil).Extract()
			return err
		}
		if err := boot(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
			t.Fatalf("a policy that there is not: %v", err)
		}
		if err := set("2.86", "hw:cpu_thread_policy", "prefer"); err != nil {
			t.Fatal(err)
		}
		if err := boot(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
			t.Fatalf("a thread policy without pinned processors: %v", err)
		}
	})
}

// TestImpossibleChanges: the same is refused of a server that changes its flavor or
// its image.
func TestImpossibleChanges(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "s")
		odd := flavorOf(t, c, "odd", 1, 128, flavors.ExtraSpecsOpts{"hw:cpu_thread_policy": "prefer"})
		if err := servers.Resize(t.Context(), u.compute, s.ID, servers.ResizeOpts{FlavorRef: odd}).ExtractErr(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
			t.Errorf("resized to a thread policy without pinned processors: %v", err)
		}
		nodes := upload(t, u, "one node", "raw", "bare", map[string]string{"hw_numa_nodes": "1"}, []byte("a disk"))
		_, err := servers.Rebuild(t.Context(), u.compute, s.ID, servers.RebuildOpts{ImageRef: nodes}).Extract()
		if !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) || !strings.Contains(err.Error(), "NUMA topology cannot be changed") {
			t.Errorf("rebuilt on NUMA nodes: %v", err)
		}
		awaitStatus(t, u, s.ID, "ACTIVE")
	})
}
