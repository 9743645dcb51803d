package cloud

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/attachinterfaces"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// killing is a cloud that is killed again and again, and what its users know of
// it: what they were promised by an answer.
type killing struct {
	*process
	rnd            *rand.Rand
	image, private string
	servers        map[string]string // id -> the status that it has to reach; "" gone
	order          []string          // of servers, as they were made
	ports          map[string]bool   // the user's own; false: deleted
	networks       map[string]bool
	kept           []string // the user's ports that servers were booted with
	rounds         map[string]int
}

// TestKilledAtAnyMoment kills the process at many different moments after it has
// promised something, starts it again on what it has left, and sees that all
// promises are kept, that guests which were running never noticed, and that in
// the end nothing is left over.
func TestKilledAtAnyMoment(t *testing.T) {
	p := newProcess(t)
	p.start(t)
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	k := &killing{process: p, rnd: rand.New(rand.NewPCG(number("KILONOVA_SEED", 9), 2026)), image: imageID(t, p.demo), private: networkID(t, p.demo, "private"),
		servers: map[string]string{}, ports: map[string]bool{}, networks: map[string]bool{}, rounds: map[string]int{}}
	bystander := boot(t, p.cloud, p.demo, "bystander").ID
	for _, name := range []string{"a", "b", "c"} {
		id := boot(t, p.cloud, p.demo, name).ID
		k.servers[id], k.order = "ACTIVE", append(k.order, id)
	}
	rounds := number("KILONOVA_KILLS", 25)
	began := time.Now()
	for range rounds {
		k.round(t)
		if times, running := p.boots(t, bystander); times != 1 || !running {
			t.Fatalf("the bystander's guest has noticed: it began %d times, it runs: %v", times, running)
		}
	}
	t.Logf("%d kills in %s: %v", rounds, time.Since(began).Round(time.Second), k.rounds)
	k.servers[bystander] = "ACTIVE"
	k.end(t)
}

// number reads a variable of the environment, for those who want other kills, or
// more of them.
func number(name string, otherwise uint64) uint64 {
	n, err := strconv.ParseUint(os.Getenv(name), 10, 32)
	if err != nil {
		return otherwise
	}
	return n
}

// round has the cloud promise one thing, kills it, starts it again and holds it
// to all that it has promised.
func (k *killing) round(t *testing.T) {
	t.Helper()
	acts := []struct {
		name string
		do   func(*testing.T)
	}{{"boot", k.boot}, {"boot", k.boot}, {"boot with port", k.bootWithPort}, {"delete while building", k.bootAndDelete}, {"delete", k.delete}, {"stop", k.stop}, {"start", k.startServer},
		{"reboot", k.reboot}, {"reboot hard", k.rebootHard}, {"attach", k.attach}, {"detach", k.detach}, {"port", k.port}, {"delete port", k.deletePort}, {"network", k.network}, {"delete network", k.deleteNetwork}}
	act := acts[k.rnd.IntN(len(acts))]
	k.rounds[act.name]++
	act.do(t)
	delay := time.Duration(k.rnd.IntN(60_000)) * time.Microsecond
	<-time.After(delay)
	k.kill(t)
	k.start(t)
	t.Logf("%s, killed after %s", act.name, delay)
	k.settled(t)
}

// may is whether a request was answered as it should; anything but a kill that
// came before the answer is a failure.
func (k *killing) may(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if _, ok := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err); ok {
		t.Fatal(err)
	}
	return false
}

