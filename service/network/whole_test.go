package network_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/bus"
	"kilonova/internal/db/dbtest"
	"kilonova/service/network"
	"kilonova/service/network/agent"
	"kilonova/service/network/control"
	"kilonova/service/network/dataplane/fake"
	"kilonova/service/network/store"
)

// whole is control, a bus and agents with fake dataplanes: the service without
// its HTTP face.
type whole struct {
	t       testing.TB
	bus     *bus.Bus
	store   *store.Store
	control *control.Control
	admin   context.Context
	events  chan network.Event
}

type compute struct{ events chan network.Event }

func (c compute) Notify(_ context.Context, e network.Event) error {
	c.events <- e
	return nil
}

func newWhole(t testing.TB) *whole {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := bus.StartServer("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	b, err := server.Connect(log, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	w := &whole{t: t, bus: b, store: s, events: make(chan network.Event, 1000)}
	w.admin = auth.With(t.Context(), &auth.Caller{UserID: "admin", ProjectID: "admin", Roles: []string{"admin", "member", "reader"}})
	options := control.Defaults()
	options.ReportInterval = 1
	options.AgentDownTime = 3
	w.control, err = control.New(control.Config{Store: s, Bus: b, Compute: compute{w.events}, Log: log, Now: time.Now, Options: options})
	if err != nil {
		t.Fatal(err)
	}
	w.run(w.control.Run)
	return w
}

// run has f work until the test ends, or until the returned function is called.
func (w *whole) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)
	return stop
}

func (w *whole) agent(host string, driver *fake.Driver, metadata agent.MetadataBackend) (stop func()) {
	a := agent.New(agent.Config{Host: host, Driver: driver, Bus: w.bus, Metadata: metadata, Log: slog.New(slog.DiscardHandler), Now: time.Now, Retry: 5 * time.Millisecond})
	return w.run(a.Run)
}

// eventually waits until ok holds.
func (w *whole) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			w.t.Fatalf("%s did not come true", what)
		case <-tick.C:
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("%+v", err))
	}
	return v
}

func (w *whole) network(cidr string) (network.Network, network.Subnet) {
	n := must(w.control.CreateNetworks(w.admin, []network.NetworkInput{{}}))[0]
	s := must(w.control.CreateSubnets(w.admin, []network.SubnetInput{{NetworkID: network.Some(n.ID), IPVersion: network.Some(4), CIDR: network.Some(cidr)}}))[0]
	return n, s
}

func (w *whole) server(n network.Network, host, server string) network.Port {
	return must(w.control.CreatePorts(w.admin, []network.PortInput{{NetworkID: network.Some(n.ID), Host: network.Some(host),
		DeviceID: network.Some(server), DeviceOwner: network.Some("compute:nova")}}))[0]
}

func (w *whole) status(id string) string { return must(w.control.Port(w.admin, id)).Status }

func (w *whole) event(want string) network.Event {
	w.t.Helper()
	select {
	case e := <-w.events:
		if e.Name != want {
			w.t.Fatalf("compute was told %+v, want %s", e, want)
		}
		return e
	case <-time.After(20 * time.Second):
		w.t.Fatalf("compute was not told %s", want)
		return network.Event{}
	}
}

func (w *whole) agentUp(host string) {
	w.t.Helper()
	w.eventually("agent on "+host, func() bool {
		return len(must(w.control.Agents(w.admin, network.Query{Filters: map[string][]string{"host": {host}}}))) == 3
	})
}

