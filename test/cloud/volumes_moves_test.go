package cloud

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
	"kilonova/test/cinder"
)

// bootWithVolumes makes a server whose root disk is a volume, with another one.
func bootWithVolumes(t *testing.T, u *user) string {
	t.Helper()
	return bootVolumesOf(t, u, imageID(t, u))
}

func bootVolumesOf(t *testing.T, u *user, image string) string {
	t.Helper()
	opts := servers.CreateOpts{Name: "s", FlavorRef: "1", Networks: []servers.Network{{UUID: networkID(t, u, "private")}}, BlockDevice: []servers.BlockDevice{
		{SourceType: servers.SourceImage, DestinationType: servers.DestinationVolume, UUID: image, VolumeSize: 2, BootIndex: 0, DeleteOnTermination: true},
		{SourceType: servers.SourceBlank, DestinationType: servers.DestinationVolume, VolumeSize: 1, BootIndex: -1, DeleteOnTermination: true}}}
	s, err := servers.Create(t.Context(), u.compute, opts, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "server", statusOf(t, u, s.ID))
	return s.ID
}

// heldAt says where the volume service and the hypervisors have a server's volumes,
// if it is not once each at one host.
func (c *cloud) heldAt(t *testing.T, volumes *cinder.Service, id, host string) string {
	t.Helper()
	s, err := servers.Get(t.Context(), c.admin.compute, id).Extract()
	if err != nil {
		return err.Error()
	}
	if len(s.AttachedVolumes) != 2 {
		return fmt.Sprintf("it has the volumes %v", s.AttachedVolumes)
	}
	for _, v := range s.AttachedVolumes {
		if held := volumes.Held(v.ID); !slices.Equal(held, []string{host + " attached"}) {
			return fmt.Sprintf("volume %s is held by %v, want %s", v.ID, held, host)
		}
		if status := volumes.Status(v.ID); status != "in-use" {
			return "a volume is " + status
		}
	}
	g, ok := c.fakeHosts(t)[host].Guests[id]
	if !ok || len(g.Spec.Volumes) != 2 {
		return fmt.Sprintf("the guest has %v", g.Spec.Volumes)
	}
	for _, v := range g.Spec.Volumes {
		if !strings.HasPrefix(v.Path, "/volumes/"+host+"/") {
			return "the guest reaches a volume at " + v.Path
		}
	}
	return ""
}

