package cloud

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// Figures of the hosts in these tests, in kilobits a second.
const wayKbps = 1000

// wired is a cloud whose hosts have a physical network with a bandwidth.
func wired(c *stack.Config) {
	c.Network.VLANRanges = []string{"trunk:100:200"}
	c.LinuxBridge.Bandwidths = []string{fmt.Sprintf("trunk:%d:%d", wayKbps, wayKbps)}
	c.LinuxBridge.Packets = []string{":50"}
}

// send sends a body to a service and reads the answer.
func (c *cloud) send(t *testing.T, u *gophercloud.ServiceClient, method, path string, body, into any) error {
	t.Helper()
	_, err := u.Request(t.Context(), method, u.Endpoint+path, &gophercloud.RequestOpts{JSONBody: body, JSONResponse: into, OkCodes: []int{200, 201, 202, 204}})
	return err
}

func (c *cloud) must(t *testing.T, u *gophercloud.ServiceClient, method, path string, body, into any) {
	t.Helper()
	if err := c.send(t, u, method, path, body, into); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

type object = map[string]any

// qos makes a shared policy of so much bandwidth in a direction, and packets (0: no rule).
func (c *cloud) qos(t *testing.T, direction string, kbps, kpps int) string {
	t.Helper()
	var p struct{ Policy struct{ ID string } }
	c.must(t, c.admin.network, "POST", "v2.0/qos/policies", object{"policy": object{"name": "q", "shared": true}}, &p)
	at := "v2.0/qos/policies/" + p.Policy.ID
	if kbps > 0 {
		c.must(t, c.admin.network, "POST", at+"/minimum_bandwidth_rules", object{"minimum_bandwidth_rule": object{"min_kbps": kbps, "direction": direction}}, nil)
	}
	if kpps > 0 {
		c.must(t, c.admin.network, "POST", at+"/minimum_packet_rate_rules", object{"minimum_packet_rate_rule": object{"min_kpps": kpps, "direction": "any"}}, nil)
	}
	return p.Policy.ID
}

func (c *cloud) trunk(t *testing.T, more object) string {
	t.Helper()
	body := object{"name": "trunk", "shared": true, "provider:network_type": "vlan", "provider:physical_network": "trunk"}
	maps.Copy(body, more)
	var n struct{ Network struct{ ID string } }
	c.must(t, c.admin.network, "POST", "v2.0/networks", object{"network": body}, &n)
	c.must(t, c.admin.network, "POST", "v2.0/subnets", object{"subnet": object{"network_id": n.Network.ID, "ip_version": 4, "cidr": "10.9.0.0/24"}}, nil)
	return n.Network.ID
}

func (c *cloud) portWith(t *testing.T, network, policy string) string {
	t.Helper()
	var p struct{ Port struct{ ID string } }
	c.must(t, c.demo.network, "POST", "v2.0/ports", object{"port": object{"network_id": network, "qos_policy_id": policy}}, &p)
	return p.Port.ID
}

// wires says what consumers have claimed of the ways to the network, "server@dev-1
// EGR=5 ", and that the port's binding names the providers.
func (c *cloud) wires(t *testing.T, id string, ports ...string) string {
	t.Helper()
	text, of := "", map[string]bool{}
	for _, a := range c.allocations(t, id) {
		host, _, below := strings.Cut(a.provider.Name, ":")
		if !below {
			continue
		}
		of[a.provider.UUID] = of[a.provider.UUID] || a.who == "server"
		for _, class := range slices.Sorted(maps.Keys(a.resources)) {
			text += fmt.Sprintf("%s@%s %s=%d ", a.who, host, class[4:len("NET_BW_EGR")], a.resources[class])
		}
	}
	assigned := map[string]bool{}
	for _, port := range ports {
		var p struct {
			Port struct {
				Profile struct {
					Allocation map[string]string `json:"allocation"`
				} `json:"binding:profile"`
			}
		}
		c.get(t, c.admin.network, "/v2.0/ports/"+port, &p)
		for _, provider := range p.Port.Profile.Allocation {
			assigned[provider] = true
		}
	}
	for provider, mine := range of {
		if mine != assigned[provider] {
			text += fmt.Sprintf("claimed %v, in the binding %v ", of, assigned)
			break
		}
	}
	if len(of) == 0 && len(assigned) > 0 {
		text += fmt.Sprintf("in the binding %v ", assigned)
	}
	return text
}

func (c *cloud) wiresAre(t *testing.T, id, want string, ports ...string) {
	t.Helper()
	eventually(t, "the claim of "+id, func() string {
		if got := c.wires(t, id, ports...); got != want {
			return fmt.Sprintf("it is %q, want %q", got, want)
		}
		return ""
	})
}

// waysKnown waits until Placement knows the ways of all hosts.
func waysKnown(t *testing.T, c *cloud) {
	t.Helper()
	hostsUp(t, c)
	eventually(t, "the ways to the network", func() string {
		var out struct {
			Summaries map[string]any `json:"provider_summaries"`
		}
		c.get(t, c.admin.placement, "/allocation_candidates?resources1=NET_BW_EGR_KILOBIT_PER_SEC:1&resources2=NET_PACKET_RATE_KILOPACKET_PER_SEC:1&group_policy=none", &out)
		if len(out.Summaries) < 6 { // two hosts, each with an agent and a way
			return fmt.Sprintf("%d providers", len(out.Summaries))
		}
		return ""
	})
}

func (c *cloud) bootOn(t *testing.T, ports ...string) *servers.Server {
	t.Helper()
	var nics []servers.Network
	for _, p := range ports {
		nics = append(nics, servers.Network{Port: p})
	}
	s, err := servers.Create(t.Context(), c.demo.compute, servers.CreateOpts{Name: "wired", FlavorRef: "1", ImageRef: imageID(t, c.demo), Networks: nics}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBandwidthIsClaimed: what ports are promised is taken of their host when a
// server is built, changed, moved and deleted, and a host gives no more than it has.
func TestBandwidthIsClaimed(t *testing.T) {
	eachWith(t, wired, testBandwidth)
}

func testBandwidth(t *testing.T, c *cloud) {
	waysKnown(t, c)
	network, u := c.trunk(t, nil), c.demo
	big := c.qos(t, "egress", 600, 10)
	port := c.portWith(t, network, big)
	s := c.bootOn(t, port)
	settledAs(t, u, s.ID, "ACTIVE")
	a := c.where(t, s.ID).host
	b := c.other(t, a)
	at := func(host string) string { return fmt.Sprintf("server@%s PACKET=10 server@%s BW_EGR=600 ", host, host) }
	is := func(want ...string) {
		t.Helper()
		got := func() string { return sortedWords(c.wires(t, s.ID, port)) }
		eventually(t, "the claim", func() string {
			if g := got(); g != sortedWords(strings.Join(want, "")) {
				return fmt.Sprintf("it is %q, want %q", g, want)
			}
			return ""
		})
	}
	is(at(a))

	// A host has room for one of these; a third finds none.
	second, third := c.portWith(t, network, big), c.portWith(t, network, big)
	other := c.bootOn(t, second)
	settledAs(t, u, other.ID, "ACTIVE")
	if c.where(t, other.ID).host != b {
		t.Error("two servers have more bandwidth than their host")
	}
	refused := c.bootOn(t, third)
	if got := settledAs(t, u, refused.ID, "ERROR"); !strings.Contains(got.Fault.Message, "No valid host") {
		t.Errorf("%+v", got.Fault)
	}
	c.wiresAre(t, refused.ID, "", third)
	for _, id := range []string{refused.ID, other.ID} {
		if err := servers.Delete(t.Context(), u.compute, id).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		gone(t, c, id)
	}
	c.wiresAre(t, other.ID, "", second)

	// Another policy on the port: the claim follows, or is refused and stays.
	policy := func(id any) error {
		return c.send(t, u.network, "PUT", "v2.0/ports/"+port, object{"port": object{"qos_policy_id": id}}, nil)
	}
	if err := policy(c.qos(t, "ingress", 700, 10)); err != nil {
		t.Fatal(err)
	}
	is(strings.ReplaceAll(at(a), "BW_EGR=600", "BW_IGR=700"))
	if err := policy(c.qos(t, "egress", wayKbps+1, 10)); !gophercloud.ResponseCodeIs(err, http.StatusConflict) {
		t.Errorf("more than the host has: %v", err)
	}
	is(strings.ReplaceAll(at(a), "BW_EGR=600", "BW_IGR=700"))
	if err := policy(big); err != nil {
		t.Fatal(err)
	}
	is(at(a))

	// Moves: the old place stays the migration's until it is decided.
	old := strings.ReplaceAll(at(a), "server", "migration")
	for _, end := range []string{"revertResize", "confirmResize"} {
		if err := servers.Resize(t.Context(), u.compute, s.ID, servers.ResizeOpts{FlavorRef: "5"}).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, s.ID, "VERIFY_RESIZE")
		is(at(b), old)
		if err := ask(t, u, s.ID, object{end: nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, s.ID, "ACTIVE")
		is(at(map[string]string{"revertResize": a, "confirmResize": b}[end]))
	}
	if err := ask(t, c.admin, s.ID, json.RawMessage(`{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, s.ID, "ACTIVE")
	is(at(a))
	c.forceDown(t, a, true)
	if err := ask(t, c.admin, s.ID, object{"evacuate": object{}}); err != nil {
		t.Fatal(err)
	}
	settledAs(t, u, s.ID, "ACTIVE")
	c.forceDown(t, a, false)
	is(at(b))
	for _, x := range []struct{ action, status, want string }{{"shelve", "SHELVED_OFFLOADED", ""}, {"unshelve", "ACTIVE", "any"}} {
		if err := ask(t, u, s.ID, object{x.action: nil}); err != nil {
			t.Fatal(err)
		}
		settledAs(t, u, s.ID, x.status)
		if x.want == "any" {
			x.want = at(c.where(t, s.ID).host)
		}
		is(x.want)
	}
	here := c.where(t, s.ID).host

	// A further port, as long as the host has room.
	small := c.qos(t, "egress", 300, 0)
	more, toomuch := c.portWith(t, network, small), c.portWith(t, network, small)
	if _, err := attachinterfaces.Create(t.Context(), u.compute, s.ID, attachinterfaces.CreateOpts{PortID: more}).Extract(); err != nil {
		t.Fatal(err)
	}
	both := strings.ReplaceAll(at(here), "600", "900")
	is(both)
	if _, err := attachinterfaces.Create(t.Context(), u.compute, s.ID, attachinterfaces.CreateOpts{PortID: toomuch}).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
		t.Errorf("more than the host has: %v", err)
	}
	is(both)
	c.wiresAre(t, toomuch, "", toomuch) // nothing is in its binding
	eventually(t, "the port's end", func() string {
		if err := attachinterfaces.Delete(t.Context(), u.compute, s.ID, more).ExtractErr(); err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return err.Error() // the port is being attached still
		}
		if got := c.wires(t, s.ID, port); sortedWords(got) != sortedWords(at(here)) {
			return got
		}
		return ""
	})

	// What cannot be is refused when it is asked for.
	compute := *u.compute
	compute.Microversion = "2.71"
	if _, err := servers.Create(t.Context(), &compute, servers.CreateOpts{Name: "old", FlavorRef: "1", ImageRef: imageID(t, u), Networks: []servers.Network{{Port: third}}}, nil).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusBadRequest) {
		t.Errorf("before 2.72: %v", err)
	}
	if err := servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	gone(t, c, s.ID)
	is("")
}

// sortedWords puts a claim into an order that does not depend on names.
func sortedWords(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, "@", " @"))
	var claims []string
	for i := 0; i+2 < len(words); i += 3 {
		claims = append(claims, strings.Join(words[i:i+3], " "))
	}
	slices.Sort(claims)
	return strings.Join(claims, ", ")
}
