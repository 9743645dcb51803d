package compute

import "context"

// PortRequest is what a port takes of its host in Placement, by its QoS policy.
type PortRequest struct {
	PortID string
	// Groups are named by their suffixes, which is also how the network service
	// names them; SameSubtree lists those whose providers belong to one agent.
	Groups      []RequestGroup
	SameSubtree []string
	// Assigned says which provider serves which group, where the port is bound.
	Assigned map[string]string
}

// PortRequests is what compute asks of the network service about ports that take
// resources of their host.
type PortRequests interface {
	// Requests returns what those of the ports take that take anything.
	Requests(ctx context.Context, portIDs []string) ([]PortRequest, error)
	// RequestsOf is the same for all ports of a server.
	RequestsOf(ctx context.Context, serverID string) ([]PortRequest, error)
	// Assign notes in a port's binding which provider serves which of its groups;
	// nil: none. What else the binding says is kept.
	Assign(ctx context.Context, portID string, providers map[string]string) error
}

// Holding is what a consumer has claimed of one provider.
type Holding struct {
	ProviderID string
	Resources  map[string]int
	Traits     []string // of the provider
}
