package libvirt

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket"

	"kilonova/internal/fault"
)

// dialTimeout is how long a daemon may take to accept and to open its QEMU driver.
const dialTimeout = 15 * time.Second

// link is one connection to libvirt. The library cannot be told to give up a
// call, so the socket is kept here: closing it ends every call that hangs on it.
type link struct {
	*lv.Libvirt
	conn net.Conn
}

func (l *link) close() { _ = l.conn.Close() }

// connected hands a made connection to the library.
type connected struct{ net.Conn }

var _ socket.Dialer = connected{}

func (c connected) Dial() (net.Conn, error) { return c.Conn, nil }

// dial connects and opens the driver that uri names.
func dial(ctx context.Context, path, uri string) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, errSilent)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fault.New(fault.Unavailable, "libvirt does not answer on %s: %w", path, err)
	}
	l := &link{Libvirt: lv.NewWithDialer(connected{conn}), conn: conn}
	opened := make(chan error, 1)
	go func() { opened <- l.ConnectToURI(lv.ConnectURI(uri)) }()
	select {
	case err = <-opened:
		if err == nil {
			return l, nil
		}
		l.close()
		return nil, fault.New(fault.Unavailable, "libvirt at %s does not open %s: %w", path, uri, err)
	case <-ctx.Done():
		l.close()
		return nil, context.Cause(ctx)
	}
}

var errSilent = fault.New(fault.Unavailable, "libvirt accepts connections and does not answer.")

// connection is the link that the driver's calls share; it is made again when
// it is lost.
type connection struct {
	socket, uri string
	timeout     time.Duration

	mu   sync.Mutex
	link *link
	wait chan struct{} // closed when a dial under way has ended
}

// get returns the link, made by the first who needs it.
func (c *connection) get(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		if c.link != nil {
			defer c.mu.Unlock()
			return c.link, nil
		}
		if c.wait == nil {
			c.wait = make(chan struct{})
			c.mu.Unlock()
			return c.dial(ctx)
		}
		wait := c.wait
		c.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *connection) dial(ctx context.Context) (*link, error) {
	l, err := dial(ctx, c.socket, c.uri)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.wait)
	c.wait, c.link = nil, l
	return l, err
}

// drop forgets a link that is of no use any more, unless another has replaced it.
func (c *connection) drop(l *link) {
	l.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.link = nil
	}
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link != nil {
		c.link.close()
		c.link = nil
	}
}

// answer is what a call came to.
type answer[T any] struct {
	value T
	err   error
}

// ask calls libvirt, and once more over a new connection when the daemon went
// away: every call made here may be repeated. It returns when ctx ends even if
// the call does not; the turn, if there is one, then remains taken until it does.
func ask[T any](ctx context.Context, c *connection, t *turn, what string, call func(*lv.Libvirt) (T, error)) (T, error) {
	var none T
	for attempt := 0; ; attempt++ {
		if ctx.Err() != nil {
			return none, ctx.Err()
		}
		l, err := c.get(ctx)
		if err != nil {
			return none, explain(err, what)
		}
		value, err := once(ctx, c, l, t, call)
		if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return value, err
		}
		if !lost(err) {
			return none, explain(err, what)
		}
		if c.drop(l); attempt > 0 {
			return none, explain(err, what)
		}
	}
}

// once makes one call and waits for its answer, for ctx's end, or until the
// connection counts as hung and is closed.
func once[T any](ctx context.Context, c *connection, l *link, t *turn, call func(*lv.Libvirt) (T, error)) (T, error) {
	done := make(chan answer[T], 1)
	hung := time.AfterFunc(c.timeout, func() { c.drop(l) })
	t.begin()
	go func() {
		defer t.finish()
		defer hung.Stop()
		value, err := call(l.Libvirt)
		done <- answer[T]{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// tell is ask for calls without a value.
func tell(ctx context.Context, c *connection, t *turn, what string, call func(*lv.Libvirt) error) error {
	_, err := ask(ctx, c, t, what, func(l *lv.Libvirt) (struct{}, error) { return struct{}{}, call(l) })
	return err
}
