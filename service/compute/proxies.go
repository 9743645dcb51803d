package compute

import (
	"context"
	"net/netip"
)

// What compute asks of its neighbours only for clients from before 2.36, who ask
// compute for what is not compute's. All of it is asked as the caller.

// ImageQuery selects images; empty fields select nothing.
type ImageQuery struct {
	Name, Status string
	ServerID     string // made from this server
	Type         string // image_type: "snapshot", "backup"
	MinRAM       string
	MinDisk      string
	ChangedSince string
	Properties   map[string]string
	Marker       string
	Limit        int
}

// ImageCatalog is what such clients ask of the image service.
type ImageCatalog interface {
	// List returns images that the caller sees, at most q.Limit.
	List(ctx context.Context, q ImageQuery) ([]Image, error)
	// Image returns one; fault.NotFound otherwise.
	Image(ctx context.Context, id string) (Image, error)
	Delete(ctx context.Context, id string) error
	// SetProperties gives an image properties and takes others from it.
	SetProperties(ctx context.Context, id string, set map[string]string, remove []string) error
}

// FloatingIP is an address of an external network that may lead to a port.
type FloatingIP struct {
	ID       string
	Address  netip.Addr
	Pool     string // name of its network, or its id
	PortID   string
	ServerID string // whose port it is; "" none
	Fixed    netip.Addr
}

// NewRule is a rule to be made in a security group.
type NewRule struct {
	GroupID, Protocol string
	FromPort, ToPort  *int
	Source, CIDR      string
}

// OldNetworks is what such clients ask of the network service.
type OldNetworks interface {
	// All lists the networks that the caller sees.
	All(ctx context.Context) ([]Network, error)
	// Pools lists the external networks.
	Pools(ctx context.Context) ([]Network, error)

	FloatingIPs(ctx context.Context, projectID string) ([]FloatingIP, error)
	FloatingIP(ctx context.Context, id string) (FloatingIP, error)
	// AllocateFloatingIP takes an address of a pool, by name or id; "" of the
	// first one. fault.NotFound: no such pool, or it is empty.
	AllocateFloatingIP(ctx context.Context, pool string) (FloatingIP, error)
	ReleaseFloatingIP(ctx context.Context, id string) error
	// Associate leads a floating IP to an address of a port; portID "" to none.
	Associate(ctx context.Context, id, portID string, fixed netip.Addr) error

	// AddFixedIP gives a port a further address of one of its network's subnets;
	// RemoveFixedIP takes one away.
	AddFixedIP(ctx context.Context, portID string) error
	RemoveFixedIP(ctx context.Context, portID string, address netip.Addr) error

	Group(ctx context.Context, id string) (SecurityGroup, error)
	CreateGroup(ctx context.Context, name, description string) (SecurityGroup, error)
	UpdateGroup(ctx context.Context, id, name, description string) (SecurityGroup, error)
	DeleteGroup(ctx context.Context, id string) error
	CreateRule(ctx context.Context, r NewRule) (SecurityGroupRule, error)
	DeleteRule(ctx context.Context, id string) error
}
