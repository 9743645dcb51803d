package cloud

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"

	"kilonova/stack"
	"kilonova/test/cinder"
	"kilonova/test/ironic"
	"kilonova/test/manila"
)

// withForeign starts a cloud whose catalog has a volume, a share and a bare metal
// service, in both forms.
func withForeign(t *testing.T, test func(t *testing.T, c *cloud, volumes *cinder.Service, shares *manila.Service, nodes *ironic.Service)) {
	for name, start := range forms {
		t.Run(name, func(t *testing.T) {
			volumes, shares, nodes := cinder.New(), manila.New(), ironic.New()
			a, b, d := httptest.NewServer(volumes), httptest.NewServer(shares), httptest.NewServer(nodes)
			t.Cleanup(func() { a.Close(); b.Close(); d.Close() })
			c := start(t, func(c *stack.Config) {
				if c.Peers == nil {
					c.Peers = map[string]string{}
				}
				c.Peers["volume"], c.Peers["shared-file-system"], c.Peers["baremetal"] = a.URL+"/v3", b.URL+"/v2", d.URL
			})
			hostsUp(t, c)
			test(t, c, volumes, shares, nodes)
		})
	}
}

// askAt calls the compute API at a version, where gophercloud has no words for it.
func askAt(t *testing.T, u *user, version, method, path string, in, out any) error {
	t.Helper()
	client := *u.compute
	client.Microversion = version
	_, err := client.Request(t.Context(), method, client.Endpoint+path, &gophercloud.RequestOpts{JSONBody: in, JSONResponse: out, OkCodes: []int{200, 201, 202, 204}})
	return err
}

type shareAnswer struct {
	Share struct {
		ShareID  string `json:"share_id"`
		Status   string `json:"status"`
		Tag      string `json:"tag"`
		ID       string `json:"uuid"`
		Location string `json:"export_location"`
	} `json:"share"`
}

func stopServer(t *testing.T, u *user, id string) {
	t.Helper()
	if err := servers.Stop(t.Context(), u.compute, id).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "server's stop", func() string { return is("SHUTOFF", serverStatus(t, u, id)) })
}

func serverStatus(t *testing.T, u *user, id string) string {
	s, err := servers.Get(t.Context(), u.compute, id).Extract()
	if err != nil {
		return err.Error()
	}
	return s.Status
}