func TestPortGoesUpAndDown(t *testing.T) {
	w := newWhole(t)
	driver := fake.New(fake.Config{})
	w.agent("h1", driver, agent.MetadataBackend{})
	w.agentUp("h1")
	n, s := w.network("10.0.0.0/24")
	started := time.Now()
	p := w.server(n, "h1", "s1")
	if p.VIFType != network.VIFBridge || p.Status != network.Down {
		t.Fatalf("bound as %s, %s", p.VIFType, p.Status)
	}
	if e := w.event(network.EventPlugged); e.ServerID != "s1" || e.PortID != p.ID || e.Status != "completed" {
		t.Fatalf("event %+v", e)
	}
	t.Logf("plugged after %v", time.Since(started))
	if w.status(p.ID) != network.Active {
		t.Fatal(w.status(p.ID))
	}
	made, ok := driver.Port(p.ID)
	if !ok || made.MAC != p.MAC || len(made.Rules) != 4 || !made.Secured {
		t.Fatalf("on the host: %+v", made)
	}
	hn, _ := driver.Network(n.ID)
	if hn.DHCP == nil || len(hn.DHCP.Reservations) != 1 || hn.DHCP.Reservations[0].DeviceID != "s1" || hn.Subnets[0].ID != s.ID {
		t.Fatalf("network on the host: %+v", hn)
	}
	w.eventually("DHCP port up", func() bool { return w.status(hn.DHCP.PortID) == network.Active })

	driver.Unplug(network.TapName(p.ID))
	w.event(network.EventUnplugged)
	if w.status(p.ID) != network.Down {
		t.Fatal("still up without its device")
	}
	driver.Plug(network.TapName(p.ID))
	w.event(network.EventPlugged)

	if err := w.control.DeletePort(w.admin, p.ID, network.Match{}); err != nil {
		t.Fatal(err)
	}
	w.event(network.EventDeleted)
	w.eventually("port gone from the host", func() bool { _, ok := driver.Port(p.ID); return !ok })
	if err := w.control.DeleteNetwork(w.admin, n.ID, network.Match{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("network gone from the host", func() bool { _, ok := driver.Network(n.ID); return !ok })
}

func TestRestartAdopts(t *testing.T) {
	w := newWhole(t)
	driver := fake.New(fake.Config{})
	stop := w.agent("h1", driver, agent.MetadataBackend{})
	w.agentUp("h1")
	n, _ := w.network("10.0.0.0/24")
	p := w.server(n, "h1", "s1")
	w.event(network.EventPlugged)
	gone := w.server(n, "h1", "s2")
	w.event(network.EventPlugged)
	stop()
	if err := w.control.DeletePort(w.admin, gone.ID, network.Match{}); err != nil { // while nobody is there
		t.Fatal(err)
	}
	w.event(network.EventDeleted)
	removed := driver.Calls(fake.RemovePort)
	w.agent("h1", driver, agent.MetadataBackend{})
	w.eventually("the deleted port goes", func() bool { _, ok := driver.Port(gone.ID); return !ok })
	if _, ok := driver.Port(p.ID); !ok || w.status(p.ID) != network.Active {
		t.Fatal("the restart touched a living port")
	}
	if driver.Calls(fake.RemovePort) != removed+1 || driver.Calls(fake.RemoveNetwork) != 0 {
		t.Fatal("more was removed than needed")
	}
	select {
	case e := <-w.events:
		t.Fatalf("compute was told %+v by a restart", e)
	default:
	}
}

func TestHostStaysWithoutControl(t *testing.T) {
	w := newWhole(t)
	driver := fake.New(fake.Config{})
	n := network.HostNetwork{ID: "11111111-1111-1111-1111-111111111111", MTU: 1500, Type: "local"}
	if err := driver.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	server := must(bus.StartServer("", ""))
	defer server.Close()
	lonely := must(server.Connect(slog.New(slog.DiscardHandler), ""))
	defer lonely.Close()
	a := agent.New(agent.Config{Host: "h1", Driver: driver, Bus: lonely, Log: slog.New(slog.DiscardHandler), Now: time.Now, Retry: time.Millisecond, Quiet: time.Millisecond})
	stop := w.run(a.Run)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	stop()
	if calls := driver.Calls(fake.Observe) + driver.Calls(fake.RemoveNetwork); calls != 0 {
		t.Fatalf("%d calls to the driver", calls)
	}
}

func TestFaultsAreRetried(t *testing.T) {
	w := newWhole(t)
	failures := make(chan struct{}, 3)
	for range 3 {
		failures <- struct{}{}
	}
	driver := fake.New(fake.Config{Before: func(_ context.Context, op fake.Op, _ string) error {
		if op != fake.EnsurePort {
			return nil
		}
		select {
		case <-failures:
			return io.ErrUnexpectedEOF
		default:
			return nil
		}
	}})
	w.agent("h1", driver, agent.MetadataBackend{})
	w.agentUp("h1")
	n, _ := w.network("10.0.0.0/24")
	w.server(n, "h1", "s1")
	w.event(network.EventPlugged)
	if len(failures) != 0 {
		t.Fatal("the faults did not happen")
	}
}

func TestRouterAndFloatingIP(t *testing.T) {
	w := newWhole(t)
	driver := fake.New(fake.Config{})
	w.agent("h1", driver, agent.MetadataBackend{})
	w.agentUp("h1")
	ext := must(w.control.CreateNetworks(w.admin, []network.NetworkInput{{External: network.Some(true), Type: network.Some("flat"), Physical: network.Some("public")}}))[0]
	must(w.control.CreateSubnets(w.admin, []network.SubnetInput{{NetworkID: network.Some(ext.ID), IPVersion: network.Some(4), CIDR: network.Some("172.24.4.0/24"), EnableDHCP: network.Some(false)}}))
	n, s := w.network("10.0.0.0/24")
	r := must(w.control.CreateRouter(w.admin, network.RouterInput{Gateway: network.Some(network.GatewayInput{NetworkID: network.Some(ext.ID)})}))
	must(w.control.AddInterface(w.admin, r.ID, network.InterfaceInput{SubnetID: network.Some(s.ID)}))
	p := w.server(n, "h1", "s1")
	w.event(network.EventPlugged)
	f := must(w.control.CreateFloatingIP(w.admin, network.FloatingIPInput{NetworkID: network.Some(ext.ID), PortID: network.Some(p.ID)}))
	w.event(network.EventChanged)
	w.eventually("floating IP active", func() bool { return must(w.control.FloatingIP(w.admin, f.ID)).Status == network.Active })
	made, ok := driver.Router(r.ID)
	if !ok || len(made.Floating) != 1 || made.Floating[0].Fixed.String() != p.FixedIPs[0].IP || made.NextHop.String() != "172.24.4.1" ||
		!made.SNAT || len(made.Interfaces) != 1 || made.Interfaces[0].Addresses[0].String() != "10.0.0.1/24" {
		t.Fatalf("router on the host: %+v", made)
	}
	must(w.control.UpdateFloatingIP(w.admin, f.ID, network.FloatingIPInput{PortID: network.Null[string]()}, network.Match{}))
	w.event(network.EventChanged)
	w.eventually("floating IP taken off", func() bool { made, _ := driver.Router(r.ID); return len(made.Floating) == 0 })
	must(w.control.RemoveInterface(w.admin, r.ID, network.InterfaceInput{SubnetID: network.Some(s.ID)}))
	if err := w.control.DeleteRouter(w.admin, r.ID, network.Match{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("router gone", func() bool { _, ok := driver.Router(r.ID); return !ok })
}

func TestDeadAgentIsRelieved(t *testing.T) {
	w := newWhole(t)
	one, two := fake.New(fake.Config{}), fake.New(fake.Config{})
	stop := w.agent("h1", one, agent.MetadataBackend{})
	w.agentUp("h1")
	n, _ := w.network("10.0.0.0/24")
	w.eventually("DHCP on h1", func() bool { hn, _ := one.Network(n.ID); return hn.DHCP != nil })
	w.agent("h2", two, agent.MetadataBackend{})
	w.agentUp("h2")
	stop()
	w.eventually("DHCP on h2", func() bool { hn, _ := two.Network(n.ID); return hn.DHCP != nil })
}

// CVE-2013-6419: compute is told the project of the port, so that a server of
// another project is not believed.
func TestMetadataProxy(t *testing.T) {
	w := newWhole(t)
	driver := fake.New(fake.Config{})
	backend := agent.MetadataBackend{URL: "http://metadata", Secret: "s3cret", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		text := fmt.Sprintf("%s %s %s %s %s %q", r.URL, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Instance-ID"), r.Header.Get("X-Tenant-ID"),
			r.Header.Get("X-Instance-ID-Signature"), r.Header.Get("X-Metadata-Provider"))
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}}, nil
	})}
	w.agent("h1", driver, backend)
	w.agentUp("h1")
	n, _ := w.network("10.0.0.0/24")
	p := w.server(n, "h1", "s1")
	w.event(network.EventPlugged)
	ask := func(from string) (int, string) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return driver.DialMetadata(ctx, n.ID, netip.MustParseAddr(from))
		}}}
		req := must(http.NewRequestWithContext(t.Context(), "GET", "http://169.254.169.254/latest/meta-data", nil))
		req.Header.Set("X-Instance-ID", "another")
		req.Header.Set("X-Forwarded-For", "1.2.3.4")
		req.Header.Set("X-Metadata-Provider", "x")
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		return resp.StatusCode, string(must(io.ReadAll(resp.Body)))
	}
	w.eventually("metadata", func() bool { code, _ := ask(p.FixedIPs[0].IP); return code == 200 })
	_, got := ask(p.FixedIPs[0].IP)
	// HMAC-SHA256 of "s1" with the key "s3cret", computed with openssl.
	want := `http://metadata/latest/meta-data ` + p.FixedIPs[0].IP + ` s1 admin ` + signature + ` ""`
	if got != want {
		t.Errorf("the service saw %s, want %s", got, want)
	}
	if code, body := ask("10.0.0.200"); code != http.StatusNotFound {
		t.Errorf("a stranger got %d %s", code, body)
	}
}

