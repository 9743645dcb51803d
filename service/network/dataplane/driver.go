package dataplane

import (
	"context"
	"net"

	"kilonova/service/network"
)

// Driver makes networks real on one host. Every method may be called again
// after a crash, or with changed arguments, and must then bring the host to
// what the arguments say; nothing to change must cost little. Removing what is
// not there is success. The agent serializes the calls, except that Devices and
// ListenMetadata may be called at any time.
//
// Arguments that the Check functions refuse are a fault.Invalid. What depends on
// something that is not there, or still has something that depends on it, is a
// fault.Conflict: a port or router leg without its network, a network removed
// before its ports and router legs.
type Driver interface {
	// EnsureNetwork makes the network's bridge and, where n.DHCP is set, its
	// namespace, DHCP server and the address 169.254.169.254 in it.
	EnsureNetwork(ctx context.Context, n network.HostNetwork) error
	// RemoveNetwork removes all that; ports and routers must be gone before.
	RemoveNetwork(ctx context.Context, id string) error

	// EnsurePort wires the port's device into its network's bridge and puts its
	// filters in place before any packet can pass. wired is false, without an
	// error, while the device does not exist yet: it is then tried again. Some of
	// the port, such as its filters, may be on the host already.
	EnsurePort(ctx context.Context, p network.HostPort) (wired bool, err error)
	// RemovePort takes the bridge membership and the filters away. The device
	// itself belongs to the compute agent. id may be what Observe gave.
	RemovePort(ctx context.Context, id string) error

	// EnsureRouter makes the router's namespace, its legs, routes and NAT.
	EnsureRouter(ctx context.Context, r network.HostRouter) error
	RemoveRouter(ctx context.Context, id string) error

	// Observe lists what is on the host, also such that the agent does not know.
	Observe(ctx context.Context) (Observed, error)

	// Devices reports on the channel whenever a device that may belong to a
	// port appears or goes, until ctx ends and the channel is closed. Reports of
	// one device may be merged; their value is the device's name.
	Devices(ctx context.Context) (<-chan string, error)

	// ListenMetadata listens on 169.254.169.254:80 inside the network's
	// namespace, for the agent's metadata proxy. Connections show the guest's
	// fixed IP as remote address. The driver closes the listener when the
	// network or its DHCP goes or its namespace had to be made anew: Accept then
	// fails with net.ErrClosed. Without DHCP here, or while another listener is
	// open, it is a fault.Conflict.
	ListenMetadata(ctx context.Context, networkID string) (net.Listener, error)

	// Clean removes everything that Observe lists and all that the driver keeps
	// for itself (tables, sysctls it can restore, bridges, processes).
	Clean(ctx context.Context) error
}

// Observed names what a driver finds on its host, by the ids of the API where
// they can be known from the host alone; ports by their device's name without
// "tap", since no more of the id is there.
type Observed struct {
	Networks []string
	Ports    []string
	Routers  []string
}
