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

// Provider is something in Placement that has resources of a host.
type Provider struct {
	ID     string         `json:"id"`
	Name   string         `json:"name"`
	Parent string         `json:"parent"` // its id
	Traits []string       `json:"traits"`
	Totals map[string]int `json:"totals"` // by resource class
}

// Placement is what the network service asks of the Placement service.
type Placement interface {
	// ProviderNamed finds a provider; fault.NotFound.
	ProviderNamed(ctx context.Context, name string) (id string, err error)
	// Publish makes a provider with its totals and traits, or brings it up to date.
	Publish(ctx context.Context, p Provider) error
	// Withdraw removes a provider of which nothing is claimed; one that is no more
	// is success.
	Withdraw(ctx context.Context, id string) error
	// Reclaim sets what a consumer has of resource classes at providers, and leaves
	// its other claims alone: at once, or fault.Conflict when there is no room. What
	// it has nothing of yet stays so.
	Reclaim(ctx context.Context, consumer string, amounts map[string]map[string]int) error
}

// Compute is what the network service asks of compute.
type Compute interface {
	// Notify hands over an event. A server that compute does not know (any more)
	// is no error.
	Notify(ctx context.Context, e Event) error
}
