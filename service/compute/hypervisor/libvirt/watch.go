package libvirt

import (
	"context"
	"time"

	lv "github.com/digitalocean/go-libvirt"
)

// reconnectInterval is how long Watch waits before it tries libvirt again.
const reconnectInterval = time.Second

// Watch implements hypervisor.Watcher. It has a connection of its own: the
// library cannot end a subscription while events arrive without risk of a
// deadlock, so that the end of a watch is the end of its connection. After a
// connection was lost, every guest counts as changed.
func (d *Driver) Watch(ctx context.Context, changed func(id string)) error {
	for again := false; ctx.Err() == nil; again = true {
		if err := d.watchOnce(ctx, again, changed); err != nil && ctx.Err() == nil {
			d.log.Warn("cannot watch libvirt; trying again", "err", err, "wait", reconnectInterval)
		}
		timer := time.NewTimer(reconnectInterval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return ctx.Err()
}

// watchOnce reports changes until the connection ends, and closes it when ctx does.
func (d *Driver) watchOnce(ctx context.Context, again bool, changed func(id string)) error {
	l, err := dial(ctx, d.conn.socket, d.conn.uri)
	if err != nil {
		return err
	}
	defer l.close()
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	events, err := l.SubscribeEvents(context.WithoutCancel(ctx), lv.DomainEventIDLifecycle, nil)
	if err != nil {
		return explain(err, "report events")
	}
	// The library's goroutines end when the channel has been read to its end.
	defer func() {
		l.close()
		for range events {
		}
	}()
	if again {
		all, err := d.List(ctx)
		if err != nil {
			return err
		}
		for _, g := range all {
			changed(g.ID)
		}
	}
	for e := range events {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m, ok := e.(*lv.DomainEventCallbackLifecycleMsg); ok {
			changed(formatUUID(m.Msg.Dom.UUID))
		}
	}
	return ctx.Err()
}
