package linuxbridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"kilonova/service/network"
)

func TestMetadataSeesTheGuest(t *testing.T) {
	l := newLab(t)
	p, q := samplePort(netA, 1, "10.0.0.11"), samplePort(netB, 1, "10.0.0.11")
	l.must(l.EnsureNetwork(t.Context(), dhcpNetwork(netA, "10.0.0.0/24", p)))
	l.must(l.EnsureNetwork(t.Context(), dhcpNetwork(netB, "10.0.0.0/24", q)))
	ends := make(chan error, 2)
	for _, id := range []string{netA, netB} {
		listener, err := l.ListenMetadata(t.Context(), id)
		l.must(err)
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					ends <- err
					return
				}
				fmt.Fprintf(conn, "%s-%s\n", id, conn.RemoteAddr().(*net.TCPAddr).IP)
				conn.Close()
			}
		}()
	}
	for _, p := range []network.HostPort{p, q} {
		g := l.guestOf(p)
		l.wire(p)
		l.must(ensureRoutes(g.nl, []route{{to: netip.MustParsePrefix("169.254.169.254/32"), via: netip.MustParseAddr("10.0.0.2"), device: g.link.Attrs().Index}}))
		conn, seen, err := g.dial("169.254.169.254:80", patience)
		l.must(err)
		conn.Close()
		if want := p.NetworkID + "-10.0.0.11"; seen != want {
			t.Errorf("metadata saw %s, want %s", seen, want)
		}
	}
	l.must(l.Clean(t.Context()))
	for range 2 {
		if err := <-ends; !errors.Is(err, net.ErrClosed) {
			t.Errorf("a listener ended with %v", err)
		}
	}
}