// pick returns a server that shall have a status, "" if there is none.
func (k *killing) pick(status string) string {
	var all []string
	for _, id := range k.order { // not the map's: a seed stands for one run
		if s, ok := k.servers[id]; ok && s == status {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return all[k.rnd.IntN(len(all))]
}

func (k *killing) create(t *testing.T, nics ...servers.Network) []string {
	t.Helper()
	n := 1 + k.rnd.IntN(3)
	if nics[0].Port != "" {
		n = 1
	}
	s, err := servers.Create(t.Context(), k.demo.compute, servers.CreateOpts{Name: "killed", FlavorRef: "1", ImageRef: k.image, Min: n, Max: n, Networks: nics}, nil).Extract()
	if !k.may(t, err) {
		return nil
	}
	k.servers[s.ID], k.order = "ACTIVE", append(k.order, s.ID)
	return []string{s.ID}
}

func (k *killing) boot(t *testing.T) { k.create(t, servers.Network{UUID: k.private}) }

func (k *killing) bootWithPort(t *testing.T) {
	port, err := ports.Create(t.Context(), k.demo.network, ports.CreateOpts{NetworkID: k.private, Name: "kept"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	k.kept = append(k.kept, port.ID)
	k.create(t, servers.Network{Port: port.ID})
}

func (k *killing) bootAndDelete(t *testing.T) {
	for _, id := range k.create(t, servers.Network{UUID: k.private}) {
		<-time.After(time.Duration(k.rnd.IntN(40)) * time.Millisecond)
		if k.may(t, servers.Delete(t.Context(), k.demo.compute, id).ExtractErr()) {
			k.servers[id] = ""
		}
	}
}

// on does something with a server of a status, and notes the one that it shall
// have then.
func (k *killing) on(t *testing.T, from, to string, do func(id string) error) {
	t.Helper()
	id := k.pick(from)
	if id == "" {
		k.boot(t)
		return
	}
	if k.may(t, do(id)) {
		k.servers[id] = to
	}
}

func (k *killing) delete(t *testing.T) {
	k.on(t, "ACTIVE", "", func(id string) error { return servers.Delete(t.Context(), k.demo.compute, id).ExtractErr() })
}

func (k *killing) stop(t *testing.T) {
	k.on(t, "ACTIVE", "SHUTOFF", func(id string) error { return servers.Stop(t.Context(), k.demo.compute, id).ExtractErr() })
}

func (k *killing) startServer(t *testing.T) {
	k.on(t, "SHUTOFF", "ACTIVE", func(id string) error { return servers.Start(t.Context(), k.demo.compute, id).ExtractErr() })
}

func (k *killing) reboot(t *testing.T) {
	k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
		return servers.Reboot(t.Context(), k.demo.compute, id, servers.RebootOpts{Type: servers.SoftReboot}).ExtractErr()
	})
}

func (k *killing) rebootHard(t *testing.T) {
	k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
		return servers.Reboot(t.Context(), k.demo.compute, id, servers.RebootOpts{Type: servers.HardReboot}).ExtractErr()
	})
}

// attach gives a server another port while the process is killed: the answer may
// never come.
func (k *killing) attach(t *testing.T) {
	port, err := ports.Create(t.Context(), k.demo.network, ports.CreateOpts{NetworkID: k.private, Name: "kept"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	k.kept = append(k.kept, port.ID)
	for i, opts := range []attachinterfaces.CreateOpts{{PortID: port.ID}, {NetworkID: k.private}} {
		id := k.pick("ACTIVE")
		if id == "" {
			continue
		}
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			_, err := attachinterfaces.Create(t.Context(), k.demo.compute, id, opts).Extract()
			if _, refused := errors.AsType[gophercloud.ErrUnexpectedResponseCode](err); refused {
				t.Error(err)
			}
		}()
		<-time.After(time.Duration(k.rnd.IntN(30)) * time.Millisecond)
		if i == 1 || k.rnd.IntN(2) == 0 {
			k.kill(t)
			<-asked
			k.start(t)
			continue
		}
		<-asked
	}
}

// detach takes a port from a server; the user's own is there afterwards.
func (k *killing) detach(t *testing.T) {
	k.on(t, "ACTIVE", "ACTIVE", func(id string) error {
		pages, err := ports.List(k.demo.network, ports.ListOpts{DeviceID: id}).AllPages(t.Context())
		if err != nil {
			return err
		}
		all, err := ports.ExtractPorts(pages)
		if err != nil || len(all) == 0 {
			return err
		}
		err = attachinterfaces.Delete(t.Context(), k.demo.compute, id, all[k.rnd.IntN(len(all))].ID).ExtractErr()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil // its attaching was killed before the server had it
		}
		return err
	})
}

func (k *killing) port(t *testing.T) {
	p, err := ports.Create(t.Context(), k.demo.network, ports.CreateOpts{NetworkID: k.private, Name: "killed"}).Extract()
	if k.may(t, err) {
		k.ports[p.ID] = true
	}
}

func (k *killing) deletePort(t *testing.T) {
	k.port(t)
	for id, there := range k.ports {
		if there && k.may(t, ports.Delete(t.Context(), k.demo.network, id).ExtractErr()) {
			k.ports[id] = false
		}
	}
}

