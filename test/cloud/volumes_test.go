package cloud

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"kilonova/stack"
	"kilonova/test/cinder"
)

// withVolumes starts a cloud whose catalog has a volume service, in both forms.
func withVolumes(t *testing.T, test func(t *testing.T, c *cloud, volumes *cinder.Service)) {
	for name, start := range forms {
		t.Run(name, func(t *testing.T) {
			volumes := cinder.New()
			served := httptest.NewServer(volumes)
			t.Cleanup(served.Close)
			c := start(t, func(c *stack.Config) {
				if c.Peers == nil {
					c.Peers = map[string]string{}
				}
				c.Peers["volume"] = served.URL + "/v3"
			})
			hostsUp(t, c)
			test(t, c, volumes)
		})
	}
}

func statusOf(t *testing.T, u *user, id string) func() string {
	return func() string {
		s, err := servers.Get(t.Context(), u.compute, id).Extract()
		if err != nil {
			return err.Error()
		}
		if s.Status == "ACTIVE" {
			return ""
		}
		return fmt.Sprint(s.Status, " ", s.Fault.Message)
	}
}

func goneServer(t *testing.T, u *user, id string) {
	t.Helper()
	if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "server's end", func() string {
		if _, err := servers.Get(t.Context(), u.compute, id).Extract(); gophercloud.ResponseCodeIs(err, 404) {
			return ""
		}
		return "it is there"
	})
}

func TestVolumesComeAndGo(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "s", FlavorRef: "1", ImageRef: imageID(t, u),
			Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "server", statusOf(t, u, s.ID))
		kept, gone := volumes.Add(1, false), volumes.Add(2, false)
		for _, id := range []string{kept, gone} {
			a, err := volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: id, DeleteOnTermination: id == gone}).Extract()
			if err != nil || a.VolumeID != id {
				t.Fatalf("%+v, %v", a, err)
			}
			eventually(t, "volume in use", func() string { return is("in-use", volumes.Status(id)) })
		}
		if _, err := volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: kept}).Extract(); !gophercloud.ResponseCodeIs(err, 400) {
			t.Errorf("a volume is attached twice: %v", err)
		}
		if err := servers.Reboot(t.Context(), u.compute, s.ID, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "server after its reboot", statusOf(t, u, s.ID))
		if err := volumeattach.Delete(t.Context(), u.compute, s.ID, kept).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "volume free", func() string { return is("available", volumes.Status(kept)) })
		eventually(t, "one attachment", func() string {
			pages, err := volumeattach.List(u.compute, s.ID).AllPages(t.Context())
			if err != nil {
				return err.Error()
			}
			all, err := volumeattach.ExtractVolumeAttachments(pages)
			if err != nil || len(all) != 1 || all[0].VolumeID != gone || all[0].Device != "/dev/vdc" {
				return fmt.Sprint(all, err)
			}
			return ""
		})
		goneServer(t, u, s.ID)
		if left := volumes.Left(); len(left) != 1 || left[0] != "volume "+kept {
			t.Errorf("left are %v", left)
		}
	})
}

