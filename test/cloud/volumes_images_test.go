package cloud

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"

	"kilonova/test/cinder"
)

// An image of a server that boots from a volume names snapshots, and servers are
// made of it.
func TestImagesOfVolumes(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		agent := map[string]string{"hw_qemu_guest_agent": "yes", "os_require_quiesce": "yes"}
		id := bootVolumesOf(t, u, upload(t, u, "agent", "raw", "bare", agent, make([]byte, 512)))
		made, err := servers.CreateImage(t.Context(), u.compute, id, servers.CreateImageOpts{Name: "image", Metadata: map[string]string{"mine": "yes"}}).ExtractImageID()
		if err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "ACTIVE")
		awaitImage(t, u, made)
		image, err := images.Get(t.Context(), u.image, made).Extract()
		if err != nil {
			t.Fatal(err)
		}
		mapping, _ := image.Properties["block_device_mapping"].(string)
		if image.SizeBytes != 0 || image.Properties["mine"] != "yes" || image.Properties["bdm_v2"] != "True" || image.Properties["root_device_name"] != "/dev/vda" ||
			image.Properties["hw_qemu_guest_agent"] != "yes" || strings.Count(mapping, `"source_type":"snapshot"`) != 2 {
			t.Errorf("the image is %+v", image)
		}
		snapshots := volumes.Snapshots()
		if len(snapshots) != 2 || !strings.Contains(mapping, snapshots[0]) || !strings.Contains(mapping, snapshots[1]) {
			t.Errorf("%s, and snapshots %v", mapping, snapshots)
		}
		if g := c.fakeHosts(t)[c.where(t, id).host].Guests[id]; g.Frozen || g.Freezes != 2 {
			t.Errorf("the guest held still %d times, and does so: %v", g.Freezes, g.Frozen)
		}
		var list struct{ InstanceActions []struct{ Action string } }
		c.get(t, u.compute, "/servers/"+id+"/os-instance-actions", &list)
		if len(list.InstanceActions) != 2 || list.InstanceActions[0].Action != "createImage" {
			t.Errorf("the history is %+v", list)
		}
		wantCode(t, "a backup", servers.CreateImage(t.Context(), u.compute, "none", servers.CreateImageOpts{Name: "x"}).Err, 404)
		wantCode(t, "a backup", ask(t, u, id, map[string]any{"createBackup": map[string]any{"name": "b", "backup_type": "daily", "rotation": 1}}), 400)
		goneServer(t, u, id)

		networks := []servers.Network{{UUID: networkID(t, u, "private")}}
		again, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "again", FlavorRef: "1", ImageRef: made, Networks: networks}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "server of the image", statusOf(t, u, again.ID))
		eventually(t, "its volumes", func() string { return c.heldAt(t, volumes, again.ID, c.where(t, again.ID).host) })
		goneServer(t, u, again.ID)
		if left := volumes.Left(); len(left) != 2 { // the first server's, which have snapshots
			t.Errorf("left are %v", left)
		}
		// one disk of the image left out
		opts := map[string]any{"server": map[string]any{"name": "less", "flavorRef": "1", "imageRef": made, "networks": []any{map[string]any{"uuid": networks[0].UUID}},
			"block_device_mapping_v2": []any{map[string]any{"device_name": "/dev/vdb", "no_device": true}}}}
		var less struct{ Server struct{ ID string } }
		if _, err := u.compute.Post(t.Context(), u.compute.ServiceURL("servers"), opts, &less, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "server with less", statusOf(t, u, less.Server.ID))
		if s, err := servers.Get(t.Context(), u.compute, less.Server.ID).Extract(); err != nil || len(s.AttachedVolumes) != 1 {
			t.Errorf("without a disk of the image: %+v, %v", s, err)
		}
		goneServer(t, u, less.Server.ID)
	})
}

// What fails while an image of volumes is made leaves nothing.
func TestImagesOfVolumesThatFail(t *testing.T) {
	c, volumes := faultyVolumes(t)
	u := c.demo
	strict := bootVolumesOf(t, u, upload(t, u, "strict", "raw", "bare", map[string]string{"os_require_quiesce": "yes"}, make([]byte, 512)))
	before := countImages(t, u)
	wantCode(t, "of a guest that cannot hold still", servers.CreateImage(t.Context(), u.compute, strict, servers.CreateImageOpts{Name: "x"}).Err, 400)
	idle(t, u, strict, "ACTIVE")
	goneServer(t, u, strict)
	id := bootWithVolumes(t, u)
	for name, f := range map[string]cinder.Fault{
		"first":            {Operation: "POST /snapshots", Times: 1, Status: 400},
		"second":           {Operation: "POST /snapshots", Skip: 1, Times: 1, Status: 400},
		"lost, then taken": {Operation: "GET /volumes/{id}", Skip: 1, Times: 1, Status: 400},
	} {
		withdraw := volumes.Inject(f)
		if err := servers.CreateImage(t.Context(), u.compute, id, servers.CreateImageOpts{Name: name}).Err; err == nil {
			t.Errorf("%s: the image is made", name)
		}
		if withdraw() != 1 {
			t.Errorf("%s: nothing failed", name)
		}
		idle(t, u, id, "ACTIVE")
		eventually(t, name, func() string {
			if left := volumes.Snapshots(); len(left) != 0 {
				return fmt.Sprintf("snapshots are left: %v", left)
			}
			if n := countImages(t, u); n != before {
				return fmt.Sprintf("%d images, where %d were", n, before)
			}
			return ""
		})
	}
	goneServer(t, u, id)
}

func countImages(t *testing.T, u *user) int {
	t.Helper()
	pages, err := images.List(u.image, images.ListOpts{}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := images.ExtractImages(pages)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(i images.Image) bool { return i.Status == images.ImageStatusDeleted })
	return len(all)
}
