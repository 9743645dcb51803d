package linuxbridge

import (
	"fmt"
	"testing"

	"kilonova/service/network"
)

// populate makes a network with n wired ports of one guest device each.
func (l *lab) populate(n int) []network.HostPort {
	l.t.Helper()
	l.must(l.EnsureNetwork(l.t.Context(), localNetwork(netA, "10.0.0.0/16")))
	ports := make([]network.HostPort, n)
	for i := range ports {
		p := samplePort(netA, 1, fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), tcp(22), tcp(80), pings)
		p.ID = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
		p.MAC = fmt.Sprintf("fa:16:3e:00:%02x:%02x", i/256, i%256)
		l.tap(network.TapName(p.ID))
		l.wire(p)
		ports[i] = p
	}
	return ports
}

func BenchmarkEnsurePort(b *testing.B) {
	for _, others := range []int{10, 200} {
		b.Run(fmt.Sprintf("change/ports=%d", others), func(b *testing.B) {
			l := newLab(b)
			p := l.populate(others)[0]
			for i := 0; b.Loop(); i++ {
				p.Rules = append(p.Rules[:2:2], tcp(1000+i))
				l.wire(p)
			}
		})
		b.Run(fmt.Sprintf("same/ports=%d", others), func(b *testing.B) {
			l := newLab(b)
			p := l.populate(others)[0]
			for b.Loop() {
				l.wire(p)
			}
		})
		b.Run(fmt.Sprintf("new/ports=%d", others), func(b *testing.B) {
			l := newLab(b)
			p := l.populate(others)[0]
			for b.Loop() {
				b.StopTimer()
				l.must(l.RemovePort(b.Context(), p.ID))
				b.StartTimer()
				l.wire(p)
			}
		})
	}
}

func BenchmarkEnsureNetwork(b *testing.B) {
	b.Run("same", func(b *testing.B) {
		l := newLab(b)
		n := dhcpNetwork(netA, "10.0.0.0/24")
		for b.Loop() {
			l.must(l.EnsureNetwork(b.Context(), n))
		}
	})
	b.Run("new", func(b *testing.B) {
		l := newLab(b)
		n := dhcpNetwork(netA, "10.0.0.0/24")
		for b.Loop() {
			l.must(l.EnsureNetwork(b.Context(), n))
			b.StopTimer()
			l.must(l.RemoveNetwork(b.Context(), n.ID))
			b.StartTimer()
		}
	})
}