const signature = "704b1c5d49535debd07150742aeeddadb3dc4b621f13df53bd1e31e69ee42164"

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGroupMembersReachOtherHosts(t *testing.T) {
	w := newWhole(t)
	one, two := fake.New(fake.Config{}), fake.New(fake.Config{})
	w.agent("h1", one, agent.MetadataBackend{})
	w.agent("h2", two, agent.MetadataBackend{})
	w.agentUp("h1")
	w.agentUp("h2")
	n, _ := w.network("10.0.0.0/24")
	p := w.server(n, "h1", "s1")
	w.event(network.EventPlugged)
	remotes := func() int {
		made, _ := one.Port(p.ID)
		count := 0
		for _, r := range made.Rules {
			if r.RemoteGroup && r.EtherType == "IPv4" {
				count = len(r.Remote)
			}
		}
		return count
	}
	if got := remotes(); got != 1 {
		t.Fatalf("the rule speaks of %d members", got)
	}
	other := w.server(n, "h2", "s2")
	w.event(network.EventPlugged)
	w.eventually("h1 knows the member on h2", func() bool { return remotes() == 2 })
	must(w.control.CreateRules(w.admin, []network.RuleInput{{GroupID: network.Some(p.SecurityGroups[0]), Direction: network.Some("ingress"),
		Protocol: network.Some(network.Word("tcp")), PortMin: network.Some(22), PortMax: network.Some(22)}}))
	for _, on := range []struct {
		driver *fake.Driver
		port   string
	}{{one, p.ID}, {two, other.ID}} {
		w.eventually("the new rule", func() bool { made, _ := on.driver.Port(on.port); return len(made.Rules) == 5 })
	}
	if err := w.control.DeletePort(w.admin, other.ID, network.Match{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("h1 forgets the member", func() bool { return remotes() == 1 })
}
