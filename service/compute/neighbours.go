package compute

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// Image is all that compute knows of an image.
type Image struct {
	ID              string
	Name            string
	Status          string
	Owner           string
	DiskFormat      string
	ContainerFormat string
	Checksum        string // MD5, hexadecimal
	HashAlgo        string // sha256, sha384, sha512 or what else the image service has; "" if it has none
	HashValue       string // hexadecimal
	Size            int64
	MinDiskGB       int
	MinRAMMB        int
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Properties      map[string]string // all further properties, as text
}

// NewImage is an image to be made.
type NewImage struct {
	ID         string
	Name       string
	MinDiskGB  int
	MinRAMMB   int
	SharedWith string // a project; "" nobody
	Properties map[string]string
}

// Images is what compute asks of the image service.
type Images interface {
	// Image returns an image that the caller may use; fault.NotFound otherwise.
	Image(ctx context.Context, id string) (Image, error)
	// Open streams an image's data, as this service's own user.
	Open(ctx context.Context, id string) (io.ReadCloser, error)

	// Create makes an image without data as the caller, whose it then is, and
	// shares it with another project if one is named.
	Create(ctx context.Context, n NewImage) error
	// Fill gives an image its data, as this service's own user. An image that has
	// its data is success; one that is no more is fault.NotFound.
	Fill(ctx context.Context, id, format string, data io.Reader) error
	// Drop removes an image as this service's own user; one that is no more is
	// success.
	Drop(ctx context.Context, id string) error
	// Backups lists the images of a kind of backup of a server, newest first.
	Backups(ctx context.Context, serverID, kind string) ([]string, error)
}

// Network is a network that a server may be put on.
type Network struct {
	ID        string
	Name      string
	ProjectID string
	Shared    bool
	External  bool
	MTU       int
	HasSubnet bool
}

// PortSpec describes a port to be made for a server.
type PortSpec struct {
	ServerID       string
	ProjectID      string
	NetworkID      string
	FixedIP        string // "" any
	SecurityGroups []string
	Host           string
	Zone           string
	Hostname       string
}

// Networks is what compute asks of the network service.
type Networks interface {
	// Available lists the networks on which a server of the project is put when
	// its user names none: the project's own, and else the shared ones.
	Available(ctx context.Context, projectID string) ([]Network, error)
	// LayOut returns the network that the service lays out by itself for a project
	// which has none, or has laid out before; fault.Conflict: it cannot, and the
	// message says what it lacks; fault.NotFound: it does not know how.
	LayOut(ctx context.Context, projectID string) (networkID string, err error)
	// Network and Port return what the caller may use; fault.NotFound otherwise.
	Network(ctx context.Context, id string) (Network, error)
	Port(ctx context.Context, id string) (Port, error)
	// SecurityGroups turns names or ids into ids, within the project.
	SecurityGroups(ctx context.Context, projectID string, namesOrIDs []string) ([]string, error)
	// Groups returns the security groups that the caller sees: a project's, or
	// with "" all of them.
	Groups(ctx context.Context, projectID string) ([]SecurityGroup, error)
	// PortGroups returns the security groups of a server's ports.
	PortGroups(ctx context.Context, serverID string) ([]SecurityGroupRef, error)

	// Create makes a bound port; a port that the server has on that network for
	// the same request is the caller's business to find.
	Create(ctx context.Context, spec PortSpec) (Port, error)
	// Bind gives an existing port to a server on a host; Unbind takes it back.
	Bind(ctx context.Context, portID, serverID, host, zone string) error
	Unbind(ctx context.Context, portID string) error
	// Announce notes in a port's binding to which host its guest is on the way; ""
	// that it is not.
	Announce(ctx context.Context, portID, host string) error
	// BindAside binds a port to a host as well, where it is not in use yet: it
	// is ready for a guest that comes while it runs. UseOn has it in use there, and
	// not where it was, once it is bound there; fault.NotFound: it is not bound
	// there. UnbindFrom takes it from a host. What is done already is success.
	BindAside(ctx context.Context, portID, host string) error
	UseOn(ctx context.Context, portID, host string) error
	UnbindFrom(ctx context.Context, portID, host string) error
	Delete(ctx context.Context, portID string) error
	// Ports returns the server's ports as its addresses show them.
	Ports(ctx context.Context, serverID string) ([]Interface, error)
	// Segments lists the segments that a server may be on: those of a network, or
	// where a port has addresses already that of the first one. None where the
	// network is not routed, or the service knows no segments.
	Segments(ctx context.Context, networkID, portID string) ([]string, error)
	// SetGroups replaces the security groups of a port.
	SetGroups(ctx context.Context, portID string, groupIDs []string) error
}

