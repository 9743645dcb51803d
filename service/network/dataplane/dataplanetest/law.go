package dataplanetest

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
)

// patience bounds how long a report may take.
const patience = 10 * time.Second

// Harness is how the law reaches a driver and the host below it.
type Harness struct {
	// Open returns a driver as an agent has it after its start. The host is the
	// same each time, and empty at first.
	Open func(t *testing.T) dataplane.Driver
	// Plug makes a port's device as a compute agent does, Unplug takes it away.
	Plug, Unplug func(t *testing.T, device string)
	// Physical names a physical network that the driver has been configured
	// with.
	Physical string
}

// Test holds a driver to the law.
func Test(t *testing.T, h Harness) {
	for _, law := range []struct {
		name string
		test func(*testing.T, Harness, dataplane.Driver)
	}{
		{"EmptyHost", testEmptyHost},
		{"Network", testNetwork},
		{"FlatNetwork", testFlatNetwork},
		{"Port", testPort},
		{"PortOrder", testPortOrder},
		{"Router", testRouter},
		{"RouterOrder", testRouterOrder},
		{"Restart", testRestart},
		{"Refuse", testRefuse},
		{"Devices", testDevices},
		{"Metadata", testMetadata},
		{"MetadataEnds", testMetadataEnds},
		{"Clean", testClean},
	} {
		t.Run(law.name, func(t *testing.T) {
			d := h.Open(t)
			t.Cleanup(func() {
				if err := d.Clean(context.Background()); err != nil {
					t.Errorf("Clean: %v", err)
				}
				observe(t, d, dataplane.Observed{})
			})
			law.test(t, h, d)
		})
	}
}

func testEmptyHost(t *testing.T, _ Harness, d dataplane.Driver) {
	observe(t, d, dataplane.Observed{})
	for range 2 {
		must(t, d.Clean(t.Context()))
	}
	must(t, d.RemovePort(t.Context(), id("port", 1)))
	must(t, d.RemoveRouter(t.Context(), id("router", 1)))
	must(t, d.RemoveNetwork(t.Context(), id("net", 1)))
	observe(t, d, dataplane.Observed{})
}

func testNetwork(t *testing.T, _ Harness, d dataplane.Driver) {
	n := Network(1)
	want := dataplane.Observed{Networks: []string{n.ID}}
	twice(t, func() error { return d.EnsureNetwork(t.Context(), n) })
	observe(t, d, want)

	n.MTU = 1300
	n.Subnets[0].DNS = nil
	n.DHCP.Reservations = append(n.DHCP.Reservations, reservation(1, 77))
	twice(t, func() error { return d.EnsureNetwork(t.Context(), n) })
	observe(t, d, want)

	dhcp := n.DHCP
	n.DHCP = nil
	twice(t, func() error { return d.EnsureNetwork(t.Context(), n) })
	observe(t, d, want)

	n.DHCP = dhcp
	twice(t, func() error { return d.EnsureNetwork(t.Context(), n) })

	other := Network(2)
	must(t, d.EnsureNetwork(t.Context(), other))
	observe(t, d, dataplane.Observed{Networks: []string{n.ID, other.ID}})

	twice(t, func() error { return d.RemoveNetwork(t.Context(), n.ID) })
	observe(t, d, dataplane.Observed{Networks: []string{other.ID}})
}

func testFlatNetwork(t *testing.T, h Harness, d dataplane.Driver) {
	n := Network(1)
	n.Type, n.Physical = "flat", h.Physical
	for range 2 {
		twice(t, func() error { return d.EnsureNetwork(t.Context(), n) })
		observe(t, d, dataplane.Observed{Networks: []string{n.ID}})
		twice(t, func() error { return d.RemoveNetwork(t.Context(), n.ID) })
		observe(t, d, dataplane.Observed{})
	}
}

func testPort(t *testing.T, h Harness, d dataplane.Driver) {
	n, p := Network(1), Port(1, 10)
	must(t, d.EnsureNetwork(t.Context(), n))
	wire(t, d, p, false)
	must(t, d.RemovePort(t.Context(), p.ID))
	observe(t, d, dataplane.Observed{Networks: []string{n.ID}})
	wire(t, d, p, false)

	plug(t, h, p)
	want := dataplane.Observed{Networks: []string{n.ID}, Ports: []string{p.ID[:11]}}
	wire(t, d, p, true)
	wire(t, d, p, true)
	observe(t, d, want)

	for _, change := range []func(){
		func() { p.Rules = nil },
		func() { p.Secured = false },
		func() { p.Secured = true },
		func() { p.Pairs = nil },
		func() { p.AdminUp = false },
		func() { p.AdminUp = true },
		func() { p.Addresses = nil },
		func() { p.Rules = Port(1, 10).Rules },
		func() { p.MAC = "fa:16:3e:aa:bb:cc" },
	} {
		change()
		wire(t, d, p, true)
		wire(t, d, p, true)
		observe(t, d, want)
	}

	h.Unplug(t, network.TapName(p.ID))
	wire(t, d, p, false)
	h.Plug(t, network.TapName(p.ID))
	wire(t, d, p, true)
	observe(t, d, want)
	twice(t, func() error { return d.RemovePort(t.Context(), p.ID) })
	observe(t, d, dataplane.Observed{Networks: []string{n.ID}})

	wire(t, d, p, true)
	must(t, d.RemovePort(t.Context(), p.ID[:11]))
	observe(t, d, dataplane.Observed{Networks: []string{n.ID}})

	// A port can come back in another network.
	other := Network(2)
	must(t, d.EnsureNetwork(t.Context(), other))
	wire(t, d, p, true)
	p.NetworkID = other.ID
	wire(t, d, p, true)
	must(t, d.RemoveNetwork(t.Context(), n.ID))
	observe(t, d, dataplane.Observed{Networks: []string{other.ID}, Ports: []string{p.ID[:11]}})
}

