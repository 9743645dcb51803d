package network

import "context"

// Names of the events that compute is told.
const (
	EventPlugged   = "network-vif-plugged"
	EventUnplugged = "network-vif-unplugged"
	EventDeleted   = "network-vif-deleted"
	EventChanged   = "network-changed"
)

// Event is something that compute must know of a server's port.
type Event struct {
	Name     string `json:"name"`
	ServerID string `json:"server_uuid"`
	PortID   string `json:"tag"`
	Status   string `json:"status"` // "completed" or "failed"
}

// Compute is what the network service asks of compute.
type Compute interface {
	// Notify hands over an event. A server that compute does not know (any more)
	// is no error.
	Notify(ctx context.Context, e Event) error
}
