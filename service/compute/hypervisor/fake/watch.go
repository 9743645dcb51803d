package fake

import (
	"context"
	"sync"
)

// watcher collects the guests that changed until its Watch tells of them, so
// that a slow listener holds up no verb and grows no queue.
type watcher struct {
	mu      sync.Mutex
	pending map[string]struct{}
	wake    chan struct{} // holds one token
}

func (w *watcher) tell(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[id] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watcher) take() map[string]struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := w.pending
	w.pending = make(map[string]struct{})
	return ids
}

func newWatcher() *watcher {
	return &watcher{pending: make(map[string]struct{}), wake: make(chan struct{}, 1)}
}

// Watch implements hypervisor.Watcher.
func (d *Driver) Watch(ctx context.Context, changed func(id string)) error {
	return d.watch(ctx, newWatcher(), changed)
}

func (d *Driver) watch(ctx context.Context, w *watcher, changed func(id string)) error {
	d.mu.Lock()
	if d.watchers == nil {
		d.watchers = make(map[*watcher]struct{})
	}
	d.watchers[w] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watchers, w)
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.wake:
		}
		for id := range w.take() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			changed(id)
		}
	}
}
