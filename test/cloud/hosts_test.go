package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/internal/config"
	"kilonova/stack"
)

// TestCapacityIsStrict asks for more at once than the hosts have: each server is
// ACTIVE or says why it cannot be, and no host has more than it offers.
func TestCapacityIsStrict(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		// A fake host has 512 GiB, of which 512 MiB are reserved: three of these fit.
		big, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: "third", RAM: 150 << 10, VCPUs: 1, Disk: ptr(1)}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		_, project := whose(t, c.demo)
		opts := servers.CreateOpts{Name: "third", FlavorRef: big.ID, ImageRef: imageID(t, c.demo), Networks: []servers.Network{{UUID: networkID(t, c.demo, "private")}}}
		if _, err := c.admin.compute.Put(t.Context(), c.admin.compute.ServiceURL("os-quota-sets", project), map[string]any{"quota_set": map[string]int{"ram": -1}}, nil, &gophercloud.RequestOpts{OkCodes: []int{200}}); err != nil {
			t.Fatal(err)
		}
		const asked, fit = 16, 6
		if n := atOnce(t, asked, nil, func() error {
			_, err := servers.Create(t.Context(), c.demo.compute, opts, nil).Extract()
			return err
		}); n != asked {
			t.Fatalf("%d were taken", n)
		}
		var states map[string]int
		eventually(t, "servers", func() string {
			states = map[string]int{}
			for _, s := range allServers(t, c.demo) {
				states[s.Status]++
				if s.Status == "ERROR" && !strings.Contains(s.Fault.Message, "No valid host was found") {
					t.Fatalf("%+v", s.Fault)
				}
			}
			if states["ACTIVE"]+states["ERROR"] < asked {
				return fmt.Sprint(states)
			}
			return ""
		})
		if states["ACTIVE"] != fit {
			t.Errorf("%v, want %d ACTIVE", states, fit)
		}
		var providers struct {
			List []struct{ UUID string } `json:"resource_providers"`
		}
		if _, err := c.admin.placement.Get(t.Context(), c.admin.placement.ServiceURL("resource_providers"), &providers, nil); err != nil {
			t.Fatal(err)
		}
		for _, p := range providers.List {
			var use struct{ Usages map[string]int }
			if _, err := c.admin.placement.Get(t.Context(), c.admin.placement.ServiceURL("resource_providers", p.UUID, "usages"), &use, nil); err != nil || use.Usages["MEMORY_MB"] != 3*150<<10 {
				t.Errorf("provider %s: %v, %v", p.UUID, use, err)
			}
		}
		deleteAll(t, c, c.demo)
	})
}

// TestDeleteWhileBuilding deletes servers while others make them, and sees that
// nothing is left of them.
func TestDeleteWhileBuilding(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		opts := servers.CreateOpts{Name: "short", FlavorRef: "1", ImageRef: imageID(t, c.demo), Min: 5, Max: 5, Networks: []servers.Network{{UUID: networkID(t, c.demo, "private")}}}
		for i := range 6 {
			if _, err := servers.Create(t.Context(), c.demo.compute, opts, nil).Extract(); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Duration(i) * 3 * time.Millisecond)
			deleteAll(t, c, c.demo)
		}
		counts := openRows(t, c.folders()...).quiet(t)
		if n := counts["placement.allocations"] + counts["placement.consumers"]; n != 0 {
			t.Errorf("%d rows of claims are left", n)
		}
	})
}

// TestStopBehindAttach asks for a stop while an interface is still being attached:
// the end of the one must not take the other for its own.
func TestStopBehindAttach(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		private := networkID(t, c.demo, "private")
		s := boot(t, c, c.demo, "both").ID
		for range 4 {
			for range 2 {
				if _, err := attachinterfaces.Create(t.Context(), c.demo.compute, s, attachinterfaces.CreateOpts{NetworkID: private}).Extract(); err != nil {
					t.Fatal(err)
				}
			}
			if err := servers.Stop(t.Context(), c.demo.compute, s).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			awaitStatus(t, c.demo, s, "SHUTOFF")
			if err := servers.Start(t.Context(), c.demo.compute, s).ExtractErr(); err != nil {
				t.Fatal(err)
			}
			awaitStatus(t, c.demo, s, "ACTIVE")
		}
		deleteAll(t, c, c.demo)
	})
}