// A share comes to a stopped server, is active while its guest runs, and is taken
// from its host with the last server there.
func TestSharesComeAndGo(t *testing.T) {
	withForeign(t, func(t *testing.T, c *cloud, _ *cinder.Service, shares *manila.Service, _ *ironic.Service) {
		u := c.demo
		s := runningServer(t, u)
		share, other := shares.Add("NFS", "192.0.2.7:/data"), shares.Add("CEPHFS", "192.0.2.8:6789:/x")
		attach := func(id, tag string) error {
			return askAt(t, u, "2.97", "POST", "servers/"+s+"/shares", map[string]any{"share": map[string]any{"share_id": id, "tag": tag}}, nil)
		}
		if err := attach(share, "data"); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share comes to a server that runs: %v", err)
		}
		stopServer(t, u, s)
		if err := attach("00000000-0000-4000-8000-000000000000", "data"); !gophercloud.ResponseCodeIs(err, 404) {
			t.Errorf("a share that is not there: %v", err)
		}
		shares.SetStatus(share, "creating")
		if err := attach(share, "data"); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share that is not ready: %v", err)
		}
		shares.SetStatus(share, "available")
		if err := attach(shares.Add("NFS", ""), "data"); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share that is exported nowhere: %v", err)
		}
		if err := attach(shares.Add("HDFS", "x"), "data"); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share of another protocol: %v", err)
		}
		for id, tag := range map[string]string{share: "data", other: "more"} {
			if err := attach(id, tag); err != nil {
				t.Fatal(err)
			}
		}
		if err := attach(share, "again"); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share comes twice: %v", err)
		}
		status := func(id, want string) func() string {
			return func() string {
				var x shareAnswer
				if err := askAt(t, c.admin, "2.97", "GET", "servers/"+s+"/shares/"+id, nil, &x); err != nil {
					return err.Error()
				}
				if x.Share.ID == "" || x.Share.Location == "" || x.Share.ShareID != id {
					t.Errorf("administrators see %+v", x.Share)
				}
				return is(want, x.Share.Status)
			}
		}
		eventually(t, "share", status(share, "inactive"))
		eventually(t, "share", status(other, "inactive"))
		if got := shares.Allowed(share); len(got) != 1 || got[0] != "ip 127.0.0.1 locked" {
			t.Errorf("in are %v", got)
		}
		if got := shares.Allowed(other); !slices.Equal(got, []string{"cephx nova locked"}) {
			t.Errorf("in are %v", got)
		}
		for _, action := range []map[string]any{{"resize": map[string]any{"flavorRef": "2"}}, {"shelve": nil}, {"rebuild": map[string]any{"imageRef": imageID(t, u)}}} {
			if err := askAt(t, u, "2.97", "POST", "servers/"+s+"/action", action, nil); !gophercloud.ResponseCodeIs(err, 409) {
				t.Errorf("%v of a server with shares: %v", action, err)
			}
		}
		if err := servers.Start(t.Context(), u.compute, s).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "server's start", func() string { return is("ACTIVE", serverStatus(t, u, s)) })
		eventually(t, "share of a server that runs", status(share, "active"))
		if err := askAt(t, u, "2.97", "DELETE", "servers/"+s+"/shares/"+share, nil, nil); !gophercloud.ResponseCodeIs(err, 409) {
			t.Errorf("a share is taken from a server that runs: %v", err)
		}
		stopServer(t, u, s)
		eventually(t, "share of a server that stands still", status(share, "inactive"))
		if err := askAt(t, u, "2.97", "DELETE", "servers/"+s+"/shares/"+share, nil, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "share's end", func() string {
			var x struct {
				Shares []struct {
					ShareID string `json:"share_id"`
				}
			}
			if err := askAt(t, u, "2.97", "GET", "servers/"+s+"/shares", nil, &x); err != nil {
				return err.Error()
			}
			if len(x.Shares) != 1 || x.Shares[0].ShareID != other || len(shares.Allowed(share)) != 0 {
				return fmt.Sprint(x.Shares, shares.Allowed(share))
			}
			return ""
		})
		goneServer(t, u, s)
		if got := shares.Allowed(other); len(got) != 0 {
			t.Errorf("after the server in are %v", got)
		}
	})
}

// The volume service has the hypervisor snapshot a volume that a guest has, and
// hears how it went.
func TestAssistedSnapshots(t *testing.T) {
	withForeign(t, func(t *testing.T, c *cloud, volumes *cinder.Service, _ *manila.Service, _ *ironic.Service) {
		u := c.demo
		s := runningServer(t, u)
		volume := volumes.Add(1, false)
		if _, err := volumeattach.Create(t.Context(), u.compute, s, volumeattach.CreateOpts{VolumeID: volume}).Extract(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "volume in use", func() string { return is("in-use", volumes.Status(volume)) })
		snapshot := volumes.AddSnapshot(volume)
		body := map[string]any{"snapshot": map[string]any{"volume_id": volume, "create_info": map[string]any{"id": snapshot, "snapshot_id": snapshot, "type": "qcow2", "new_file": "f"}}}
		if err := askAt(t, u, "2.1", "POST", "os-assisted-volume-snapshots", body, nil); !gophercloud.ResponseCodeIs(err, 403) {
			t.Errorf("a user does it: %v", err)
		}
		if err := askAt(t, c.admin, "2.1", "POST", "os-assisted-volume-snapshots", body, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "snapshot", func() string { return is("creating", volumes.SnapshotStatus(snapshot)) })
		path := "os-assisted-volume-snapshots/" + snapshot + `?delete_info=%7B%22volume_id%22%3A%22` + volume + `%22%7D`
		if err := askAt(t, c.admin, "2.1", "DELETE", path, nil, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "snapshot's end", func() string { return is("deleting", volumes.SnapshotStatus(snapshot)) })
		goneServer(t, u, s)
	})
}

