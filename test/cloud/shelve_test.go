package cloud

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"kilonova/stack"
)

func TestShelve(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "shelved")
		if err := servers.Shelve(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		idle(t, u, s.ID, "SHELVED_OFFLOADED")
		off, err := servers.Get(t.Context(), c.admin.compute, s.ID).Extract()
		if err != nil || off.Host != "" || len(off.Addresses["private"].([]any)) != 1 {
			t.Errorf("%+v, %v", off, err)
		}
		pages, err := images.List(u.image, images.ListOpts{Name: "shelved-shelved"}).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all, err := images.ExtractImages(pages)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d images of the shelved server, %v", len(all), err)
		}
		wantCode(t, "a user chooses the host", act(t, u.at("2.91"), s.ID, map[string]any{"unshelve": map[string]any{"host": "dev-2"}}, nil), http.StatusForbidden)
		wantCode(t, "a zone that is none", act(t, u.at("2.77"), s.ID, map[string]any{"unshelve": map[string]any{"availability_zone": "moon"}}, nil), http.StatusBadRequest)
		for range 2 {
			host := c.config.Host + "-2"
			if err := act(t, c.admin.at("2.91"), s.ID, map[string]any{"unshelve": map[string]any{"host": host}}, nil); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "ACTIVE")
			on, err := servers.Get(t.Context(), c.admin.compute, s.ID).Extract()
			if err != nil || on.Host != host {
				t.Fatalf("it is on %s, %v", on.Host, err)
			}
			if err := servers.Shelve(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "SHELVED_OFFLOADED")
		}
		_, err = images.Get(t.Context(), u.image, all[0].ID).Extract()
		wantCode(t, "the image of an unshelved server", err, http.StatusNotFound)
		if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, s.ID)
	})
}

func TestRestore(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) { c.Default.ReclaimInterval = 3600 })
	hostsUp(t, c)
	u := c.demo
	s := boot(t, c, u, "deleted too soon")
	if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	idle(t, u, s.ID, "SOFT_DELETED")
	pages, err := servers.List(u.compute, servers.ListOpts{}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if list, err := servers.ExtractServers(pages); err != nil || len(list) != 0 {
		t.Errorf("a deleted server is listed: %v, %v", list, err)
	}
	if err := act(t, u.compute, s.ID, map[string]any{"restore": nil}, nil); err != nil {
		t.Fatal(err)
	}
	if s := idle(t, u, s.ID, "ACTIVE"); s.PowerState != servers.RUNNING {
		t.Errorf("%+v", s)
	}
	if err := servers.ForceDelete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	gone(t, c, s.ID)
}
