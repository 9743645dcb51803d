package agent

import (
	"context"
	"sync"

	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

// waiting are the ports that builds wait for.
type waiting struct {
	mu    sync.Mutex
	ports map[string]chan struct{} // closed when the port is wired
}

// begin returns a channel for each port, closed by the hint that it is wired.
func (w *waiting) begin(nics []hypervisor.NIC) map[string]chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]chan struct{}{}
	for _, n := range nics {
		if w.ports[n.PortID] == nil {
			w.ports[n.PortID] = make(chan struct{})
		}
		all[n.PortID] = w.ports[n.PortID]
	}
	return all
}

func (w *waiting) end(nics []hypervisor.NIC) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range nics {
		delete(w.ports, n.PortID)
	}
}

func (w *waiting) wired(portID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.ports[portID]; ch != nil {
		close(ch)
		delete(w.ports, portID)
	}
}

func (a *Agent) portChanged(_ context.Context, e compute.PortEvent) {
	if e.Wired {
		a.waiting.wired(e.PortID)
	}
}