func TestVolumesFollowServers(t *testing.T) {
	withVolumes(t, func(t *testing.T, c *cloud, volumes *cinder.Service) {
		u := c.demo
		id := bootWithVolumes(t, u)
		a := c.where(t, id).host
		b := c.other(t, a)
		at := func(what, host string) {
			t.Helper()
			eventually(t, "volumes "+what, func() string { return c.heldAt(t, volumes, id, host) })
		}
		at("at first", a)
		do := func(u *user, body, status string) {
			t.Helper()
			if err := ask(t, u, id, json.RawMessage(body)); err != nil {
				t.Fatal(err)
			}
			settledAs(t, u, id, status)
		}
		do(u, `{"resize":{"flavorRef":"2"}}`, "VERIFY_RESIZE")
		at("resized", b)
		do(u, `{"revertResize":null}`, "ACTIVE")
		at("reverted", a)
		do(c.admin, `{"migrate":null}`, "VERIFY_RESIZE")
		at("migrated", b)
		do(u, `{"confirmResize":null}`, "ACTIVE")
		at("confirmed", b)
		do(c.admin, `{"os-migrateLive":{"host":null,"block_migration":"auto"}}`, "ACTIVE")
		at("carried", a)
		c.forceDown(t, a, true)
		do(c.admin, `{"evacuate":{}}`, "ACTIVE")
		c.forceDown(t, a, false)
		at("evacuated", b)
		do(u, `{"reboot":{"type":"HARD"}}`, "ACTIVE")
		at("rebooted", b)
		goneServer(t, u, id)
		if left := volumes.Left(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

// faultyVolumes is a cloud with a volume service that can be made to fail.
func faultyVolumes(t *testing.T) (*cloud, *cinder.Service) {
	volumes := cinder.New()
	served := httptest.NewServer(volumes)
	t.Cleanup(served.Close)
	c := oneWith(t, func(c *stack.Config) { c.Peers = map[string]string{"volume": served.URL + "/v3"} })
	hostsUp(t, c)
	return c, volumes
}

// Whatever request to the volume service fails during a move, with or without
// effect, the server is in one place afterwards, with its volumes, and nothing is
// left over.
func TestMovesWhenTheVolumeServiceFails(t *testing.T) {
	c, volumes := faultyVolumes(t)
	u := c.demo
	id := bootWithVolumes(t, u)
	moves := []struct{ name, body string }{{"migrate", `{"migrate":null}`}, {"live", `{"os-migrateLive":{"host":null,"block_migration":"auto"}}`}}
	for _, move := range moves {
		for _, operation := range []string{"GET /attachments", "POST /attachments", "PUT /attachments/{id}", "POST /attachments/{id}/action", "DELETE /attachments/{id}"} {
			for skip := range 2 {
				for _, status := range []int{400, 500} {
					name := fmt.Sprint(move.name, ": ", operation, " after ", skip, " with ", status)
					withdraw := volumes.Inject(cinder.Fault{Operation: operation, Skip: skip, Times: 1, Status: status, After: status == 500})
					if err := ask(t, c.admin, id, json.RawMessage(move.body)); err != nil {
						t.Fatal(name, err)
					}
					var is *servers.Server
					eventually(t, name, func() string {
						var err error
						if is, err = servers.Get(t.Context(), c.admin.compute, id).Extract(); err != nil {
							return err.Error()
						}
						if is.TaskState != "" || is.Status != "ACTIVE" && is.Status != "VERIFY_RESIZE" {
							return fmt.Sprintf("%s (%s) %+v", is.Status, is.TaskState, is.Fault)
						}
						return ""
					})
					t.Logf("%s: met %d times, %s on %s", name, withdraw(), is.Status, is.Host)
					eventually(t, name, func() string { return c.heldAt(t, volumes, id, is.Host) })
					if is.Status == "VERIFY_RESIZE" {
						if err := ask(t, c.admin, id, json.RawMessage(`{"confirmResize":null}`)); err != nil {
							t.Fatal(name, err)
						}
						settledAs(t, u, id, "ACTIVE")
					}
				}
			}
		}
	}
	goneServer(t, u, id)
	if left := volumes.Left(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// A volume service that refuses to have the volumes anywhere leaves the server in
// error; a hard reboot takes it up again.
func TestStrandedVolumesComeBack(t *testing.T) {
	c, volumes := faultyVolumes(t)
	u := c.demo
	id := bootWithVolumes(t, u)
	a := c.where(t, id).host
	withdraw := volumes.Inject(cinder.Fault{Operation: "PUT /attachments/{id}", Status: 400})
	if err := ask(t, c.admin, id, json.RawMessage(`{"migrate":null}`)); err != nil {
		t.Fatal(err)
	}
	if s := settledAs(t, u, id, "ERROR"); s.Fault.Message == "" || s.Fault.Code != 500 {
		t.Errorf("the fault is %+v", s.Fault)
	}
	if withdraw() < 2 {
		t.Error("it was not tried to take the volumes back")
	}
	if err := servers.Reboot(t.Context(), u.compute, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	eventually(t, "volumes back", func() string { return c.heldAt(t, volumes, id, a) })
	goneServer(t, u, id)
	if left := volumes.Left(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// A build that fails on one host is tried on another, which is let in anew.
func TestVolumesOfBuildsThatAreTriedElsewhere(t *testing.T) {
	c, volumes := faultyVolumes(t)
	u := c.demo
	withdraw := volumes.Inject(cinder.Fault{Operation: "PUT /attachments/{id}", Skip: 1, Times: 1, Status: 500, After: true})
	id := bootWithVolumes(t, u)
	if withdraw() != 1 {
		t.Error("nothing failed")
	}
	eventually(t, "volumes", func() string { return c.heldAt(t, volumes, id, c.where(t, id).host) })
	goneServer(t, u, id)
	if left := volumes.Left(); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}