func TestBareMetalNodes(t *testing.T) {
	withForeign(t, func(t *testing.T, c *cloud, _ *cinder.Service, _ *manila.Service, nodes *ironic.Service) {
		server := "1ea4e53e-149a-4f02-9515-590c9fb2315a"
		first := nodes.Add("one", server, "fa:16:3e:00:00:01", map[string]any{"cpus": 2, "memory_mb": "1024", "local_gb": 10})
		nodes.Add("two", "", "fa:16:3e:00:00:02", nil)
		nodes.Add("three", "", "fa:16:3e:00:00:03", nil)
		var all struct{ Nodes []map[string]any }
		if err := askAt(t, c.admin, "2.35", "GET", "os-baremetal-nodes", nil, &all); err != nil || len(all.Nodes) != 3 {
			t.Fatal(all, err)
		}
		if n := all.Nodes[0]; n["id"] != first || n["cpus"] != "2" || n["memory_mb"] != "1024" || n["disk_gb"] != "10" || n["task_state"] != "active" || n["host"] != "IRONIC MANAGED" {
			t.Errorf("%v", n)
		}
		var one struct{ Node map[string]any }
		if err := askAt(t, c.admin, "2.1", "GET", "os-baremetal-nodes/"+first, nil, &one); err != nil || one.Node["instance_uuid"] != server ||
			fmt.Sprint(one.Node["interfaces"]) != "[map[address:fa:16:3e:00:00:01]]" {
			t.Errorf("%v, %v", one, err)
		}
		for version, code := range map[string]int{"2.35": 404, "2.36": 404} {
			if err := askAt(t, c.admin, version, "GET", "os-baremetal-nodes/00000000-0000-4000-8000-000000000000", nil, nil); !gophercloud.ResponseCodeIs(err, code) {
				t.Errorf("at %s: %v", version, err)
			}
		}
		if err := askAt(t, c.demo, "2.1", "GET", "os-baremetal-nodes", nil, nil); !gophercloud.ResponseCodeIs(err, 403) {
			t.Errorf("a user sees them: %v", err)
		}
	})
}

// A host that is shut down takes its guests with it.
func TestHostsAreSwitched(t *testing.T) {
	withForeign(t, func(t *testing.T, c *cloud, _ *cinder.Service, _ *manila.Service, _ *ironic.Service) {
		u := c.demo
		s := runningServer(t, u)
		var shown struct {
			Server struct {
				Host string `json:"OS-EXT-SRV-ATTR:host"`
			}
		}
		if err := askAt(t, c.admin, "2.1", "GET", "servers/"+s, nil, &shown); err != nil {
			t.Fatal(err)
		}
		host := shown.Server.Host
		for _, action := range []string{"shutdown", "startup", "reboot"} {
			var said map[string]string
			if err := askAt(t, c.admin, "2.42", "GET", "os-hosts/"+host+"/"+action, nil, &said); err != nil || said["host"] != host || said["power_action"] != action {
				t.Errorf("%s: %v, %v", action, said, err)
			}
		}
		eventually(t, "server on a host that was shut down", func() string { return is("SHUTOFF", serverStatus(t, u, s)) })
		var said map[string]string
		if err := askAt(t, c.admin, "2.1", "PUT", "os-hosts/"+host, map[string]string{"status": "disable", "maintenance_mode": "enable"}, &said); err != nil ||
			said["status"] != "disabled" || said["maintenance_mode"] != "on_maintenance" {
			t.Errorf("%v, %v", said, err)
		}
		if err := askAt(t, c.admin, "2.1", "GET", "os-hosts/nowhere/reboot", nil, nil); !gophercloud.ResponseCodeIs(err, 404) {
			t.Errorf("a host that is not there: %v", err)
		}
		if err := askAt(t, u, "2.1", "GET", "os-hosts/"+host+"/reboot", nil, nil); !gophercloud.ResponseCodeIs(err, 403) {
			t.Errorf("a user reboots a host: %v", err)
		}
		goneServer(t, u, s)
	})
}

// runningServer makes a server and returns its id.
func runningServer(t *testing.T, u *user) string {
	t.Helper()
	s, err := servers.Create(t.Context(), u.compute, servers.CreateOpts{Name: "s", FlavorRef: "1", ImageRef: imageID(t, u),
		Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "server", statusOf(t, u, s.ID))
	return s.ID
}
