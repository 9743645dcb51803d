package fake_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/dataplane"
	"kilonova/service/network/dataplane/dataplanetest"
	"kilonova/service/network/dataplane/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLaw(t *testing.T) {
	host := fake.New(fake.Config{Withhold: true})
	dataplanetest.Test(t, dataplanetest.Harness{
		Open:     func(*testing.T) dataplane.Driver { return host },
		Plug:     func(_ *testing.T, device string) { host.Plug(device) },
		Unplug:   func(_ *testing.T, device string) { host.Unplug(device) },
		Physical: "public",
	})
}

func TestDevicesArePresentUnlessTold(t *testing.T) {
	d := fake.New(fake.Config{})
	p := dataplanetest.Port(1, 10)
	if err := d.EnsureNetwork(t.Context(), dataplanetest.Network(1)); err != nil {
		t.Fatal(err)
	}
	if wired, err := d.EnsurePort(t.Context(), p); !wired || err != nil {
		t.Fatalf("wired %v, %v", wired, err)
	}
	if got, ok := d.Port(p.ID); !ok || got.MAC != p.MAC {
		t.Fatalf("Port: %+v, %v", got, ok)
	}
	d.Unplug(network.TapName(p.ID))
	if wired, err := d.EnsurePort(t.Context(), p); wired || err != nil {
		t.Fatalf("unplugged: wired %v, %v", wired, err)
	}
	if _, ok := d.Port(p.ID); ok {
		t.Fatal("the port is still wired")
	}
}

func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	var before, after error
	d := fake.New(fake.Config{
		Before: func(context.Context, fake.Op, string) error { return before },
		After:  func(context.Context, fake.Op, string) error { return after },
	})
	n := dataplanetest.Network(1)
	before = broken
	if err := d.EnsureNetwork(t.Context(), n); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, ok := d.Network(n.ID); ok {
		t.Fatal("a fault before the work left a network")
	}
	before, after = nil, broken
	if err := d.EnsureNetwork(t.Context(), n); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if _, ok := d.Network(n.ID); !ok {
		t.Fatal("a fault after the work undid it")
	}
	if _, err := d.ListenMetadata(t.Context(), n.ID); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	after = nil
	l, err := d.ListenMetadata(t.Context(), n.ID)
	if err != nil {
		t.Fatalf("a failed ListenMetadata left its listener: %v", err)
	}
	l.Close()
	if got := d.Calls(fake.EnsureNetwork); got != 2 {
		t.Fatalf("%d calls", got)
	}
}

func TestDelayEndsWithItsContext(t *testing.T) {
	d := fake.New(fake.Config{Delay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := d.Clean(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestMetadataShowsTheGuest(t *testing.T) {
	d := fake.New(fake.Config{})
	n := dataplanetest.Network(1)
	guest := netip.MustParseAddr("10.77.1.10")
	if _, err := d.DialMetadata(t.Context(), n.ID, guest); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("without a listener: %v", err)
	}
	if err := d.EnsureNetwork(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	l, err := d.ListenMetadata(t.Context(), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		io.WriteString(w, host)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialMetadata(ctx, n.ID, guest)
	}}
	response, err := (&http.Client{Transport: transport}).Get("http://169.254.169.254/")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	if string(body) != guest.String() {
		t.Fatalf("the proxy saw %q", body)
	}
	transport.CloseIdleConnections()
	if err := d.RemoveNetwork(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Serve ended with %v", err)
	}
	server.Close()
}

func BenchmarkEnsurePort(b *testing.B) {
	d := fake.New(fake.Config{})
	p := dataplanetest.Port(1, 10)
	if err := d.EnsureNetwork(b.Context(), dataplanetest.Network(1)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.EnsurePort(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
