package cloud

import (
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/services"
	"github.com/gophercloud/gophercloud/v2/openstack/placement/v1/resourceproviders"
)

// A host that is disabled and enabled again at once is offered to servers, however
// soon after each other Placement was told of both.
func TestHostEnabledAtOnce(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	compute, placement := *c.admin.compute, *c.admin.placement
	compute.Microversion, placement.Microversion = "2.53", "1.39"
	pages, err := services.List(&compute, services.ListOpts{Binary: "nova-compute"}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := services.ExtractServices(pages)
	if err != nil || len(all) == 0 {
		t.Fatalf("%d services, %v", len(all), err)
	}
	providers, err := resourceproviders.List(&placement, resourceproviders.ListOpts{Name: all[0].Host}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := resourceproviders.ExtractResourceProviders(providers)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d providers of %s, %v", len(found), all[0].Host, err)
	}
	for _, tt := range []struct {
		status   services.ServiceStatus
		disabled bool
	}{{services.ServiceDisabled, true}, {services.ServiceEnabled, false}} {
		if _, err := services.Update(t.Context(), &compute, all[0].ID, services.UpdateOpts{Status: tt.status}).Extract(); err != nil {
			t.Fatal(err)
		}
		traits, err := resourceproviders.GetTraits(t.Context(), &placement, found[0].UUID).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(traits.Traits, "COMPUTE_STATUS_DISABLED") != tt.disabled {
			t.Errorf("%s: the provider's traits are %v", tt.status, traits.Traits)
		}
	}
}
