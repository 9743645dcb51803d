package cloud

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servergroups"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// newGroup makes a server group of the demo user.
func newGroup(t *testing.T, u *user, policy string, most int) string {
	t.Helper()
	u.compute.Microversion = "2.64"
	defer func() { u.compute.Microversion = "" }()
	opts := servergroups.CreateOpts{Name: policy, Policy: policy}
	if most > 0 {
		opts.Rules = &servergroups.Rules{MaxServerPerHost: most}
	}
	g, err := servergroups.Create(t.Context(), u.compute, opts).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return g.ID
}

// TestGroupsAreNeverViolated boots servers of groups with every policy at once, by
// several conductors, deletes some in between, and looks where they are.
func TestGroupsAreNeverViolated(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		another(t, c)
		hostsUp(t, c)
		_, project := whose(t, c.demo)
		quota := map[string]any{"quota_set": map[string]int{"instances": -1, "cores": -1, "ram": -1, "server_group_members": -1, "server_groups": -1}}
		if _, err := c.admin.compute.Put(t.Context(), c.admin.compute.ServiceURL("os-quota-sets", project), quota, nil, &gophercloud.RequestOpts{OkCodes: []int{200}}); err != nil {
			t.Fatal(err)
		}
		type group struct {
			id, policy string
			most       int
		}
		var groups []group
		for i := range 3 {
			for _, g := range []group{{policy: "affinity"}, {policy: "anti-affinity"}, {policy: "anti-affinity", most: 2 + i}, {policy: "soft-affinity"}, {policy: "soft-anti-affinity"}} {
				g.id = newGroup(t, c.demo, g.policy, g.most)
				groups = append(groups, g)
			}
		}
		image, network := imageID(t, c.demo), networkID(t, c.demo, "private")
		dice := rand.New(rand.NewPCG(11, 22))
		order := dice.Perm(len(groups) * 8)
		for round := range 2 {
			var mu sync.Mutex
			next := 0
			atOnce(t, len(order), nil, func() error {
				mu.Lock()
				g := groups[order[next]%len(groups)]
				next++
				mu.Unlock()
				_, err := servers.Create(t.Context(), c.demo.compute, servers.CreateOpts{Name: "member", FlavorRef: "1", ImageRef: image, Networks: []servers.Network{{UUID: network}}},
					servers.SchedulerHintOpts{Group: g.id}).Extract()
				return err
			})
			settled(t, c.demo)
			for _, g := range groups {
				on, lost := map[string]int{}, 0
				got, err := servergroups.Get(t.Context(), c.demo.compute, g.id).Extract()
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range got.Members {
					s, err := servers.Get(t.Context(), c.admin.compute, id).Extract()
					if err != nil {
						t.Fatal(err)
					}
					if s.Status == "ACTIVE" {
						on[s.Host]++
					} else if lost++; !strings.Contains(s.Fault.Message, "No valid host") {
						t.Errorf("%s: %+v", s.Status, s.Fault)
					}
				}
				n := 0
				for host, servers := range on {
					n += servers
					if g.policy == "anti-affinity" && servers > max(1, g.most) {
						t.Errorf("%s has %d servers of an %s group that allows %d", host, servers, g.policy, max(1, g.most))
					}
				}
				if g.policy == "affinity" && len(on) > 1 {
					t.Errorf("affinity is on %v", on)
				}
				full := g.policy == "anti-affinity" && n == 2*max(1, g.most) // on two hosts
				if lost > 0 && !full {
					t.Errorf("%d of a group of %s %d were refused, with %v", lost, g.policy, g.most, on)
				}
				if round == 0 {
					for _, id := range got.Members {
						if dice.IntN(2) == 0 {
							if err := servers.Delete(t.Context(), c.demo.compute, id).ExtractErr(); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
			}
		}
		deleteAll(t, c, c.demo)
	})
}

// settled waits until no server is on its way to anything.
func settled(t *testing.T, u *user) {
	t.Helper()
	eventually(t, "servers at rest", func() string {
		busy := 0
		for _, s := range allServers(t, u) {
			if s.Status == "BUILD" || s.TaskState != "" {
				busy++
			}
		}
		if busy > 0 {
			return fmt.Sprintf("%d are busy", busy)
		}
		return ""
	})
}

// another starts a second conductor beside a split cloud's, on the same database:
// nothing but the database keeps the two apart.
func another(t *testing.T, c *cloud) {
	t.Helper()
	if len(c.stacks) == 1 {
		return
	}
	first := c.stacks[2].Config
	second := first
	second.Roles, second.Data, second.Host = "conductor", t.TempDir(), "second"
	second.Listen.Address = freeAddresses(t, 1)[0]
	second.Database.Connection = "sqlite://" + filepath.Join(first.Data, "db") + "/%s.db"
	st, err := stack.Start(t.Context(), second, testLog(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
}

// TestEvacuationsKeepGroups: many members that leave a host which is down, while
// others are built, end where their groups' policies allow, or stay refused.
func TestEvacuationsKeepGroups(t *testing.T) {
	c := oneWith(t, func(c *stack.Config) { c.Fake.Hosts = 3 })
	eventually(t, "hosts", func() string {
		if n := len(hostNames(t, c)); n != 3 {
			return fmt.Sprint(n, " hosts")
		}
		return ""
	})
	image, network := imageID(t, c.demo), networkID(t, c.demo, "private")
	spread, pair := newGroup(t, c.demo, "anti-affinity", 0), newGroup(t, c.demo, "anti-affinity", 2)
	together := newGroup(t, c.demo, "affinity", 0)
	more := func(group string) error {
		_, err := servers.Create(t.Context(), c.demo.compute, servers.CreateOpts{Name: "member", FlavorRef: "1", ImageRef: image, Networks: []servers.Network{{UUID: network}}},
			servers.SchedulerHintOpts{Group: group}).Extract()
		return err
	}
	for _, g := range []string{spread, spread, pair, pair, pair, together, together} {
		if err := more(g); err != nil {
			t.Fatal(err)
		}
	}
	settled(t, c.demo)
	check := func(when string) {
		t.Helper()
		for group, most := range map[string]int{spread: 1, pair: 2, together: 0} {
			got, err := servergroups.Get(t.Context(), c.demo.compute, group).Extract()
			if err != nil {
				t.Fatal(err)
			}
			on := map[string]int{}
			for _, id := range got.Members {
				if s, err := servers.Get(t.Context(), c.admin.compute, id).Extract(); err != nil {
					t.Fatal(err)
				} else if s.Host != "" && s.Status == "ACTIVE" {
					on[s.Host]++
				}
			}
			if most == 0 && len(on) > 1 {
				t.Errorf("%s: the affinity group is on %v", when, on)
			}
			for host, n := range on {
				if most > 0 && n > most {
					t.Errorf("%s: %s has %d servers of a group that allows %d", when, host, n, most)
				}
			}
		}
	}
	check("after the builds")
	for _, down := range hostNames(t, c) {
		c.forceDown(t, down, true)
		var leave []string
		for _, s := range allServers(t, c.admin) {
			if s.Host == down && s.Status == "ACTIVE" {
				leave = append(leave, s.ID)
			}
		}
		next := 0
		var mu sync.Mutex
		atOnce(t, len(leave)+3, nil, func() error {
			mu.Lock()
			i := next
			next++
			mu.Unlock()
			if i < len(leave) {
				return ask(t, c.admin, leave[i], map[string]any{"evacuate": map[string]any{}})
			}
			return more([]string{spread, pair, together}[i-len(leave)])
		})
		settled(t, c.admin)
		check("after the evacuation of " + down)
		c.forceDown(t, down, false)
	}
	deleteAll(t, c, c.admin)
}
