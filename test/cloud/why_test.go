package cloud

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/instanceactions"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

type decisions struct {
	Placements []struct {
		Host, Refusal *string
		Driver        string
		Took          float64 `json:"took_ms"`
		Explanation   struct {
			Hosts, Left int
			Filters     []struct {
				Filter  string
				In, Out int
			}
		}
	}
}

func why(t *testing.T, u *user, id string) (out decisions, err error) {
	t.Helper()
	resp, err := u.compute.Get(t.Context(), u.compute.ServiceURL("servers", id, "kilonova-placement"), &out, nil)
	if err == nil {
		resp.Body.Close()
	}
	return out, err
}

// TestDecisionsExplainThemselves: an operator reads why a server is where it is,
// or nowhere; a user reads in the fault what kept it from any host.
func TestDecisionsExplainThemselves(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		s := boot(t, c, c.demo, "placed")
		got, err := why(t, c.admin, s.ID)
		if err != nil || len(got.Placements) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		p := got.Placements[0]
		if p.Host == nil || *p.Host != hostOf(t, c, s.ID) || p.Refusal != nil || p.Driver != "filter" || p.Took <= 0 || p.Explanation.Hosts != 2 || p.Explanation.Left != 2 ||
			len(p.Explanation.Filters) != 5 {
			t.Errorf("the record of a success: %+v", p)
		}
		if _, err := why(t, c.demo, s.ID); !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
			t.Errorf("its user reads it: %v", err)
		}
		eventDetails(t, c, s.ID)

		f, err := flavors.Create(t.Context(), c.admin.compute, flavors.CreateOpts{Name: "huge", RAM: 1 << 23, VCPUs: 1, Disk: new(int)}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		s, err = servers.Create(t.Context(), c.admin.compute, servers.CreateOpts{Name: "refused", FlavorRef: f.ID, ImageRef: imageID(t, c.admin), Networks: "none"}, nil).Extract()
		if err != nil {
			t.Fatal(err)
		}
		s = awaitStatus(t, c.admin, s.ID, "ERROR")
		if !strings.Contains(s.Fault.Message, "No valid host was found. Of 2 hosts none has room for 1 VCPU, 8388608 MB") ||
			!strings.Contains(s.Fault.Details, "Placement refused 2") {
			t.Errorf("the fault is %+v", s.Fault)
		}
		got, err = why(t, c.admin, s.ID)
		if err != nil || len(got.Placements) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		p = got.Placements[0]
		if p.Host != nil || p.Refusal == nil || *p.Refusal != s.Fault.Message || len(p.Explanation.Filters) != 1 || p.Explanation.Filters[0].Filter != "Placement" ||
			p.Explanation.Filters[0].In != 2 || p.Explanation.Filters[0].Out != 0 {
			t.Errorf("the record of a refusal: %+v", p)
		}
	})
}

// TestMovesExplainThemselves: each move leaves a record of the decision, and the
// history says it in short.
func TestMovesExplainThemselves(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	id := boot(t, c, c.demo, "moved").ID
	n := 1
	decided := func(what, event string) {
		t.Helper()
		n++
		got, err := why(t, c.admin, id)
		if err != nil || len(got.Placements) != n {
			t.Fatalf("%s: %+v, %v", what, got, err)
		}
		p := got.Placements[0]
		if p.Host == nil || *p.Host != hostOf(t, c, id) || p.Driver != "filter" || p.Explanation.Hosts != 2 || len(p.Explanation.Filters) == 0 {
			t.Errorf("the record of %s: %+v", what, p)
		}
		if event == "" {
			return
		}
		compute := *c.admin.compute
		compute.Microversion = "2.84"
		var list struct {
			Actions []struct {
				Request string `json:"request_id"`
				Action  string
			} `json:"instanceActions"`
		}
		c.must(t, &compute, "GET", "servers/"+id+"/os-instance-actions", nil, &list)
		var out struct {
			Action struct {
				Events []struct{ Event, Details string }
			} `json:"instanceAction"`
		}
		c.must(t, &compute, "GET", "servers/"+id+"/os-instance-actions/"+list.Actions[0].Request, nil, &out)
		for _, e := range out.Action.Events {
			if e.Event == event && strings.Contains(e.Details, "2 hosts") {
				return
			}
		}
		t.Errorf("the history of %s: %+v", what, out.Action.Events)
	}
	do := func(u *user, body any, status string) {
		t.Helper()
		if err := ask(t, u, id, body); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, id, status)
	}
	do(c.demo, map[string]any{"resize": map[string]string{"flavorRef": "5"}}, "VERIFY_RESIZE")
	decided("a resize", "compute_prep_resize")
	do(c.demo, map[string]any{"confirmResize": nil}, "ACTIVE")
	do(c.admin, map[string]any{"migrate": nil}, "VERIFY_RESIZE")
	decided("a migration", "compute_prep_resize")
	do(c.demo, map[string]any{"confirmResize": nil}, "ACTIVE")
	do(c.admin, map[string]any{"os-migrateLive": map[string]any{"host": nil, "block_migration": "auto"}}, "ACTIVE")
	decided("a live migration", "conductor_live_migrate_instance")
	at := hostOf(t, c, id)
	c.forceDown(t, at, true)
	do(c.admin, map[string]any{"evacuate": map[string]any{}}, "ACTIVE")
	decided("an evacuation", "conductor_rebuild_instance")
	c.forceDown(t, at, false)
	do(c.demo, map[string]any{"shelve": nil}, "SHELVED_OFFLOADED")
	do(c.demo, map[string]any{"unshelve": nil}, "ACTIVE")
	decided("an unshelving", "")

	// Nobody can take it: that is kept, too.
	c.disable(t, c.other(t, hostOf(t, c, id)), true)
	if err := ask(t, c.admin, id, map[string]any{"migrate": nil}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the refusal", func() string {
		got, err := why(t, c.admin, id)
		if err != nil || len(got.Placements) != n+1 {
			return "is not kept"
		}
		if p := got.Placements[0]; p.Host != nil || p.Refusal == nil || !strings.Contains(*p.Refusal, "No valid host") {
			t.Errorf("the record of a refusal: %+v", p)
		}
		return ""
	})
}

func hostOf(t *testing.T, c *cloud, id string) string {
	t.Helper()
	s, err := servers.Get(t.Context(), c.admin.compute, id).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return s.Host
}

// eventDetails: from 2.84 on, the event of the decision sums it up, for operators.
func eventDetails(t *testing.T, c *cloud, id string) {
	t.Helper()
	for who, want := range map[*user]string{c.admin: "2 hosts; 2 left.", c.demo: ""} {
		compute := *who.compute
		compute.Microversion = "2.84"
		pages, err := instanceactions.List(&compute, id, nil).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		actions, err := instanceactions.ExtractInstanceActions(pages)
		if err != nil || len(actions) != 1 {
			t.Fatalf("%d actions, %v", len(actions), err)
		}
		var out struct {
			Action struct {
				Events []struct{ Event, Details string }
			} `json:"instanceAction"`
		}
		resp, err := compute.Get(t.Context(), compute.ServiceURL("servers", id, "os-instance-actions", actions[0].RequestID), &out, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		found := false
		for _, e := range out.Action.Events {
			if e.Event == "conductor_schedule_and_build_instances" {
				found = true
				if e.Details != want {
					t.Errorf("details are %q, want %q", e.Details, want)
				}
			}
		}
		if !found {
			t.Errorf("no such event: %+v", out)
		}
	}
}
