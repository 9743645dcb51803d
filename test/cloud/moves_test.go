package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/portsbinding"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
)

// fakeHosts reads what the fake hypervisors of a cloud have, by host.
func (c *cloud) fakeHosts(t *testing.T) map[string]hostState {
	t.Helper()
	all := map[string]hostState{}
	folders := []string{c.config.Data}
	for _, st := range c.stacks {
		folders = append(folders, st.Config.Data)
	}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "fake", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var h hostState
			if err := json.Unmarshal(data, &h); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			name := filepath.Base(file)
			all[name[:len(name)-len(".json")]] = h
		}
	}
	return all
}

// placed is what a server amounts to, seen from all sides.
type placed struct {
	host    string // where its guest is, "" nowhere
	parked  string // where one is parked
	running bool
	taps    string // the hosts that have taps of it
	ports   string // where its ports are bound
	claims  string // consumer@host=VCPUs, of the server and of its migrations
}

// where looks at a server from all sides: hypervisors, network and Placement.
func (c *cloud) where(t *testing.T, id string) placed {
	t.Helper()
	var p placed
	fakes := c.fakeHosts(t)
	var nics []struct {
		ports.Port
		portsbinding.PortsBindingExt
	}
	pages, err := ports.List(c.admin.network, ports.ListOpts{DeviceID: id}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ports.ExtractPortsInto(pages, &nics); err != nil {
		t.Fatal(err)
	}
	for _, n := range nics {
		var bound struct {
			Bindings []struct{ Host, Status string } `json:"bindings"`
		}
		c.get(t, c.admin.network, "/v2.0/ports/"+n.ID+"/bindings", &bound)
		for _, b := range bound.Bindings {
			if p.ports += b.Host; b.Status != "ACTIVE" {
				p.ports += " aside"
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(fakes)) {
		h := fakes[host]
		if g, ok := h.Guests[id]; ok {
			p.host, p.running = p.host+host, g.State == 1
		}
		if _, ok := h.Parked[id]; ok {
			p.parked += host
		}
		for _, n := range nics {
			if _, ok := h.Taps[n.ID]; ok {
				p.taps += host
			}
		}
	}
	p.claims = c.claims(t, id)
	return p
}

// claims says who holds how many processors where: first the server, then its
// migrations that hold anything.
func (c *cloud) claims(t *testing.T, id string) string {
	t.Helper()
	text := ""
	for _, a := range c.allocations(t, id) {
		text += fmt.Sprintf("%s@%s=%d ", a.who, a.provider.Name, a.resources["VCPU"])
	}
	return text
}

// provider is a resource provider by both its names.
type provider struct{ UUID, Name string }

// allocation is what a "server" or one of its migrations, a "migration", has of a
// provider.
type allocation struct {
	who       string
	provider  provider
	resources map[string]int
}

// allocations are a server's, and then those of its migrations.
func (c *cloud) allocations(t *testing.T, id string) []allocation {
	t.Helper()
	consumers := []string{id}
	var list struct {
		Migrations []struct {
			UUID string `json:"uuid"`
		} `json:"migrations"`
	}
	c.get(t, c.admin.compute, "/os-migrations?instance_uuid="+id, &list)
	for _, m := range list.Migrations {
		consumers = append(consumers, m.UUID)
	}
	var all struct {
		Providers []provider `json:"resource_providers"`
	}
	c.get(t, c.admin.placement, "/resource_providers", &all)
	var found []allocation
	for i, consumer := range consumers {
		var out struct {
			Allocations map[string]struct{ Resources map[string]int } `json:"allocations"`
		}
		c.get(t, c.admin.placement, "/allocations/"+consumer, &out)
		for _, p := range all.Providers {
			if a, ok := out.Allocations[p.UUID]; ok {
				found = append(found, allocation{map[bool]string{true: "server", false: "migration"}[i == 0], p, a.Resources})
			}
		}
	}
	return found
}

func (c *cloud) get(t *testing.T, client *gophercloud.ServiceClient, path string, into any) {
	t.Helper()
	base := client.Endpoint
	if _, err := client.Get(t.Context(), base+path[1:], into, &gophercloud.RequestOpts{OkCodes: []int{200}}); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// ask asks an action of a server as gophercloud sends it.
func ask(t *testing.T, u *user, id string, body any) error {
	t.Helper()
	_, err := u.compute.Post(t.Context(), u.compute.ServiceURL("servers", id, "action"), body, nil, &gophercloud.RequestOpts{OkCodes: []int{200, 202, 204}})
	return err
}

// settledAs waits until a server has a status and nothing under way.
func settledAs(t *testing.T, u *user, id, status string) *servers.Server {
	t.Helper()
	var s *servers.Server
	eventually(t, "server "+id, func() string {
		var err error
		if s, err = servers.Get(t.Context(), u.compute, id).Extract(); err != nil {
			return err.Error()
		}
		if s.Status != status || s.TaskState != "" {
			return fmt.Sprintf("is %s (%s), %+v", s.Status, s.TaskState, s.Fault)
		}
		return ""
	})
	return s
}

// other is the other one of the two hosts.
func (c *cloud) other(t *testing.T, host string) string {
	t.Helper()
	var list struct {
		Services []struct{ Host, Binary string }
	}
	c.get(t, c.admin.compute, "/os-services", &list)
	for _, s := range list.Services {
		if s.Binary == "nova-compute" && s.Host != host {
			return s.Host
		}
	}
	t.Fatalf("%s is the only host", host)
	return ""
}

func (c *cloud) is(t *testing.T, id string, want placed) {
	t.Helper()
	eventually(t, "place of "+id, func() string {
		if got := c.where(t, id); got != want {
			return fmt.Sprintf("it is %+v, want %+v", got, want)
		}
		return ""
	})
}

// A resize takes the guest to another host with its claim; confirmed or reverted,
// it is in one place with one claim.
func TestResize(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		id := boot(t, c, u, "resized").ID
		a := c.where(t, id).host
		b := c.other(t, a)
		atA := placed{host: a, running: true, taps: a, ports: a, claims: fmt.Sprintf("server@%s=1 ", a)}
		c.is(t, id, atA)
		between := placed{host: b, parked: a, running: true, taps: b, ports: b, claims: fmt.Sprintf("server@%s=2 migration@%s=1 ", b, a)}

		if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: "5"}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "VERIFY_RESIZE")
		c.is(t, id, between)
		// The old host has no server, but something of one.
		_, err := c.admin.compute.Delete(t.Context(), c.admin.compute.ServiceURL("os-services", c.service(t, a)), nil)
		if !gophercloud.ResponseCodeIs(err, 409) || !strings.Contains(err.Error(), "in-progress migrations") {
			t.Errorf("forgetting a host that a server may go back to: %v", err)
		}
		if err := servers.RevertResize(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if s := settledAs(t, u, id, "ACTIVE"); s.Flavor["original_name"] != "m1.nano" {
			t.Errorf("after the revert its flavor is %v", s.Flavor)
		}
		c.is(t, id, atA)

		if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: "5"}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if s := settledAs(t, u, id, "VERIFY_RESIZE"); s.Flavor["original_name"] != "m1.medium" {
			t.Errorf("after the resize its flavor is %v", s.Flavor)
		}
		if err := servers.ConfirmResize(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "ACTIVE")
		atB := placed{host: b, running: true, taps: b, ports: b, claims: fmt.Sprintf("server@%s=2 ", b)}
		c.is(t, id, atB)

		// switched off it stays so, and deleted half-way nothing is left
		if err := servers.Stop(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "SHUTOFF")
		if err := ask(t, c.admin, id, map[string]any{"migrate": nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "VERIFY_RESIZE")
		c.is(t, id, placed{host: a, parked: b, taps: a, ports: a, claims: fmt.Sprintf("server@%s=2 migration@%s=2 ", a, b)})
		if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
		c.is(t, id, placed{})
	})
}

// What cannot be resized is refused, and what fails is taken back.
func TestResizeRefusedAndUndone(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	u := c.demo
	id := boot(t, c, u, "stays").ID
	a := c.where(t, id).host
	want := placed{host: a, running: true, taps: a, ports: a, claims: fmt.Sprintf("server@%s=1 ", a)}
	for body, code := range map[string]int{`{"resize":{"flavorRef":"1"}}`: 400, `{"resize":{"flavorRef":"none"}}`: 400, `{"resize":{}}`: 400, `{"confirmResize":null}`: 409,
		`{"revertResize":null}`: 409, `{"migrate":null}`: 403} {
		if err := ask(t, u, id, json.RawMessage(body)); !gophercloud.ResponseCodeIs(err, code) {
			t.Errorf("%s: %v, want %d", body, err, code)
		}
	}
	for body, code := range map[string]int{`{"migrate":{"host":"nowhere"}}`: 400, fmt.Sprintf(`{"migrate":{"host":%q}}`, a): 400, `{"migrate":{"host":""}}`: 400} {
		if err := ask(t, c.admin, id, json.RawMessage(body)); !gophercloud.ResponseCodeIs(err, code) {
			t.Errorf("%s: %v, want %d", body, err, code)
		}
	}
	c.is(t, id, want)
	// a host that is disabled takes nobody: the server stays what and where it was
	c.disable(t, c.other(t, a), true)
	if err := servers.Resize(t.Context(), u.compute, id, servers.ResizeOpts{FlavorRef: "2"}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the migration", func() string {
		var list struct{ Migrations []struct{ Status string } }
		c.get(t, c.admin.compute, "/os-migrations?instance_uuid="+id, &list)
		if len(list.Migrations) != 1 || list.Migrations[0].Status != "error" {
			return fmt.Sprint(list.Migrations)
		}
		return ""
	})
	if s := settledAs(t, u, id, "ACTIVE"); s.Flavor["original_name"] != "m1.nano" {
		t.Errorf("its flavor is %v", s.Flavor)
	}
	c.is(t, id, want)
	if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	gone(t, c, id)
}

// disable says whether a host takes new servers, and waits until Placement knows.
func (c *cloud) disable(t *testing.T, host string, disabled bool) {
	t.Helper()
	status := map[bool]string{true: "disabled", false: "enabled"}[disabled]
	_, err := c.admin.compute.Put(t.Context(), c.admin.compute.ServiceURL("os-services", c.service(t, host)), map[string]any{"status": status}, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		t.Fatal(err)
	}
}

// service returns the id of a host's compute service.
func (c *cloud) service(t *testing.T, host string) string {
	t.Helper()
	var list struct {
		Services []struct{ ID, Host, Binary string }
	}
	c.get(t, c.admin.compute, "/os-services", &list)
	for _, s := range list.Services {
		if s.Host == host && s.Binary == "nova-compute" {
			return s.ID
		}
	}
	t.Fatalf("host %s has no compute service", host)
	return ""
}
