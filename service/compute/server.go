package compute

import (
	"net/netip"
	"time"
)

// Server is a virtual machine as users and operators see it. Upstream calls it
// instance in some places; the word here is server.
type Server struct {
	Seq         int64  // counts up; the number in Name
	ID          string // UUID
	DisplayName string
	Description *string
	Hostname    string
	ProjectID   string
	UserID      string

	State State // what it is (vm_state)
	Task  Task  // what is being done with it (task_state); "" nothing
	Power Power // what its guest does, as last observed

	Flavor    Flavor // as it was when the server was made
	ImageID   string // "" when it boots from a volume
	ImageMeta ImageMeta
	KeyName   string
	KeyData   string         // the public key, as it was
	UserData  string         // base64, as it came
	AdminPass string         // only until the guest has been told
	Files     []InjectedFile // the same
	Metadata  map[string]string
	Tags      []string

	ConfigDrive  bool
	DiskConfig   string // "MANUAL" or "AUTO"
	AccessIPv4   string
	AccessIPv6   string
	Locked       bool
	LockedBy     string // "owner" or "admin" (whoever is of another project)
	LockedReason string
	// System is what the service itself remembers of the server while it is on its
	// way through rescue, shelving or the time in which it can be restored.
	System System

	AvailabilityZone string // as asked for; "" any
	Host             string // the agent that has it; "" none yet
	Node             string // the hypervisor's own name
	ReservationID    string
	LaunchIndex      int
	RootDevice       string
	Progress         int

	// Wanted is what the user asked for of networks, until it has been made.
	Wanted []NetworkRequest
	// Groups are the security groups asked for by name or id.
	SecurityGroups []string
	// Hints are the scheduler hints as they came.
	Hints map[string]any
	// Networks is what is known of the server's ports, cached from the network
	// service.
	Networks []Interface
	// Devices are the disks that the server has of the volume service.
	Devices []BlockDevice
	// Shares are its shared file systems. They are read where work is handed to an
	// agent or others are told of the server, and nil elsewhere.
	Shares []Share `json:",omitempty"`
	Fault  *ServerFault
	// Roots are, while its host is being noted, where in Placement the devices are that
	// it has claimed there: addresses, one for each. They are kept nowhere.
	Roots []string `json:"-"`
	// Hold is what the server has of its host to itself. It is read where work is
	// handed to an agent, and nil elsewhere.
	Hold *Hold `json:",omitempty"`

	CreatedAt    time.Time
	UpdatedAt    time.Time
	LaunchedAt   time.Time
	TerminatedAt time.Time
	DeletedAt    time.Time // zero while it exists
}

// GuestName is the name of the server's guest at its hypervisor.
func (s *Server) GuestName() string { return guestName(s.Seq) }

// System is upstream's system_metadata, as far as it outlives a task.
type System struct {
	// RescueImage is the image that a server in rescue has booted from.
	RescueImage string `json:"rescue_image,omitempty"`
	// ShelvedImage is the image that a shelved server comes back from; "" when its
	// root disk is a volume. ShelvedAt is since when, in Unix seconds.
	ShelvedImage string `json:"shelved_image,omitempty"`
	ShelvedAt    int64  `json:"shelved_at,omitempty"`
	// BootRoles are those of the user who made the server, with commas.
	BootRoles string `json:"boot_roles,omitempty"`
	// Password is what the guest has posted to the metadata service, encrypted with
	// the user's key.
	Password string `json:"password,omitempty"`
	// TrustedCertificates are ids of those that the image's signature may be made
	// with, as they were asked for.
	TrustedCertificates []string `json:"trusted_certificates,omitempty"`
	// LocalDisks are the disks of the host's that were asked for, besides the root
	// disk; Server.LocalDisks says which there are.
	LocalDisks []LocalDisk `json:"local_disks,omitempty"`
	// SoftDeletedAt is when its delete was asked for, in Unix seconds.
	SoftDeletedAt int64 `json:"soft_deleted_at,omitempty"`
}

// ServerFault is why a server is in error.
type ServerFault struct {
	Code    int       `json:"code"`
	Created time.Time `json:"created"`
	Message string    `json:"message"`
	Details string    `json:"details,omitempty"` // for operators
}

// ImageMeta is what compute keeps of an image: what the guest needs to know.
type ImageMeta struct {
	Name            string            `json:"name,omitempty"`
	DiskFormat      string            `json:"disk_format,omitempty"`
	ContainerFormat string            `json:"container_format,omitempty"`
	Checksum        string            `json:"checksum,omitempty"`
	MinDiskGB       int               `json:"min_disk,omitempty"`
	MinRAMMB        int               `json:"min_ram,omitempty"`
	Properties      map[string]string `json:"properties,omitempty"`
}

// NetworkRequest is one element of "networks" of a create request. With none of
// the three ids it means "auto" or "none" by Special.
type NetworkRequest struct {
	NetworkID string `json:"network_id,omitempty"`
	PortID    string `json:"port_id,omitempty"`
	FixedIP   string `json:"fixed_ip,omitempty"`
	Tag       string `json:"tag,omitempty"`
	VNICType  string `json:"vnic_type,omitempty"` // of an existing port
	Requests  bool   `json:"requests,omitempty"`  // the port takes resources of its host
}

// Interface is a server's port as the server's addresses show it.
type Interface struct {
	PortID      string    `json:"port_id"`
	MAC         string    `json:"mac"`
	NetworkID   string    `json:"network_id"`
	NetworkName string    `json:"network_name"`
	MTU         int       `json:"mtu"`
	Tag         string    `json:"tag,omitempty"`
	Active      bool      `json:"active"`
	Owned       bool      `json:"owned"`            // made by compute, to be deleted with the server
	Groups      []string  `json:"groups,omitempty"` // names of its security groups
	FixedIPs    []FixedIP `json:"fixed_ips"`
}

// FixedIP is an address of a port, with the floating ones that lead to it.
type FixedIP struct {
	Address  netip.Addr   `json:"address"`
	SubnetID string       `json:"subnet_id"`
	Prefix   int          `json:"prefix"`
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	DNS      []netip.Addr `json:"dns,omitempty"`
	DHCP     bool         `json:"dhcp"`
	IPv6Mode string       `json:"ipv6_mode,omitempty"` // "slaac", ...; of its subnet
	Routes   []HostRoute  `json:"routes,omitempty"`
	Floating []netip.Addr `json:"floating,omitempty"`
}

// HostRoute leads a guest to a further network.
type HostRoute struct {
	Destination netip.Prefix `json:"destination"`
	NextHop     netip.Addr   `json:"nexthop"`
}

// InjectedFile is a file that the user asked to have put into the guest
// (personality).
type InjectedFile struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}