func TestVolumesTakeEachOthersPlace(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.admin
		s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "s", FlavorRef: "1", ImageRef: imageID(t, u),
			Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "server", statusOf(t, u, s.ID))
		was, next := volumes.Add(1, false), volumes.Add(1, false)
		if _, err := volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: was}).Extract(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "volume in use", func() string { return is("in-use", volumes.Status(was)) })
		swap := func(from, to string) error {
			_, err := u.compute.Put(t.Context(), u.compute.ServiceURL("servers", s.ID, "os-volume_attachments", from),
				map[string]any{"volumeAttachment": map[string]any{"volumeId": to}}, nil, &gophercloud.RequestOpts{OkCodes: []int{202}})
			return err
		}
		wantCode(t, "a swap for no volume", swap(was, s.ID), 400)
		wantCode(t, "a swap of what is not attached", swap(next, was), 404)
		if got := volumes.Status(was); got != "in-use" {
			t.Errorf("after what was refused, the volume is %s", got)
		}
		if err := swap(was, next); err != nil {
			t.Fatal(err)
		}
		eventually(t, "volumes to have changed places", func() string { return is("available in-use", volumes.Status(was)+" "+volumes.Status(next)) })

		// What two servers write to has no content that could be copied.
		shared := volumes.Add(1, false)
		volumes.Share(shared)
		other, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "other", FlavorRef: "1", ImageRef: imageID(t, u),
			Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other server", statusOf(t, u, other.ID))
		for i, id := range []string{s.ID, other.ID} {
			if _, err := volumeattach.Create(t.Context(), u.compute, id, volumeattach.CreateOpts{VolumeID: shared}).Extract(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "shared volume attached", func() string {
				attached := slices.DeleteFunc(volumes.Held(shared), func(held string) bool { return !strings.HasSuffix(held, " attached") })
				return is(fmt.Sprint(i+1), fmt.Sprint(len(attached)))
			})
		}
		wantCode(t, "a swap of what two write to", swap(shared, was), 400)
		goneServer(t, u, s.ID)
		goneServer(t, u, other.ID)
		if left := volumes.Left(); len(left) != 3 {
			t.Errorf("left are %v", left)
		}
	})
}

func TestServersBootFromVolumes(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		data := volumes.Add(1, false)
		disks := []servers.BlockDevice{
			{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: imageID(t, u), VolumeSize: 2, BootIndex: 0, DeleteOnTermination: true},
			{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: data, BootIndex: -1},
			{SourceType: servers.SourceBlank, DestinationType: servers.DestinationVolume, VolumeSize: 1, BootIndex: -1, DeleteOnTermination: true},
		}
		opts := servers.CreateOpts{Name: "s", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, BlockDevice: disks}
		s, err := servers.Create(t.Context(), u.compute, opts, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "server", statusOf(t, u, s.ID))
		shown, err := servers.Get(t.Context(), u.compute, s.ID).Extract()
		if err != nil || len(shown.AttachedVolumes) != 3 || len(shown.Image) != 0 {
			t.Errorf("%+v, %v", shown, err)
		}
		if err := volumeattach.Delete(t.Context(), u.compute, s.ID, shown.AttachedVolumes[0].ID).ExtractErr(); !gophercloud.ResponseCodeIs(err, 403) {
			t.Errorf("the root disk is taken away: %v", err)
		}
		goneServer(t, u, s.ID)
		if left := volumes.Left(); len(left) != 1 || left[0] != "volume "+data {
			t.Errorf("left are %v", left)
		}

		for name, wrong := range map[string][]servers.BlockDevice{
			"nothing to boot from": disks[1:],
			"two to boot from":     {disks[0], disks[0]},
			"no such volume":       {disks[0], {SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: s.ID, BootIndex: -1}},
			"no size":              {{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: disks[0].UUID, BootIndex: 0}},
		} {
			opts.BlockDevice = wrong
			if _, err := servers.Create(t.Context(), u.compute, opts, nil).Extract(); !gophercloud.ResponseCodeIs(err, 400) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Without an image beside the volume the flavor is looked at all the same.
		opts.BlockDevice, opts.FlavorRef = disks[:1], flavorOf(t, c, "odd", 1, 128, map[string]string{"hw:cpu_thread_policy": "prefer"})
		if _, err := servers.Create(t.Context(), u.compute, opts, nil).Extract(); !gophercloud.ResponseCodeIs(err, 400) {
			t.Errorf("a thread policy without pinned processors: %v", err)
		}
		if left := volumes.Left(); len(left) != 1 {
			t.Errorf("after what was refused, left are %v", left)
		}
	})
}

func is(want, got string) string {
	if got == want {
		return ""
	}
	return "it is " + got
}

