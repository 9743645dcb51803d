package cloud

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// TestNetworksAreLaidOutForServers: a user who has no network and asks for "auto"
// gets one; where it cannot be laid out, the answer says what is missing.
func TestNetworksAreLaidOutForServers(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := newUser(t, c, "newcomer")
		compute := *u.compute
		compute.Microversion = "2.37"
		boot := func() (string, error) {
			s, err := servers.Create(t.Context(), &compute, servers.CreateOpts{Name: "auto", FlavorRef: "1", ImageRef: imageID(t, u), Networks: "auto"}, nil).Extract()
			if err != nil {
				return "", err
			}
			return s.ID, nil
		}
		if _, err := boot(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
			t.Fatalf("without a default pool: %v", err)
		}
		c.must(t, c.admin.network, "POST", "v2.0/subnetpools", object{"subnetpool": object{"name": "pool", "prefixes": []string{"10.200.0.0/16"}, "default_prefixlen": 24, "is_default": true}}, nil)
		c.must(t, c.admin.network, "PUT", "v2.0/networks/"+networkID(t, c.admin, "public"), object{"network": object{"is_default": true}}, nil)
		for range 2 { // the second finds what was laid out for the first
			id, err := boot()
			if err != nil {
				t.Fatal(err)
			}
			s := awaitStatus(t, u, id, "ACTIVE")
			if _, ok := s.Addresses["auto_allocated_network"]; !ok || len(s.Addresses) != 1 {
				t.Errorf("the server's addresses are %v", s.Addresses)
			}
		}
	})
}