// Port is an existing port of a user.
type Port struct {
	ID             string
	NetworkID      string
	ProjectID      string
	DeviceID       string
	MAC            string
	Addresses      []netip.Addr
	SecurityGroups []string
	VNICType       string // binding:vnic_type
	QoS            bool   // the port or its network has a QoS policy
	Requests       bool   // and takes resources of its host by it, as far as this may be known
}

// SecurityGroupRef names a security group.
type SecurityGroupRef struct{ ID, Name, Description, ProjectID string }

// SecurityGroup is a security group with what it lets in, for clients from
// before 2.36 that ask compute for it.
type SecurityGroup struct {
	SecurityGroupRef
	Rules []SecurityGroupRule
}

// SecurityGroupRule lets something in. Ports are nil for all; for ICMP they are
// type and code. It is from the group Source or, if that is "", from CIDR.
type SecurityGroupRule struct {
	ID, Protocol     string
	FromPort, ToPort *int
	Source, CIDR     string
}

// Claim is what a server takes of a host.
type Claim struct {
	ServerID  string
	ProjectID string
	UserID    string
	Resources map[string]int // "VCPU", "MEMORY_MB", "DISK_GB"
	// Allocations, by provider, stand in place of Resources where what is claimed
	// lies on several.
	Allocations map[string]map[string]int
}

// PlacedClaim is a claim with the provider that it is on.
type PlacedClaim struct {
	Claim
	ProviderID string
}

// Inventory is what a host offers of one resource class.
type Inventory struct {
	Total           int     `json:"total"`
	Reserved        int     `json:"reserved"`
	MinUnit         int     `json:"min_unit"`
	MaxUnit         int     `json:"max_unit"`
	StepSize        int     `json:"step_size"`
	AllocationRatio float64 `json:"allocation_ratio"`
}

// CandidateQuery says what hosts Placement is asked for.
type CandidateQuery struct {
	// Resources of a host, and traits that it has and has not.
	Resources           map[string]int
	Required, Forbidden []string
	// RootRequired are traits that the host has itself, whoever below it gives the
	// resources.
	RootRequired []string `json:",omitempty"`
	// Groups are further resources, each of one provider, which may be one below
	// the host. GroupPolicy is "none" or "isolate", if there are two groups or more.
	Groups      []RequestGroup `json:",omitempty"`
	GroupPolicy string         `json:",omitempty"`
	// MemberOf: the host is in one of the aggregates of each element; NotMemberOf:
	// in none of these.
	MemberOf    [][]string `json:",omitempty"`
	NotMemberOf []string   `json:",omitempty"`
	// SameSubtree: the groups of each element are of one provider and those below it.
	SameSubtree [][]string `json:",omitempty"`
	// InTree: all is of this host; "" any.
	InTree string `json:",omitempty"`
	Limit  int
}

// RequestGroup is a numbered or named group of a query.
type RequestGroup struct {
	Suffix              string
	Resources           map[string]int
	Required, Forbidden []string
	// Open: who gives it is decided by who asks. It is not in Candidate.Allocations,
	// and Candidate.Free says who could.
	Open bool `json:",omitempty"`
}

// Candidate is a host that has room, with what Placement knows of it.
type Candidate struct {
	ProviderID string
	Capacity   Capacity
	// Allocations are what would be claimed, by provider; nil when it is all of
	// ProviderID.
	Allocations map[string]map[string]int
	// Free is what each provider of the host's tree has left beside Allocations of the
	// classes of open groups; nil where the question had none.
	Free map[string]map[string]int
}

// Capacity is what a host has of each resource class, each once. It is a list, for
// schedulers remember those of ten thousand hosts.
type Capacity []Usage

// Usage is how much of a resource class there is and how much is taken.
type Usage struct {
	Class          string
	Capacity, Used int
}