func TestServersWithVolumesAreShelved(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		opts := servers.CreateOpts{Name: "s", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, BlockDevice: []servers.BlockDevice{
			{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: imageID(t, u), VolumeSize: 2, BootIndex: 0, DeleteOnTermination: true},
			{SourceType: servers.SourceBlank, DestinationType: servers.DestinationVolume, VolumeSize: 1, BootIndex: -1, DeleteOnTermination: true}}}
		s, err := servers.Create(t.Context(), u.compute, opts, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "server", statusOf(t, u, s.ID))
		for range 2 {
			if err := servers.Shelve(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "SHELVED_OFFLOADED")
			data := volumes.Add(1, false)
			if _, err := volumeattach.Create(t.Context(), u.compute, s.ID, volumeattach.CreateOpts{VolumeID: data, DeleteOnTermination: true}).Extract(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a volume in use by a server on no host", func() string { return is("in-use", volumes.Status(data)) })
			if err := servers.Unshelve(t.Context(), u.compute, s.ID, servers.UnshelveOpts{}).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "ACTIVE")
		}
		goneServer(t, u, s.ID)
		if left := volumes.Left(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// Servers that boot from volumes are rescued since 2.87, with images that say on
// what device.
func TestServersWithVolumesAreRescued(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		id := bootWithVolumes(t, u)
		at := c.where(t, id).host
		stable := upload(t, u, "stable", "raw", "bare", map[string]string{"hw_rescue_device": "disk"}, make([]byte, 512))
		rescue := func(image string) error {
			return servers.Rescue(t.Context(), u.compute, id, servers.RescueOpts{RescueImageRef: image}).Err
		}
		wantCode(t, "without an image", rescue(""), 400)
		wantCode(t, "with an image in place of the root disk", rescue(imageID(t, u)), 400)
		old := *u.compute
		old.Microversion = "2.86"
		wantCode(t, "by an old client", servers.Rescue(t.Context(), &old, id, servers.RescueOpts{RescueImageRef: stable}).Err, 400)
		s, err := servers.Get(t.Context(), u.compute, id).Extract()
		if err != nil {
			t.Fatal(err)
		}
		volumes.SetStatus(s.AttachedVolumes[1].ID, "detaching")
		wantCode(t, "while a volume goes", rescue(stable), 409)
		volumes.SetStatus(s.AttachedVolumes[1].ID, "in-use")
		if err := rescue(stable); err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "RESCUE")
		eventually(t, "volumes in rescue", func() string { return c.heldAt(t, volumes, id, at) })
		if err := servers.Unrescue(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "ACTIVE")
		eventually(t, "volumes after rescue", func() string { return c.heldAt(t, volumes, id, at) })
		goneServer(t, u, id)
		if left := volumes.Left(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// Since 2.93 a rebuild writes the image over the root volume; before, only the image
// that is there may be named, and the volume is kept.
func TestServersWithVolumesAreRebuilt(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		id := bootWithVolumes(t, u)
		at := c.where(t, id).host
		other := upload(t, u, "other", "raw", "bare", map[string]string{"hw_disk_bus": "scsi"}, make([]byte, 512))
		rebuild := func(version, image string) error {
			client := *u.compute
			client.Microversion = version
			_, err := servers.Rebuild(t.Context(), &client, id, servers.RebuildOpts{ImageRef: image}).Extract()
			return err
		}
		root := func() string {
			s, err := servers.Get(t.Context(), u.compute, id).Extract()
			if err != nil {
				t.Fatal(err)
			}
			return s.AttachedVolumes[0].ID
		}()
		wantCode(t, "another image by an old client", rebuild("2.92", other), 400)
		if err := rebuild("2.92", imageID(t, u)); err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "ACTIVE")
		eventually(t, "volumes that are kept", func() string { return c.heldAt(t, volumes, id, at) })
		for _, image := range []string{other, imageID(t, u), imageID(t, u)} {
			if err := rebuild("2.93", image); err != nil {
				t.Fatal(err)
			}
			idle(t, u, id, "ACTIVE")
			eventually(t, "volumes", func() string { return c.heldAt(t, volumes, id, at) })
			if is := volumes.ImageOf(root); is != image {
				t.Errorf("the root volume has the image %s, want %s", is, image)
			}
		}
		withdraw := volumes.Inject(cinder.Fault{Operation: "POST /volumes/{id}/action", Times: 1, Status: 400})
		if err := rebuild("2.93", other); err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "ERROR")
		if withdraw() != 1 {
			t.Error("nothing failed")
		}
		if err := servers.Reboot(t.Context(), u.compute, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		idle(t, u, id, "ACTIVE")
		eventually(t, "volumes after a rebuild that failed", func() string { return c.heldAt(t, volumes, id, at) })
		goneServer(t, u, id)
		if left := volumes.Left(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// The guest is told when a volume has grown.
func TestVolumesGrow(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		id := bootWithVolumes(t, u)
		s, err := servers.Get(t.Context(), u.compute, id).Extract()
		if err != nil {
			t.Fatal(err)
		}
		tell := func(volume string) (code int) {
			t.Helper()
			var out struct{ Events []struct{ Code int } }
			_, err := c.admin.compute.Post(t.Context(), c.admin.compute.ServiceURL("os-server-external-events"), map[string]any{"events": []any{
				map[string]string{"name": "volume-extended", "server_uuid": id, "tag": volume}}}, &out, &gophercloud.RequestOpts{OkCodes: []int{200, 207}})
			if err != nil || len(out.Events) != 1 {
				t.Fatalf("%+v, %v", out, err)
			}
			return out.Events[0].Code
		}
		root := s.AttachedVolumes[0].ID
		volumes.Grow(root, 7)
		if code := tell(root); code != 200 {
			t.Errorf("the event is answered %d", code)
		}
		eventually(t, "size in the guest", func() string {
			if size := c.fakeHosts(t)[c.where(t, id).host].Guests[id].Sizes[root]; size != 7 {
				return fmt.Sprint(size, " GB")
			}
			return ""
		})
		if code := tell(id); code != 200 { // a volume that it does not have
			t.Errorf("the event of another volume is answered %d", code)
		}
		goneServer(t, u, id)
	})
}

// A volume may have several servers where it says so, and the client knows it.
func TestVolumesOfSeveralServers(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		shared := volumes.Add(1, true)
		volumes.Share(shared)
		first, second := bootWithVolumes(t, u), bootWithVolumes(t, u)
		old := *u.compute
		old.Microversion = "2.59"
		attach := func(client *gophercloud.ServiceClient, id string) error {
			_, err := volumeattach.Create(t.Context(), client, id, volumeattach.CreateOpts{VolumeID: shared}).Extract()
			return err
		}
		wantCode(t, "by an old client", attach(&old, first), 400)
		boots := servers.CreateOpts{Name: "s", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, BlockDevice: []servers.BlockDevice{
			{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: shared, BootIndex: 0}}}
		_, err := servers.Create(t.Context(), &old, boots, nil).Extract()
		wantCode(t, "booted from by an old client", err, 400)
		for _, id := range []string{first, second} {
			if err := attach(u.compute, id); err != nil {
				t.Fatal(err)
			}
			eventually(t, "volume in use", func() string { return is("in-use", volumes.Status(shared)) })
		}
		eventually(t, "two servers", func() string { return is("2", fmt.Sprint(len(volumes.Held(shared)))) })
		goneServer(t, u, first)
		if held := volumes.Held(shared); len(held) != 1 {
			t.Errorf("the volume is held by %v", held)
		}
		goneServer(t, u, second)
		if status := volumes.Status(shared); status != "available" {
			t.Errorf("the volume is %s", status)
		}
	})
}
