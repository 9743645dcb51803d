package linuxbridge

import (
	"context"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"kilonova/internal/fault"
)

// ListenMetadata implements dataplane.Driver. The socket is made on a thread
// inside the namespace and then served from anywhere.
func (d *Driver) ListenMetadata(ctx context.Context, networkID string) (net.Listener, error) {
	d.listening.Lock()
	defer d.listening.Unlock()
	if d.listeners[networkID] != nil {
		return nil, fault.Conflictf("The metadata address of network %s is already listened on.", networkID)
	}
	ns, err := openNamespace(dhcpNamespace(networkID))
	if err != nil {
		return nil, err
	}
	if ns == nil {
		return nil, fault.Conflictf("Network %s has no DHCP namespace on this host to listen in.", networkID)
	}
	defer ns.close()
	var inner net.Listener
	err = ns.do(func() error {
		inner, err = (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(metadataAddress.String(), "80"))
		return err
	})
	if err != nil {
		if isErrno(err, unix.EADDRINUSE, unix.EADDRNOTAVAIL) {
			return nil, fault.Conflictf("The metadata address of network %s cannot be listened on: %w.", networkID, err)
		}
		return nil, fmt.Errorf("listen for metadata in network %s: %w", networkID, err)
	}
	l := &metadataListener{Listener: inner, driver: d, networkID: networkID}
	d.listeners[networkID] = l
	return l, nil
}

// hangUp closes the network's listener, if there is one.
func (d *Driver) hangUp(networkID string) {
	d.listening.Lock()
	l := d.listeners[networkID]
	d.listening.Unlock()
	if l != nil {
		l.Close()
	}
}

// metadataListener frees its place in the driver when closed.
type metadataListener struct {
	net.Listener
	driver    *Driver
	networkID string
	once      sync.Once
	err       error
}

func (l *metadataListener) Close() error {
	l.once.Do(func() {
		l.driver.listening.Lock()
		delete(l.driver.listeners, l.networkID)
		l.driver.listening.Unlock()
		l.err = l.Listener.Close()
	})
	return l.err
}
