package fake

import (
	"context"
	"slices"
	"sync"
)

// Plug makes a device present, as a compute agent does, and reports it.
func (d *Driver) Plug(device string) { d.plug(device, true) }

// Unplug takes a device away, as the end of a guest does, and reports it. A
// port that was wired to it is no longer.
func (d *Driver) Unplug(device string) { d.plug(device, false) }

func (d *Driver) plug(device string, present bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.devices[device] = present
	if !present {
		delete(d.ports, device)
	}
	for w := range d.watchers {
		w.report(device)
	}
}

// present tells whether a device is on the host. The lock is held.
func (d *Driver) present(device string) bool {
	if present, told := d.devices[device]; told {
		return present
	}
	return !d.cfg.Withhold
}

// Devices implements dataplane.Driver.
func (d *Driver) Devices(ctx context.Context) (<-chan string, error) {
	w := &watcher{ctx: ctx, out: make(chan string)}
	err := d.do(ctx, Devices, "", func() error {
		d.watchers[w] = true
		return nil
	})
	if err != nil {
		d.forget(w)
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		d.forget(w)
		w.end()
	})
	return w.out, nil
}

func (d *Driver) forget(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watchers, w)
}

// watcher carries reports to one reader. A goroutine runs only while there is
// something to hand over.
type watcher struct {
	ctx context.Context
	out chan string

	mu      sync.Mutex
	pending []string
	pumping bool
	ended   bool
}

func (w *watcher) report(device string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || slices.Contains(w.pending, device) {
		return
	}
	w.pending = append(w.pending, device)
	if !w.pumping {
		w.pumping = true
		go w.pump()
	}
}

func (w *watcher) pump() {
	for {
		w.mu.Lock()
		if len(w.pending) == 0 || w.ctx.Err() != nil {
			w.pumping = false
			if w.ended {
				close(w.out)
			}
			w.mu.Unlock()
			return
		}
		device := w.pending[0]
		w.pending = w.pending[1:]
		w.mu.Unlock()
		select {
		case w.out <- device:
		case <-w.ctx.Done():
		}
	}
}

// end closes the channel, by whoever sends on it last.
func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if !w.pumping {
		close(w.out)
	}
}