// TestHostGoesDown ends the agents of a cloud while it is split: builds end in
// ERROR with the reason, deletes do not wait for the host, and when it is back it
// is used again.
func TestHostGoesDown(t *testing.T) {
	c := splitWith(t, func(c *stack.Config) { c.Default.ServiceDown = config.Duration(2 * time.Second) })
	hostsUp(t, c)
	old := boot(t, c, c.demo, "old")
	agents := c.stacks[len(c.stacks)-1]
	agents.Close()
	opts := servers.CreateOpts{Name: "late", FlavorRef: "1", ImageRef: imageID(t, c.demo), Networks: []servers.Network{{UUID: networkID(t, c.demo, "private")}}}
	late, err := servers.Create(t.Context(), c.demo.compute, opts, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if s := awaitStatus(t, c.demo, late.ID, "ERROR"); !strings.Contains(s.Fault.Message, "down") && !strings.Contains(s.Fault.Message, "No valid host") {
		t.Errorf("the fault does not say why: %q", s.Fault.Message)
	}
	if err := servers.Stop(t.Context(), c.demo.compute, old.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "stop on a host that is down", func() string {
		s, err := servers.Get(t.Context(), c.demo.compute, old.ID).Extract()
		if err != nil || s.TaskState != "" {
			return fmt.Sprint(s, err)
		}
		if s.Status != "ACTIVE" {
			t.Fatalf("nothing is known of it, and yet it is %s", s.Status)
		}
		return ""
	})
	for _, id := range []string{late.ID, old.ID} {
		if err := servers.Delete(t.Context(), c.demo.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
	}
	again, err := stack.Start(t.Context(), agents.Config, testLog(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(again.Close)
	p := &process{data: again.Config.Data}
	eventually(t, "the guest that was deleted while its host was away", func() string {
		for _, h := range p.hosts(t) {
			if len(h.Guests)+len(h.Taps) > 0 {
				return fmt.Sprint(h)
			}
		}
		return ""
	})
	boot(t, c, c.demo, "new")
}

// TestMetadataNeedsItsSignature asks the metadata service as its proxy does, and
// as those who are not its proxy.
func TestMetadataNeedsItsSignature(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		s := boot(t, c, c.demo, "asked")
		_, project := whose(t, c.demo)
		sign := func(secret, id string) string {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(id))
			return hex.EncodeToString(mac.Sum(nil))
		}
		good := sign(c.config.Secrets.MetadataSecret, s.ID)
		other := boot(t, c, c.demo, "other").ID
		for what, tt := range map[string]struct {
			header map[string]string
			status int
		}{
			"proxy":            {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": project, "X-Instance-ID-Signature": good}, 200},
			"no headers":       {nil, 400},
			"no signature":     {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": project}, 400},
			"wrong secret":     {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": project, "X-Instance-ID-Signature": sign("x", s.ID)}, 403},
			"another's":        {map[string]string{"X-Instance-ID": other, "X-Tenant-ID": project, "X-Instance-ID-Signature": good}, 403},
			"capitals":         {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": project, "X-Instance-ID-Signature": strings.ToUpper(good)}, 403},
			"another project":  {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": "x", "X-Instance-ID-Signature": good}, 404},
			"no such instance": {map[string]string{"X-Instance-ID": "x", "X-Tenant-ID": project, "X-Instance-ID-Signature": sign(c.config.Secrets.MetadataSecret, "x")}, 404},
			"empty":            {map[string]string{"X-Instance-ID": s.ID, "X-Tenant-ID": project, "X-Instance-ID-Signature": " "}, 403},
		} {
			a := c.do(t.Context(), t, request{service: "metadata", method: "GET", path: "/openstack/latest/meta_data.json", header: tt.header})
			if a.status != tt.status || tt.status == http.StatusOK != strings.Contains(string(a.body), `"uuid"`) {
				t.Errorf("%s: %d %s, want %d", what, a.status, a.body, tt.status)
			}
		}
	})
}