func testPortOrder(t *testing.T, h Harness, d dataplane.Driver) {
	n, p := Network(1), Port(1, 10)
	plug(t, h, p)
	if wired, err := d.EnsurePort(t.Context(), p); wired || !fault.Is(err, fault.Conflict) {
		t.Fatalf("a port without its network: wired %v, %v", wired, err)
	}
	must(t, d.EnsureNetwork(t.Context(), n))
	wire(t, d, p, true)
	if err := d.RemoveNetwork(t.Context(), n.ID); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a network was removed before its port: %v", err)
	}
	observe(t, d, dataplane.Observed{Networks: []string{n.ID}, Ports: []string{p.ID[:11]}})
	must(t, d.RemovePort(t.Context(), p.ID))
	must(t, d.RemoveNetwork(t.Context(), n.ID))
}

func testRouter(t *testing.T, h Harness, d dataplane.Driver) {
	inside, other, outside := Network(1), Network(2), external(h)
	for _, n := range []network.HostNetwork{inside, other, outside} {
		must(t, d.EnsureNetwork(t.Context(), n))
	}
	networks := []string{inside.ID, other.ID, outside.ID}
	r := Router(1, inside, other, outside)
	want := dataplane.Observed{Networks: networks, Routers: []string{r.ID}}
	twice(t, func() error { return d.EnsureRouter(t.Context(), r) })
	observe(t, d, want)

	gateway := r.Gateway
	for _, change := range []func(){
		func() { r.Floating = r.Floating[:1] },
		func() { r.SNAT = false },
		func() { r.Routes = nil },
		func() { r.AdminUp = false },
		func() { r.AdminUp = true },
		func() { r.Interfaces = r.Interfaces[:1] },
		func() { r.Floating, r.Gateway, r.NextHop = nil, nil, noAddr },
		func() { r.Interfaces = Router(1, inside, other, outside).Interfaces },
		func() { r.Gateway, r.SNAT = gateway, true },
		func() { r.Interfaces = nil },
	} {
		change()
		twice(t, func() error { return d.EnsureRouter(t.Context(), r) })
		observe(t, d, want)
	}
	twice(t, func() error { return d.RemoveRouter(t.Context(), r.ID) })
	observe(t, d, dataplane.Observed{Networks: networks})
}

func testRouterOrder(t *testing.T, h Harness, d dataplane.Driver) {
	inside, other, outside := Network(1), Network(2), external(h)
	r := Router(1, inside, other, outside)
	if err := d.EnsureRouter(t.Context(), r); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a router without its networks: %v", err)
	}
	for _, n := range []network.HostNetwork{inside, other, outside} {
		must(t, d.EnsureNetwork(t.Context(), n))
	}
	must(t, d.EnsureRouter(t.Context(), r))
	for _, n := range []network.HostNetwork{inside, other, outside} {
		if err := d.RemoveNetwork(t.Context(), n.ID); !fault.Is(err, fault.Conflict) {
			t.Fatalf("network %s was removed before its router: %v", n.ID, err)
		}
	}
	must(t, d.RemoveRouter(t.Context(), r.ID))
	for _, n := range []network.HostNetwork{inside, other, outside} {
		must(t, d.RemoveNetwork(t.Context(), n.ID))
	}
}

func testRestart(t *testing.T, h Harness, d dataplane.Driver) {
	inside, other, outside := Network(1), Network(2), external(h)
	networks := []network.HostNetwork{inside, other, outside}
	r, p := Router(1, inside, other, outside), Port(1, 10)
	plug(t, h, p)
	ensure := func(d dataplane.Driver) {
		for _, n := range networks {
			must(t, d.EnsureNetwork(t.Context(), n))
		}
		wire(t, d, p, true)
		must(t, d.EnsureRouter(t.Context(), r))
	}
	want := dataplane.Observed{
		Networks: []string{inside.ID, other.ID, outside.ID},
		Ports:    []string{p.ID[:11]},
		Routers:  []string{r.ID},
	}
	ensure(d)
	second := h.Open(t)
	observe(t, second, want)
	ensure(second)
	observe(t, second, want)

	third := h.Open(t) // removes what it has not made itself
	must(t, third.RemoveRouter(t.Context(), r.ID))
	must(t, third.RemovePort(t.Context(), p.ID[:11]))
	for _, n := range networks {
		must(t, third.RemoveNetwork(t.Context(), n.ID))
	}
	observe(t, third, dataplane.Observed{})
	ensure(second) // what the driver remembers must not fool it
	observe(t, second, want)
}

