package cloud

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/limits"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"kilonova/stack"
)

// The image service asks the identity service for a project's limits.
func TestUnifiedLimitsOfImages(t *testing.T) {
	use := func(c *stack.Config) { c.Image.UseKeystoneLimits = true }
	for name, start := range map[string]func(*testing.T) *cloud{
		"one":   func(t *testing.T) *cloud { return oneWith(t, use) },
		"split": func(t *testing.T) *cloud { return splitWith(t, use) },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			ctx, u := t.Context(), c.demo
			hostsUp(t, c)
			server := boot(t, c, u, "limited").ID
			project := ""
			creates := func(want int) {
				t.Helper()
				made, err := images.Create(ctx, u.image, images.CreateOpts{Name: "limited", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
				if want == http.StatusCreated && err != nil || want != http.StatusCreated && !gophercloud.ResponseCodeIs(err, want) {
					t.Errorf("%v, want %d", err, want)
				}
				if err == nil {
					project = made.Owner
				}
			}
			pages, err := services.List(c.admin.identity, services.ListOpts{ServiceType: "image"}).AllPages(ctx)
			if err != nil {
				t.Fatal(err)
			}
			glance, err := services.ExtractServices(pages)
			if err != nil || len(glance) != 1 {
				t.Fatal(glance, err)
			}
			creates(http.StatusCreated) // of the hundred that the harness's filling of the cloud has registered
			made, err := limits.BatchCreate(ctx, c.admin.identity, limits.BatchCreateOpts{{ServiceID: glance[0].ID, RegionID: "RegionOne", ProjectID: project,
				ResourceName: "image_count_total", ResourceLimit: 1}}).Extract()
			if err != nil {
				t.Fatal(err)
			}
			creates(http.StatusRequestEntityTooLarge)
			// Compute says it in its own way, and the server is as it was.
			_, err = servers.CreateImage(ctx, u.compute, server, servers.CreateImageOpts{Name: "one too many"}).ExtractImageID()
			if !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
				t.Error(err)
			}
			if s, err := servers.Get(ctx, u.compute, server).Extract(); err != nil || s.Status != "ACTIVE" || s.TaskState != "" {
				t.Errorf("%+v, %v", s, err)
			}
			none := -1
			if _, err := limits.Update(ctx, c.admin.identity, made[0].ID, limits.UpdateOpts{ResourceLimit: &none}).Extract(); err != nil {
				t.Fatal(err)
			}
			creates(http.StatusCreated)
			if _, err := servers.CreateImage(ctx, u.compute, server, servers.CreateImageOpts{Name: "one more"}).ExtractImageID(); err != nil {
				t.Error(err)
			}
		})
	}
}
