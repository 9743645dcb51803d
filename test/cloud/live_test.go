package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/internal/config"
	"kilonova/stack"
)

// slow is a cloud whose live migrations take a while, so that they can be steered.
func slow(t *testing.T, takes time.Duration) *cloud {
	t.Helper()
	c := base(t)
	c.Fake.LiveDelay = config.Duration(takes)
	st, err := stack.Start(t.Context(), c, testLog(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return ready(t, c, st.URL(), st)
}

// A live migration brings the guest to another host without it noticing, with
// its ports and its claim.
func TestLiveMigration(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		id := boot(t, c, u, "carried").ID
		a := c.where(t, id).host
		b := c.other(t, a)
		if err := ask(t, u, id, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); !gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
			t.Errorf("asked by a member: %v", err)
		}
		for _, wrong := range []string{fmt.Sprintf(`{"host":%q,"block_migration":"auto"}`, a), `{"host":"nowhere","block_migration":"auto"}`, `{"host":null}`, `{"block_migration":"auto"}`,
			`{"host":null,"block_migration":"auto","disk_over_commit":false}`, `{"host":null,"block_migration":"maybe"}`} {
			if err := ask(t, c.admin, id, json.RawMessage(`{"os-migrateLive":`+wrong+`}`)); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
				t.Errorf("%s: %v", wrong, err)
			}
		}
		for _, to := range []string{b, a} {
			if err := ask(t, c.admin, id, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); err != nil {
				t.Fatal(err)
			}
			settledAs(t, u, id, "ACTIVE")
			c.is(t, id, placed{host: to, running: true, taps: to, ports: to, claims: fmt.Sprintf("server@%s=1 ", to)})
			if g := c.fakeHosts(t)[to].Guests[id]; len(g.Boots)+g.Lost != 1 {
				t.Errorf("the guest has booted %d times", len(g.Boots)+g.Lost)
			}
		}
		if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
		c.is(t, id, placed{})
	})
}

// underWay begins a live migration and waits until it can be steered.
func (c *cloud) underWay(t *testing.T, id string) (number int) {
	t.Helper()
	if err := ask(t, c.admin, id, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the migration", func() string {
		var list struct {
			Migrations []struct {
				ID     int
				Status string
				Total  *int64 `json:"memory_total_bytes"`
			}
		}
		c.get(t, c.admin.compute, "/servers/"+id+"/migrations", &list)
		if len(list.Migrations) != 1 || list.Migrations[0].Status != "running" || list.Migrations[0].Total == nil {
			return fmt.Sprintf("%+v", list.Migrations)
		}
		number = list.Migrations[0].ID
		return ""
	})
	return number
}

func (c *cloud) migrationStatus(t *testing.T, id string, number int) string {
	t.Helper()
	var list struct {
		Migrations []struct {
			ID     int
			Status string
		}
	}
	c.get(t, c.admin.compute, "/os-migrations?instance_uuid="+id, &list)
	for _, m := range list.Migrations {
		if m.ID == number {
			return m.Status
		}
	}
	return ""
}

// A live migration under way can be aborted, completed, or ended by a delete.
func TestLiveMigrationSteered(t *testing.T) {
	c := slow(t, time.Minute)
	hostsUp(t, c)
	u := c.demo
	id := boot(t, c, u, "steered").ID
	a := c.where(t, id)
	number := c.underWay(t, id)
	if s, err := servers.Get(t.Context(), u.compute, id).Extract(); err != nil || s.Status != "MIGRATING" {
		t.Errorf("%+v, %v", s, err)
	}
	path := fmt.Sprintf("%sservers/%s/migrations/%d", c.admin.compute.Endpoint, id, number)
	if _, err := c.admin.compute.Delete(t.Context(), path, &gophercloud.RequestOpts{OkCodes: []int{202}}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	c.is(t, id, a)
	if status := c.migrationStatus(t, id, number); status != "cancelled" {
		t.Errorf("the aborted migration is %s", status)
	}
	if _, err := c.admin.compute.Delete(t.Context(), path, nil); !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		t.Errorf("abort of what is over: %v", err)
	}

	number = c.underWay(t, id)
	path = fmt.Sprintf("%sservers/%s/migrations/%d/action", c.admin.compute.Endpoint, id, number)
	if _, err := c.admin.compute.Post(t.Context(), path, json.RawMessage(`{"force_complete":null}`), nil, &gophercloud.RequestOpts{OkCodes: []int{202}}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, id, "ACTIVE")
	b := c.other(t, a.host)
	c.is(t, id, placed{host: b, running: true, taps: b, ports: b, claims: fmt.Sprintf("server@%s=1 ", b)})
	if status := c.migrationStatus(t, id, number); status != "completed" {
		t.Errorf("the completed migration is %s", status)
	}

	c.underWay(t, id)
	if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	gone(t, c, id)
	c.is(t, id, placed{})
}
