package linuxbridge

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Devices implements dataplane.Driver by the kernel's own messages. Where those
// were lost, the devices are listed again and what has changed is reported.
func (d *Driver) Devices(ctx context.Context) (<-chan string, error) {
	w := &watch{driver: d, out: make(chan string), present: map[string]int{}}
	updates, stop, err := w.subscribe()
	if err != nil {
		return nil, err
	}
	if w.present, err = w.list(); err != nil {
		stop()
		return nil, err
	}
	go w.run(ctx, updates, stop)
	return w.out, nil
}

// watch turns messages on devices into reports.
type watch struct {
	driver  *Driver
	out     chan string
	present map[string]int // device: index
	pending []string
}

// retryPeriod is how long to wait before asking the kernel again.
const retryPeriod = time.Second

// subscribe asks for messages. stop ends them and waits until they have.
func (w *watch) subscribe() (updates <-chan netlink.LinkUpdate, stop func(), err error) {
	channel, end := make(chan netlink.LinkUpdate), make(chan struct{})
	err = netlink.LinkSubscribeWithOptions(channel, end, netlink.LinkSubscribeOptions{
		ErrorCallback: func(error) {}, // the channel's end says it
	})
	if err != nil {
		return nil, nil, fmt.Errorf("subscribe to messages on devices: %w", err)
	}
	return channel, func() {
		close(end)
		for range channel {
		}
	}, nil
}

func (w *watch) run(ctx context.Context, updates <-chan netlink.LinkUpdate, stop func()) {
	defer close(w.out)
	defer func() { stop() }()
	for {
		var out chan string
		var next string
		if len(w.pending) > 0 {
			out, next = w.out, w.pending[0]
		}
		select {
		case <-ctx.Done():
			return
		case out <- next:
			w.pending = w.pending[1:]
		case u, ok := <-updates:
			if ok {
				w.take(u)
				continue
			}
			stop()
			if updates, stop = w.again(ctx); updates == nil {
				return
			}
		}
	}
}

// take notes one message: many only say that a known device has changed.
func (w *watch) take(u netlink.LinkUpdate) {
	attrs := u.Link.Attrs()
	if !guestDevice(attrs.Name) {
		return
	}
	index, known := w.present[attrs.Name]
	if u.Header.Type == unix.RTM_DELLINK {
		if known && index == attrs.Index && u.IfInfomsg.Family == unix.AF_UNSPEC {
			delete(w.present, attrs.Name)
			w.report(attrs.Name)
		}
		return
	}
	if !known || index != attrs.Index {
		w.present[attrs.Name] = attrs.Index
		w.report(attrs.Name)
	}
}

func (w *watch) report(device string) {
	if !contains(w.pending, device) {
		w.pending = append(w.pending, device)
	}
}

// again subscribes anew until it succeeds, and reports what has changed
// meanwhile. Without updates ctx has ended.
func (w *watch) again(ctx context.Context) (<-chan netlink.LinkUpdate, func()) {
	for {
		updates, stop, err := w.subscribe()
		if err == nil {
			var now map[string]int
			if now, err = w.list(); err == nil {
				for device := range maps.Keys(now) {
					if w.present[device] != now[device] {
						w.report(device)
					}
				}
				for device := range maps.Keys(w.present) {
					if _, still := now[device]; !still {
						w.report(device)
					}
				}
				w.present = now
				return updates, stop
			}
			stop()
		}
		w.driver.log.WarnContext(ctx, "Devices cannot be watched; trying again.", "error", err)
		select {
		case <-ctx.Done():
			return nil, func() {}
		case <-time.After(retryPeriod):
		}
	}
}

// list returns the devices that may be ports'.
func (w *watch) list() (map[string]int, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	all, err := links(handle)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	present := map[string]int{}
	for _, link := range all {
		if attrs := link.Attrs(); guestDevice(attrs.Name) {
			present[attrs.Name] = attrs.Index
		}
	}
	return present, nil
}