func testDevices(t *testing.T, h Harness, d dataplane.Driver) {
	ctx, cancel := context.WithCancel(t.Context())
	reports, err := d.Devices(ctx)
	must(t, err)
	p, q := Port(1, 10), Port(1, 11)
	plug(t, h, p)
	await(t, reports, network.TapName(p.ID))
	plug(t, h, q)
	await(t, reports, network.TapName(q.ID))
	h.Unplug(t, network.TapName(p.ID))
	await(t, reports, network.TapName(p.ID))
	cancel()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-reports:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the reports did not end with their context")
		}
	}
}

func testMetadata(t *testing.T, _ Harness, d dataplane.Driver) {
	n := Network(1)
	if _, err := d.ListenMetadata(t.Context(), n.ID); !fault.Is(err, fault.Conflict) {
		t.Fatalf("listening in a network that is not here: %v", err)
	}
	dhcp := n.DHCP
	n.DHCP = nil
	must(t, d.EnsureNetwork(t.Context(), n))
	if _, err := d.ListenMetadata(t.Context(), n.ID); !fault.Is(err, fault.Conflict) {
		t.Fatalf("listening in a network without DHCP: %v", err)
	}
	n.DHCP = dhcp
	must(t, d.EnsureNetwork(t.Context(), n))
	first, err := d.ListenMetadata(t.Context(), n.ID)
	must(t, err)
	if _, err := d.ListenMetadata(t.Context(), n.ID); !fault.Is(err, fault.Conflict) {
		t.Fatalf("listening twice: %v", err)
	}
	must(t, first.Close())
	again, err := d.ListenMetadata(t.Context(), n.ID)
	must(t, err)
	must(t, again.Close())
}

func testMetadataEnds(t *testing.T, _ Harness, d dataplane.Driver) {
	n := Network(1)
	for name, end := range map[string]func() error{
		"DHCP off": func() error {
			without := n
			without.DHCP = nil
			return d.EnsureNetwork(t.Context(), without)
		},
		"RemoveNetwork": func() error { return d.RemoveNetwork(t.Context(), n.ID) },
		"Clean":         func() error { return d.Clean(t.Context()) },
	} {
		must(t, d.EnsureNetwork(t.Context(), n))
		l, err := d.ListenMetadata(t.Context(), n.ID)
		must(t, err)
		result := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			result <- err
		}()
		must(t, end())
		select {
		case err := <-result:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Accept ended with %v", name, err)
			}
		case <-time.After(patience):
			t.Fatalf("%s: Accept did not end", name)
		}
	}
}

func testClean(t *testing.T, h Harness, d dataplane.Driver) {
	inside, other, outside := Network(1), Network(2), external(h)
	p := Port(1, 10)
	plug(t, h, p)
	for range 2 {
		for _, n := range []network.HostNetwork{inside, other, outside} {
			must(t, d.EnsureNetwork(t.Context(), n))
		}
		wire(t, d, p, true)
		must(t, d.EnsureRouter(t.Context(), Router(1, inside, other, outside)))
		twice(t, func() error { return d.Clean(t.Context()) })
		observe(t, d, dataplane.Observed{})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func twice(t *testing.T, do func() error) {
	t.Helper()
	must(t, do())
	if err := do(); err != nil {
		t.Fatalf("the second time: %v", err)
	}
}

func plug(t *testing.T, h Harness, p network.HostPort) {
	t.Helper()
	device := network.TapName(p.ID)
	h.Plug(t, device)
	t.Cleanup(func() { h.Unplug(t, device) })
}

func wire(t *testing.T, d dataplane.Driver, p network.HostPort, want bool) {
	t.Helper()
	wired, err := d.EnsurePort(t.Context(), p)
	if err != nil || wired != want {
		t.Fatalf("EnsurePort: wired %v, %v; want %v", wired, err, want)
	}
}

func observe(t *testing.T, d dataplane.Driver, want dataplane.Observed) {
	t.Helper()
	got, err := d.Observe(context.Background())
	must(t, err)
	for _, kind := range []struct {
		name      string
		got, want []string
	}{
		{"networks", got.Networks, want.Networks},
		{"ports", got.Ports, want.Ports},
		{"routers", got.Routers, want.Routers},
	} {
		seen, expected := slices.Sorted(slices.Values(kind.got)), slices.Sorted(slices.Values(kind.want))
		if !slices.Equal(seen, expected) {
			t.Fatalf("Observe: %s %q, want %q", kind.name, seen, expected)
		}
	}
}

func await(t *testing.T, reports <-chan string, device string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got, open := <-reports:
			if !open {
				t.Fatalf("the reports ended before that of %s", device)
			}
			if got == device {
				return
			}
		case <-deadline:
			t.Fatalf("no report of %s", device)
		}
	}
}