func (k *killing) network(t *testing.T) {
	n, err := networks.Create(t.Context(), k.demo.network, networks.CreateOpts{Name: "killed"}).Extract()
	if !k.may(t, err) {
		return
	}
	k.networks[n.ID] = true
	subnets.Create(t.Context(), k.demo.network, subnets.CreateOpts{NetworkID: n.ID, IPVersion: gophercloud.IPv4, CIDR: "10.77.0.0/24"}).Extract()
}

func (k *killing) deleteNetwork(t *testing.T) {
	k.network(t)
	for id, there := range k.networks {
		if there && k.may(t, networks.Delete(t.Context(), k.demo.network, id).ExtractErr()) {
			k.networks[id] = false
		}
	}
}

// settled waits until every server is what was promised, or in ERROR with a
// reason, and sees that other promises are kept at once.
func (k *killing) settled(t *testing.T) {
	t.Helper()
	for id, there := range k.ports {
		if _, err := ports.Get(t.Context(), k.demo.network, id).Extract(); gophercloud.ResponseCodeIs(err, http.StatusNotFound) == there {
			t.Fatalf("port %s shall be there: %v, and: %v", id, there, err)
		}
	}
	for id, there := range k.networks {
		if _, err := networks.Get(t.Context(), k.demo.network, id).Extract(); gophercloud.ResponseCodeIs(err, http.StatusNotFound) == there {
			t.Fatalf("network %s shall be there: %v, and: %v", id, there, err)
		}
	}
	for id, want := range k.servers {
		eventually(t, "server "+id, func() string {
			s, err := servers.Get(t.Context(), k.demo.compute, id).Extract()
			if want == "" {
				if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
					return ""
				}
				return fmt.Sprint("it shall be gone: ", s, err)
			}
			if err != nil {
				return err.Error()
			}
			if s.Status == "ERROR" && s.TaskState == "" && s.Fault.Message != "" {
				t.Logf("server %s is in ERROR: %s", id, s.Fault.Message)
				k.servers[id] = "ERROR"
				return ""
			}
			_, running := k.boots(t, id)
			if s.Status != want || s.TaskState != "" || slices.Contains(runningIn, want) != running {
				return fmt.Sprintf("it shall be %s, and is %s (%s, %s); its guest runs: %v", want, s.Status, s.TaskState, s.VmState, running)
			}
			return ""
		})
		if want == "" {
			delete(k.servers, id)
		}
	}
}

// runningIn are the statuses of servers whose guests run.
var runningIn = []string{"ACTIVE", "VERIFY_RESIZE", "RESCUE"}

// end deletes everything and looks for what is left.
func (k *killing) end(t *testing.T) {
	t.Helper()
	for _, s := range k.all(t) {
		if err := servers.Delete(t.Context(), k.demo.compute, s.ID).ExtractErr(); err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			t.Fatal(err)
		}
	}
	eventually(t, "delete of all", func() string {
		if n := len(k.all(t)); n > 0 {
			return fmt.Sprint(n, " servers are there")
		}
		return ""
	})
	for _, id := range k.kept { // they were the user's and are again
		if p, err := ports.Get(t.Context(), k.demo.network, id).Extract(); err != nil || p.DeviceID != "" {
			t.Errorf("port %s of the user after its server's end: %+v, %v", id, p, err)
		}
	}
	pages, err := ports.List(k.admin.network, ports.ListOpts{}).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	left, err := ports.ExtractPorts(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range left {
		if strings.HasPrefix(p.DeviceOwner, "compute:") || p.DeviceOwner == "" && p.Name != "kept" && !k.ports[p.ID] {
			t.Errorf("a port is left: %+v", p)
		}
	}
	counts := openRows(t, k.data).quiet(t)
	for _, name := range []string{"placement.allocations", "placement.consumers"} {
		if counts[name] != 0 {
			t.Errorf("%d rows are left in %s", counts[name], name)
		}
	}
	eventually(t, "hosts", func() string {
		for _, h := range k.hosts(t) {
			if len(h.Guests)+len(h.Taps) > 0 {
				return fmt.Sprintf("%d guests and %d taps are left: %v", len(h.Guests), len(h.Taps), h)
			}
		}
		return ""
	})
}

func (k *killing) all(t *testing.T) []servers.Server {
	t.Helper()
	pages, err := servers.List(k.demo.compute, nil).AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := servers.ExtractServers(pages)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