// Of returns the usage of a class, nothing of one that is not there.
func (c Capacity) Of(class string) Usage {
	for _, u := range c {
		if u.Class == class {
			return u
		}
	}
	return Usage{Class: class}
}

// Placement is what compute asks of the Placement service.
type Placement interface {
	// Candidates lists hosts with room, each once. The list may be made of memory, with
	// the capacities of what was in it, which nobody looks at any more; nil: of new.
	Candidates(ctx context.Context, q CandidateQuery, memory []Candidate) ([]Candidate, error)
	// Claim takes a claim on a provider: at once and whole, or fault.Conflict
	// when there is no room (any more). A claim that stands already is replaced.
	Claim(ctx context.Context, providerID string, c Claim) error
	// ClaimAll takes first claims of several servers, all of them or none.
	ClaimAll(ctx context.Context, claims []PlacedClaim) error
	// Release gives back all that a server has claimed.
	Release(ctx context.Context, serverID string) error
	// Transfer gives what one consumer has claimed to another, at once: to a
	// migration, which then holds a server's old place (toType "MIGRATION"), or
	// back ("INSTANCE"). What the other had is replaced. With keep it is kept
	// instead, and nothing done: the transfer was made before. A consumer that has
	// nothing gives nothing.
	Transfer(ctx context.Context, from, to, toType string, keep bool) error
	// Holdings lists what a consumer has claimed, by provider.
	Holdings(ctx context.Context, consumer string) ([]Holding, error)
	// Reclaim sets what a consumer has of resource classes at providers, and leaves
	// its other claims alone: at once, or fault.Conflict when there is no room. A
	// consumer that has nothing at all is left so.
	Reclaim(ctx context.Context, consumer string, amounts map[string]map[string]int) error
	// Publish makes a provider with this inventory and these traits, or updates it.
	Publish(ctx context.Context, providerID, name string, inventory map[string]Inventory, traits []string) error
	// KnowsTrait reports whether providers can have a trait: older services do not
	// know the newer ones.
	KnowsTrait(ctx context.Context, trait string) (bool, error)
	// Join puts a provider into aggregates and takes it out of others; those that
	// it is in by somebody else's doing stay.
	Join(ctx context.Context, providerID string, into, outOf []string) error
	// AggregatesOf lists a provider's aggregates.
	AggregatesOf(ctx context.Context, providerID string) ([]string, error)
	// Withdraw removes a provider that nothing is claimed on.
	Withdraw(ctx context.Context, providerID string) error
}

// TraitDevice is what Placement's providers have that stand for PCI devices of a host.
const TraitDevice = "COMPUTE_MANAGED_PCI_DEVICE"

// DeviceProvider stands in Placement for PCI devices of a host: for one, or for all
// virtual functions of one.
type DeviceProvider struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Class  string   `json:"class"`
	Total  int      `json:"total"`
	Traits []string `json:"traits"` // all it has
	// Back: it is kept back from everybody, whether it is claimed or not. That it is
	// not any more only an operator says, to Placement.
	Back bool `json:"back,omitempty"`
}

// DeviceProviders is what compute tells the Placement service of PCI devices.
type DeviceProviders interface {
	// PublishDevices makes these the providers below a host's that stand for its
	// devices: others with TraitDevice go. What operators have reserved stays so. One
	// that is to go and is claimed is fault.Conflict, after all else is done.
	PublishDevices(ctx context.Context, hostID string, all []DeviceProvider) error
	// KeepBack has a provider be claimed by nobody any more.
	KeepBack(ctx context.Context, providerID string) error
}

// TapName is the name of the host device behind a port: the convention that
// compute and network agents share with upstream's ("tap" and 11 characters of
// the port's id; IFNAMSIZ leaves 15).
func TapName(portID string) string { return "tap" + portID[:min(11, len(portID))] }

// Attestation is a service that measures hosts and says whether they are what they
// should be.
type Attestation interface {
	// Trust returns the levels of trust of hosts, by the names that their hypervisors
	// call them: "trusted", "untrusted", "unknown" or another word of the service's.
	// Hosts that it knows nothing of are absent. With an error, fault.Unavailable,
	// comes what is known nevertheless.
	Trust(ctx context.Context, nodes []string) (map[string]string, error)
}
