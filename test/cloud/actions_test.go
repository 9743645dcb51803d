package cloud

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
)

func TestActions(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "acted on")
		for _, step := range []struct {
			name   string
			do     func() error
			status string
		}{
			{"pause", func() error { return servers.Pause(t.Context(), u.compute, s.ID).ExtractErr() }, "PAUSED"},
			{"unpause", func() error { return servers.Unpause(t.Context(), u.compute, s.ID).ExtractErr() }, "ACTIVE"},
			{"suspend", func() error { return servers.Suspend(t.Context(), u.compute, s.ID).ExtractErr() }, "SUSPENDED"},
			{"resume", func() error { return servers.Resume(t.Context(), u.compute, s.ID).ExtractErr() }, "ACTIVE"},
			{"password", func() error {
				return servers.ChangeAdminPassword(t.Context(), u.compute, s.ID, "new").ExtractErr()
			}, "ACTIVE"},
			{"crash dump", func() error {
				return act(t, u.at("2.17"), s.ID, map[string]any{"trigger_crash_dump": nil}, nil)
			}, "ACTIVE"},
			{"rescue", func() error {
				pass, err := servers.Rescue(t.Context(), u.compute, s.ID, servers.RescueOpts{AdminPass: "rescued"}).Extract()
				if err == nil && pass != "rescued" {
					t.Errorf("the rescue's password is %q", pass)
				}
				return err
			}, "RESCUE"},
			{"unrescue", func() error { return servers.Unrescue(t.Context(), u.compute, s.ID).ExtractErr() }, "ACTIVE"},
			{"rescue with image", func() error {
				return servers.Rescue(t.Context(), u.compute, s.ID, servers.RescueOpts{RescueImageRef: imageID(t, u)}).Err
			}, "RESCUE"},
			{"unrescue again", func() error { return servers.Unrescue(t.Context(), u.compute, s.ID).ExtractErr() }, "ACTIVE"},
		} {
			if err := step.do(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			idle(t, u, s.ID, step.status)
		}
		wantCode(t, "unpause of an active server", servers.Unpause(t.Context(), u.compute, s.ID).ExtractErr(), http.StatusConflict)
		wantCode(t, "rescue with an image that is none", servers.Rescue(t.Context(), u.compute, s.ID,
			servers.RescueOpts{RescueImageRef: "00000000-0000-4000-8000-000000000000"}).Err, http.StatusBadRequest)
	})
}

// TestCrashDumpLeavesTheNextTaskBe: a crash dump is nothing that a server is busy
// with, so another action may be asked for before it has ended, and is carried out.
func TestCrashDumpLeavesTheNextTaskBe(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "dumped")
		for range 8 {
			if err := act(t, u.at("2.17"), s.ID, map[string]any{"trigger_crash_dump": nil}, nil); err != nil {
				t.Fatal(err)
			}
			if err := servers.Pause(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "PAUSED")
			if err := servers.Unpause(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			idle(t, u, s.ID, "ACTIVE")
		}
	})
}

// idle waits until nothing is being done with a server, which then has a status.
func idle(t *testing.T, u *user, id, status string) *servers.Server {
	t.Helper()
	var s *servers.Server
	eventually(t, "server "+id, func() string {
		var err error
		if s, err = servers.Get(t.Context(), u.compute, id).Extract(); err != nil {
			return err.Error()
		}
		if s.TaskState != "" || s.Status != status {
			return "is " + s.Status + " and " + s.TaskState
		}
		return ""
	})
	return s
}

func awaitImage(t *testing.T, u *user, id string) *images.Image {
	t.Helper()
	var image *images.Image
	eventually(t, "image "+id, func() string {
		var err error
		if image, err = images.Get(t.Context(), u.image, id).Extract(); err != nil {
			return err.Error()
		}
		if image.Status != images.ImageStatusActive {
			return "is " + string(image.Status)
		}
		return ""
	})
	return image
}

func TestSnapshots(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "photographed")
		id, err := servers.CreateImage(t.Context(), u.compute, s.ID, servers.CreateImageOpts{Name: "picture", Metadata: map[string]string{"colour": "blue"}}).ExtractImageID()
		if err != nil {
			t.Fatal(err)
		}
		image := awaitImage(t, u, id)
		if image.Properties["colour"] != "blue" || image.Properties["image_type"] != "snapshot" || image.Properties["instance_uuid"] != s.ID ||
			image.Properties["base_image_ref"] != imageID(t, u) || image.Owner != s.TenantID || image.SizeBytes == 0 {
			t.Errorf("the snapshot is %+v", image)
		}
		idle(t, u, s.ID, "ACTIVE")
		copied, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "copy", FlavorRef: "1", ImageRef: id, Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, u, copied.ID, "ACTIVE")
		var backups []string
		for range 3 {
			var out struct {
				ID string `json:"image_id"`
			}
			if err := act(t, u.at("2.45"), s.ID, map[string]any{"createBackup": map[string]any{"name": "copy", "backup_type": "daily", "rotation": 2}}, &out); err != nil {
				t.Fatal(err)
			}
			awaitImage(t, u, out.ID)
			idle(t, u, s.ID, "ACTIVE")
			backups = append(backups, out.ID)
		}
		_, err = images.Get(t.Context(), u.image, backups[0]).Extract()
		wantCode(t, "the oldest of three backups, of which two are kept", err, http.StatusNotFound)
		awaitImage(t, u, backups[1])
	})
}
