package fake

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"kilonova/internal/fault"
)

// metadataAddress is where guests look for metadata.
var metadataAddress = netip.MustParseAddrPort("169.254.169.254:80")

// ListenMetadata implements dataplane.Driver; DialMetadata is the other end.
func (d *Driver) ListenMetadata(ctx context.Context, networkID string) (net.Listener, error) {
	var l *listener
	err := d.do(ctx, ListenMetadata, networkID, func() error {
		if n, ok := d.networks[networkID]; !ok || n.DHCP == nil {
			return fault.Conflictf("Network %s has no DHCP namespace on this host to listen in.", networkID)
		}
		if d.listeners[networkID] != nil {
			return fault.Conflictf("The metadata address of network %s is already listened on.", networkID)
		}
		l = &listener{driver: d, networkID: networkID, conns: make(chan net.Conn), done: make(chan struct{})}
		d.listeners[networkID] = l
		return nil
	})
	if err != nil {
		if l != nil {
			l.Close()
		}
		return nil, err
	}
	return l, nil
}

// DialMetadata connects to the metadata address as a guest of the network does
// from the fixed IP. It waits for an Accept until ctx ends; without a listener
// it is fault.Unavailable.
func (d *Driver) DialMetadata(ctx context.Context, networkID string, guest netip.Addr) (net.Conn, error) {
	d.mu.Lock()
	l := d.listeners[networkID]
	d.mu.Unlock()
	if l == nil {
		return nil, fault.New(fault.Unavailable, "Nobody listens for metadata in network %s.", networkID)
	}
	here := net.TCPAddrFromAddrPort(netip.AddrPortFrom(guest, 40000))
	there := net.TCPAddrFromAddrPort(metadataAddress)
	client, server := net.Pipe()
	select {
	case l.conns <- conn{Conn: server, local: there, remote: here}:
		return conn{Conn: client, local: here, remote: there}, nil
	case <-l.done:
		return nil, fault.New(fault.Unavailable, "Nobody listens for metadata in network %s any more.", networkID)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hangUp closes a network's listener. The lock is held.
func (d *Driver) hangUp(networkID string) {
	if l := d.listeners[networkID]; l != nil {
		delete(d.listeners, networkID)
		l.once.Do(func() { close(l.done) })
	}
}

// listener hands over the ends of pipes.
type listener struct {
	driver    *Driver
	networkID string
	conns     chan net.Conn
	done      chan struct{}
	once      sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.driver.mu.Lock()
	defer l.driver.mu.Unlock()
	if l.driver.listeners[l.networkID] == l {
		delete(l.driver.listeners, l.networkID)
	}
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(metadataAddress) }

// conn is an end of a pipe that names both ends as TCP would.
type conn struct {
	net.Conn
	local, remote net.Addr
}

func (c conn) LocalAddr() net.Addr  { return c.local }
func (c conn) RemoteAddr() net.Addr { return c.remote }
