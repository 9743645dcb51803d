package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// forceDown says that a host is down, or no longer.
func (c *cloud) forceDown(t *testing.T, host string, down bool) {
	t.Helper()
	var list struct {
		Services []struct{ ID, Host, Binary string }
	}
	c.get(t, c.admin.compute, "/os-services", &list)
	for _, s := range list.Services {
		if s.Host != host || s.Binary != "nova-compute" {
			continue
		}
		_, err := c.admin.compute.Put(t.Context(), c.admin.compute.ServiceURL("os-services", s.ID), map[string]any{"forced_down": down}, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A server of a host that is down is made anew on another one; when the old one
// is back, its guest goes, and its claim with it.
func TestEvacuate(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		for round := range 3 {
			id := boot(t, c, u, "evacuated").ID
			a := c.where(t, id).host
			b := c.other(t, a)
			if err := ask(t, c.admin, id, map[string]any{"evacuate": map[string]any{}}); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
				t.Errorf("evacuate from a host that is up: %v", err)
			}
			if round == 1 {
				if err := servers.Stop(t.Context(), u.compute, id).ExtractErr(); err != nil {
					t.Fatal(err)
				}
				settledAs(t, u, id, "SHUTOFF")
			}
			c.forceDown(t, a, true)
			if err := ask(t, c.admin, id, map[string]any{"evacuate": map[string]any{}}); err != nil {
				t.Fatal(err)
			}
			settledAs(t, u, id, map[bool]string{true: "SHUTOFF", false: "ACTIVE"}[round == 1])
			c.forceDown(t, a, false)
			c.is(t, id, placed{host: b, running: round != 1, taps: b, ports: b, claims: fmt.Sprintf("server@%s=1 ", b)})
			if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			gone(t, c, id)
		}
	})
}

// A rebuild makes the guest anew where it is: its name, image and ports are the
// server's, its past is gone.
func TestRebuild(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		id := boot(t, c, u, "old").ID
		before := c.where(t, id)
		for _, wrong := range []string{`{"rebuild":{}}`, `{"rebuild":{"imageRef":"8d6bd8a0-0000-4000-8000-000000000000"}}`, `{"rebuild":{"imageRef":"x"}}`,
			`{"rebuild":{"imageRef":"` + imageID(t, u) + `","key_name":"none"}}`, `{"rebuild":{"imageRef":"` + imageID(t, u) + `","unknown":1}}`} {
			if err := ask(t, u, id, json.RawMessage(wrong)); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		s, err := servers.Rebuild(t.Context(), u.compute, id, servers.RebuildOpts{Name: "new", AdminPass: "pw", ImageRef: imageID(t, u), Metadata: map[string]string{"x": "y"}}).Extract()
		if err != nil || s.AdminPass != "pw" || s.Status != "REBUILD" || s.Name != "new" {
			t.Fatalf("%+v, %v", s, err)
		}
		s = settledAs(t, u, id, "ACTIVE")
		if s.Name != "new" || s.Metadata["x"] != "y" || s.Metadata["role"] != "" {
			t.Errorf("%+v", s)
		}
		c.is(t, id, before)
		if g := c.fakeHosts(t)[before.host].Guests[id]; len(g.Boots)+g.Lost != 1 {
			t.Errorf("the new guest has booted %d times", len(g.Boots)+g.Lost)
		}
		if err := servers.Stop(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "SHUTOFF")
		if _, err := servers.Rebuild(t.Context(), u.compute, id, servers.RebuildOpts{ImageRef: imageID(t, u)}).Extract(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "SHUTOFF")
		before.running = false
		c.is(t, id, before)
	})
}

// What a rebuild is told of certificates and files is kept, or given to the guest.
func TestRebuildCertificates(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	u := c.demo
	id := boot(t, c, u, "trusting").ID
	for certificates, want := range map[string]string{`["a","b"]`: "[a b]", `null`: "[]"} {
		if err := ask(t, u, id, json.RawMessage(`{"rebuild":{"imageRef":"`+imageID(t, u)+`","trusted_image_certificates":`+certificates+`}}`)); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, "ACTIVE")
		var list struct {
			Servers []struct {
				Certificates []string `json:"trusted_image_certificates"`
			}
		}
		c.get(t, u.compute, "/servers/detail", &list)
		if got := fmt.Sprint(list.Servers[0].Certificates); got != want {
			t.Errorf("after %s the certificates are %s", certificates, got)
		}
	}
}
